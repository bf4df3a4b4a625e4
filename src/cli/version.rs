//! `runtime-operator version`: the versions of everything that works together.

use std::fmt::Write;

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use schemars::JsonSchema;
use serde::Serialize;

use super::common::{
    Access, ClusterArgs, Document, Outcome, OutputArgs, OutputFormat, RedisArgs, block_on, escaped,
    explained, json_of, print_result,
};
use super::failure::{Failure, explain};
use super::reach::{Operator, Reach};
use crate::api::crd;
use crate::store::FactsQuery;

/// The flags of `version`.
#[derive(Args, Debug)]
pub(super) struct VersionArgs {
    /// Print the version of this program alone
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

/// The versions. What could not be read has none.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Of this program.
    pub client: String,
    /// The CRD: `same` as this program's, `other`, or `missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crd: Option<String>,
    /// Of the operator, by its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_server: Option<String>,
    /// Of Redis or Valkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// The reasons for which a version is missing.
    pub unknown: Vec<String>,
}

impl Document for Version {
    const KIND: &'static str = "Version";
}

pub(super) fn run(args: &VersionArgs) -> Result<Outcome, Failure> {
    let mut version = Version { client: env!("CARGO_PKG_VERSION").to_owned(), ..Version::default() };
    if !args.client {
        block_on(version.ask(args))??;
    }
    let text = match args.output.output {
        OutputFormat::Json => json_of(&version)?,
        OutputFormat::Text => version.text(args.client),
    };
    print_result(&text)?;
    Ok(if version.unknown.is_empty() { Outcome::Clean } else { Outcome::Unknown })
}

impl Version {
    async fn ask(&mut self, args: &VersionArgs) -> Result<(), Failure> {
        let access = match Access::find(&args.cluster).await {
            Ok(access) => Some(access),
            Err(error) => {
                self.unknown.push(explain(&*error));
                None
            }
        };
        let mut operator = Err("there is no cluster".to_owned());
        if let Some(access) = &access {
            match access.client.apiserver_version().await {
                Ok(info) => self.api_server = Some(info.git_version),
                Err(error) => self.unknown.push(format!("API server: {}", explained(&error))),
            }
            let crds: Api<CustomResourceDefinition> = Api::all(access.client.clone());
            let ours = crd();
            match crds.get_opt(ours.metadata.name.as_deref().unwrap_or_default()).await {
                Ok(Some(theirs)) => {
                    let schema = |crd: &CustomResourceDefinition| {
                        crd.spec.versions.first().map(|first| first.schema.clone())
                    };
                    let is_same = schema(&theirs) == schema(&ours);
                    self.crd = Some(if is_same { "same" } else { "other" }.to_owned());
                }
                Ok(None) => self.crd = Some("missing".to_owned()),
                Err(error) => self.unknown.push(format!("CRD: {}", explained(&error))),
            }
            operator = Operator::find(access).await.map_err(|error| error.to_string());
            match &operator {
                Ok(operator) => self.operator = operator.image_version().map(str::to_owned),
                Err(why) => self.unknown.push(format!("operator: {why}")),
            }
        }
        let operator = operator.as_ref().map_err(Clone::clone);
        let mut reach = Reach::new(&args.redis, access.as_ref(), operator, args.cluster.timeout)?;
        match reach.ask(&FactsQuery { server: true, ..FactsQuery::default() }).await {
            Ok(facts) => {
                self.redis = facts.server.map(|server| format!("{} {}", server.product, server.version));
            }
            Err(why) => self.unknown.push(format!("Redis: {why}")),
        }
        Ok(())
    }

    fn text(&self, client_alone: bool) -> String {
        let mut text = format!("client      {}\n", self.client);
        if client_alone {
            return text;
        }
        let crd = match self.crd.as_deref() {
            Some("same") => Some("the same as this program's"),
            Some("other") => Some("another than this program's"),
            Some(_) => Some("not installed"),
            None => None,
        };
        for (name, version) in [
            ("CRD", crd),
            ("operator", self.operator.as_deref()),
            ("API server", self.api_server.as_deref()),
            ("Redis", self.redis.as_deref()),
        ] {
            let _ = writeln!(text, "{name:<11} {}", escaped(version.unwrap_or("unknown")));
        }
        // Writing to memory can't fail.
        for why in &self.unknown {
            let _ = writeln!(text, "  {}", escaped(why));
        }
        text
    }
}
