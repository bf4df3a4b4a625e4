//! `runtime-operator check`: a tenant of its own, from creation to deletion, as `helm test` runs it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, GetParams, PostParams};
use kube::client::Body;
use kube::core::Request;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::Failure;
use crate::api::RuntimeTenant;

/// The name of what is made, and the tenant id: no other tenant has it.
const NAME: &str = "runtime-operator-check";
/// How often the API server is asked.
const POLL: Duration = Duration::from_millis(200);

/// How long the admin routes may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The flags of `runtime-operator check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Namespace to make the tenant in; the operator must watch it [default: the one of the kubeconfig or the Pod]
    #[arg(long)]
    namespace: Option<String>,
    /// The tenant's number; must be nobody's
    #[arg(long, value_name = "E164", default_value = "+999000000001")]
    did: String,
    /// Where the admin routes are, as in <http://runtime-operator:8080> [default: they are not asked]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// The admin routes are disabled, and must say so
    #[arg(long, requires = "admin_url")]
    admin_disabled: bool,
    /// File with the certificates (PEM) that the admin routes' must be signed by [default: the system's]
    #[arg(long, value_name = "FILE")]
    admin_ca_file: Option<PathBuf>,
    /// File with the token to show to the admin routes [default: the token that is shown to the API server]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<String>,
    /// Seconds that it all may take
    #[arg(long, value_name = "N", default_value_t = 60)]
    timeout_seconds: u64,
}

pub(super) fn call(args: &CheckArgs) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: &CheckArgs) -> Result<(), Failure> {
    let config = Config::infer().await?;
    let admin = args.admin_url.as_deref().map(|url| Admin::new(args, url, &config)).transpose()?;
    let client = Client::try_from(config)?;
    let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace());
    let check = Check {
        tenants: Api::namespaced(client.clone(), namespace),
        secrets: Api::namespaced(client.clone(), namespace),
        deadline: Instant::now() + Duration::from_secs(args.timeout_seconds),
    };
    check.remove().await?;
    let outcome = check.publish(args, admin.as_ref()).await;
    let removed = check.remove().await;
    outcome.and(removed)?;
    say("the tenant is gone");
    if let Some(admin) = admin.filter(|_| !args.admin_disabled) {
        check.answers(&admin, "dids", &args.did, 404, &json!({ "error": "did_unmapped" })).await?;
        say("its number is unmapped");
    }
    Ok(())
}

/// What is made, and until when all must be so.
struct Check {
    tenants: Api<RuntimeTenant>,
    secrets: Api<Secret>,
    deadline: Instant,
}

impl Check {
    async fn publish(&self, args: &CheckArgs, admin: Option<&Admin>) -> Result<(), Failure> {
        let metadata = json!({ "name": NAME });
        let secret =
            json!({ "metadata": metadata, "stringData": { "webhookSecret": format!("whsec_{NAME}") } });
        self.secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let tenant = json!({ "metadata": metadata, "spec": spec(&args.did) });
        self.tenants.create(&PostParams::default(), &serde_json::from_value(tenant)?).await?;
        say("a tenant is created");
        self.ready().await?;
        say("it is Ready");
        match admin {
            Some(admin) if args.admin_disabled => {
                let disabled = json!({ "error": "runtime_admin_disabled" });
                self.answers(admin, "dids", &args.did, 503, &disabled).await?;
                say("the admin routes say that they are disabled");
            }
            Some(admin) => {
                let mapping = json!({ "didE164": args.did, "tenantId": NAME });
                self.answers(admin, "dids", &args.did, 200, &mapping).await?;
                say("the admin routes know its number");
            }
            None => {}
        }
        Ok(())
    }

    async fn ready(&self) -> Result<(), Failure> {
        loop {
            let status = self.tenants.get(NAME).await?.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            if ready.is_some_and(|ready| ready.status == "True") {
                return Ok(());
            }
            let why = ready.map_or("no operator has told its status".into(), |ready| {
                format!("{}: {}", ready.reason, ready.message)
            });
            self.again(|| format!("the tenant is not Ready: {why}")).await?;
        }
    }

    /// Asks until the answer is this one: other replicas may read a little later what one has written.
    async fn answers(
        &self,
        admin: &Admin,
        route: &str,
        name: &str,
        code: u16,
        wanted: &Value,
    ) -> Result<(), Failure> {
        loop {
            let answer = admin.get(route, name).await;
            let right = |(seen, body): &(u16, Value)| {
                let members = wanted.as_object().into_iter().flatten();
                *seen == code && members.into_iter().all(|(name, value)| body[name] == *value)
            };
            if answer.as_ref().is_ok_and(right) {
                return Ok(());
            }
            self.again(|| match answer {
                Ok((code, body)) => format!("{}/{route}/{name} answers {code} {body}", admin.url),
                Err(error) => format!("{}/{route}/{name}: {error}", admin.url),
            })
            .await?;
        }
    }

    /// Removes what is there, of an earlier check too, and waits until the operator has let the tenant go.
    async fn remove(&self) -> Result<(), Failure> {
        absent_is_fine(self.tenants.delete(NAME, &DeleteParams::default()).await)?;
        while self.tenants.get_opt(NAME).await?.is_some() {
            self.again(|| "the tenant is deleted, and the operator does not let it go".into()).await?;
        }
        absent_is_fine(self.secrets.delete(NAME, &DeleteParams::default()).await)
    }

    async fn again(&self, why: impl FnOnce() -> String) -> Result<(), Failure> {
        if Instant::now() > self.deadline {
            return Err(why().into());
        }
        sleep(POLL).await;
        Ok(())
    }
}

fn absent_is_fine<T>(answer: kube::Result<T>) -> Result<(), Failure> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}

fn spec(did: &str) -> Value {
    json!({
        "tenantId": NAME,
        "dids": [did],
        "webhookSecretRef": { "name": NAME },
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "http://nobody.invalid/tts" },
    })
}

/// The admin routes, asked with the client that asks the API server: the same TLS and tokens.
struct Admin {
    url: String,
    client: Client,
}

impl Admin {
    fn new(args: &CheckArgs, url: &str, cluster: &Config) -> Result<Self, Failure> {
        let mut config = Config::new(url.parse().map_err(|error| format!("--admin-url {url}: {error}"))?);
        // Routes that are disabled answer 503, which is not tried again.
        config.default_retry = false;
        config.auth_info.token.clone_from(&cluster.auth_info.token);
        config.auth_info.token_file.clone_from(&cluster.auth_info.token_file);
        if let Some(file) = &args.admin_token_file {
            config.auth_info.token = None;
            config.auth_info.token_file = Some(file.clone());
        }
        if let Some(file) = &args.admin_ca_file {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let read = read.map_err(|error| format!("--admin-ca-file {}: {error}", file.display()))?;
            config.root_cert = Some(read.into_iter().map(|certificate| certificate.to_vec()).collect());
        }
        Ok(Self { url: url.to_owned(), client: Client::try_from(config)? })
    }

    async fn get(&self, route: &str, name: &str) -> Result<(u16, Value), Failure> {
        let path = format!("/api/admin/runtime/{route}");
        let request = Request::new(path).get(name, &GetParams::default())?;
        let answer = timeout(ANSWER, self.client.send(request.map(Body::from))).await??;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect_bytes().await?;
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

#[allow(clippy::print_stdout, reason = "what it prints is for a person")]
fn say(what: &str) {
    println!("{what}");
}
