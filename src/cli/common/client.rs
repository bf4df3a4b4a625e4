//! The client of the cluster that a person means.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::args::ClusterArgs;
use crate::cli::cluster::infer_config;
use crate::cli::failure::{Failure, explain};
use crate::telemetry::with_causes;

/// The cluster, as the flags name it.
#[derive(Clone)]
pub struct Access {
    /// The client, which gives up after the time of the flags.
    pub client: Client,
    /// The configuration of the client.
    pub config: Config,
    /// The flags.
    pub args: ClusterArgs,
}

/// Whose resources a command shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Of all namespaces.
    All,
    /// Of one.
    One(String),
}

impl Namespaces {
    /// True for a resource of this namespace.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == namespace,
        }
    }
}

impl Access {
    /// Finds the cluster; does not connect.
    pub async fn find(args: &ClusterArgs) -> Result<Self, Failure> {
        let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let found = match (&args.kubeconfig, &args.context) {
            (Some(file), _) => match Kubeconfig::read_from(file) {
                Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
                Err(error) => Err(error),
            },
            (None, Some(_)) => Config::from_kubeconfig(&options).await,
            (None, None) => return Self::new(infer_config().await?, args),
        };
        let config = found.map_err(|error| format!("no cluster: {}", with_causes(&error)))?;
        Self::new(config, args)
    }

    fn new(mut config: Config, args: &ClusterArgs) -> Result<Self, Failure> {
        config.connect_timeout = Some(args.timeout);
        config.read_timeout = Some(args.timeout);
        config.reset_reader_on_write = true;
        // A person waits: what fails is said immediately.
        config.default_retry = false;
        if let Some(user) = &args.act_as {
            config.auth_info.impersonate = Some(user.clone());
        }
        let client = Client::try_from(config.clone())?;
        Ok(Self { client, config, args: args.clone() })
    }

    /// The namespace of the flags, else the context's.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.args.namespace.as_deref().unwrap_or(&self.config.default_namespace)
    }

    /// The namespaces whose resources the command shows.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        if self.args.all_namespaces { Namespaces::All } else { Namespaces::One(self.namespace().to_owned()) }
    }
}

/// True where the API server itself does not let this user do it.
#[must_use]
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

/// Returns an error of the API server as a clause.
#[must_use]
pub fn explained(error: &kube::Error) -> String {
    let text = explain(error);
    text.strip_prefix("the API server answered 403: ").map_or(text.clone(), str::to_owned)
}
