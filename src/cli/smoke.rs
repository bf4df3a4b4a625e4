//! `runtime-operator smoke`: creates a tenant, waits until it is published, requests it from the admin routes, and deletes
//! it. `helm test` runs it.

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

use super::cluster::infer_config;
use super::common::block_on;
use super::failure::{Failure, explain};
use crate::api::RuntimeTenant;

/// The name of the tenant and its Secret, and the tenant id. No other tenant may use it.
const NAME: &str = "runtime-operator-smoke";
/// The interval at which the API server and the admin routes are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Timeout of one response of the admin routes.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The flags of `runtime-operator smoke`.
#[derive(Args, Debug)]
pub(super) struct SmokeArgs {
    /// Namespace to create the tenant in; the operator must watch it [default: that of the kubeconfig or the Pod]
    #[arg(long)]
    namespace: Option<String>,
    /// The tenant's phone number; no other tenant may use it
    #[arg(long, value_name = "E164", default_value = "+999000000001")]
    did: String,
    /// URL of the admin routes, for example <http://runtime-operator:8080> [default: the admin routes are not tested]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// Expect that the admin routes are disabled
    #[arg(long, requires = "admin_url")]
    admin_disabled: bool,
    /// File with the CA certificates (PEM) to verify the admin routes' certificate with [default: the system's]
    #[arg(long, value_name = "FILE")]
    admin_ca_file: Option<PathBuf>,
    /// File with the bearer token for the admin routes [default: the token for the API server]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<String>,
    /// Timeout of the whole test, in seconds
    #[arg(long, value_name = "N", default_value_t = 60)]
    timeout_seconds: u64,
}

pub(super) fn run(args: &SmokeArgs) -> Result<(), Failure> {
    block_on(test(args))?
}

async fn test(args: &SmokeArgs) -> Result<(), Failure> {
    let config = infer_config().await?;
    let admin = args.admin_url.as_deref().map(|url| AdminClient::new(args, url, &config)).transpose()?;
    let client = Client::try_from(config)?;
    let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace());
    let smoke = SmokeTest {
        namespace: namespace.to_owned(),
        tenants: Api::namespaced(client.clone(), namespace),
        secrets: Api::namespaced(client.clone(), namespace),
        deadline: Instant::now() + Duration::from_secs(args.timeout_seconds),
    };
    // An earlier run may have been interrupted.
    smoke.delete().await?;
    let tested = smoke.publish(args, admin.as_ref()).await;
    let deleted = smoke.delete().await;
    tested.and(deleted)?;
    report_step("tenant deleted");
    if let Some(admin) = admin.filter(|_| !args.admin_disabled) {
        smoke.await_response(&admin, &args.did, 404, &json!({ "error": "did_unmapped" })).await?;
        report_step("phone number unmapped");
    }
    Ok(())
}

struct SmokeTest {
    namespace: String,
    tenants: Api<RuntimeTenant>,
    secrets: Api<Secret>,
    deadline: Instant,
}

impl SmokeTest {
    async fn publish(&self, args: &SmokeArgs, admin: Option<&AdminClient>) -> Result<(), Failure> {
        let metadata = json!({ "name": NAME });
        let secret =
            json!({ "metadata": metadata, "stringData": { "webhookSecret": format!("whsec_{NAME}") } });
        let created = self.secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await;
        if is_not_found(&created) {
            let namespace = &self.namespace;
            return Err(format!(
                "there is no namespace {namespace}: create it, or choose another with --namespace"
            )
            .into());
        }
        created?;
        let tenant = json!({ "metadata": metadata, "spec": spec(&args.did) });
        let created = self.tenants.create(&PostParams::default(), &serde_json::from_value(tenant)?).await;
        if is_not_found(&created) {
            return Err(
                "the cluster does not know RuntimeTenant: install the CRD (runtime-operator crd)".into()
            );
        }
        created?;
        report_step("tenant created");
        self.await_ready().await?;
        report_step("tenant Ready");
        match admin {
            Some(admin) if args.admin_disabled => {
                let disabled = json!({ "error": "runtime_admin_disabled" });
                self.await_response(admin, &args.did, 503, &disabled).await?;
                report_step("admin routes disabled, as expected");
            }
            Some(admin) => {
                let mapping = json!({ "didE164": args.did, "tenantId": NAME });
                self.await_response(admin, &args.did, 200, &mapping).await?;
                report_step("phone number found by the admin routes");
            }
            None => {}
        }
        Ok(())
    }

    async fn await_ready(&self) -> Result<(), Failure> {
        loop {
            let status = self.tenants.get(NAME).await?.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            if ready.is_some_and(|ready| ready.status == "True") {
                return Ok(());
            }
            let why = ready.map_or("no operator has set a status".into(), |ready| {
                format!("{}: {}", ready.reason, ready.message)
            });
            self.sleep_or_fail(|| format!("the tenant is not Ready: {why}")).await?;
        }
    }

    /// Repeats the lookup of the phone number until the response is as expected, since another replica may read a write a
    /// little later.
    async fn await_response(
        &self,
        admin: &AdminClient,
        did: &str,
        code: u16,
        members: &Value,
    ) -> Result<(), Failure> {
        loop {
            let response = admin.look_up(did).await;
            let is_expected = |(received, body): &(u16, Value)| {
                let members = members.as_object().into_iter().flatten();
                *received == code && members.into_iter().all(|(name, value)| body[name] == *value)
            };
            if response.as_ref().is_ok_and(is_expected) {
                return Ok(());
            }
            self.sleep_or_fail(|| match response {
                Ok((code, body)) => format!("{}/dids/{did}: unexpected response {code} {body}", admin.url),
                Err(error) => format!("{}/dids/{did}: {}", admin.url, explain(&*error)),
            })
            .await?;
        }
    }

    /// Deletes the tenant and the Secret, and waits until the operator has removed the tenant's finalizer.
    async fn delete(&self) -> Result<(), Failure> {
        ignore_not_found(self.tenants.delete(NAME, &DeleteParams::default()).await)?;
        while self.tenants.get_opt(NAME).await?.is_some() {
            self.sleep_or_fail(|| {
                "the tenant is being deleted, but the operator has not removed its finalizer".into()
            })
            .await?;
        }
        ignore_not_found(self.secrets.delete(NAME, &DeleteParams::default()).await)
    }

    async fn sleep_or_fail(&self, why: impl FnOnce() -> String) -> Result<(), Failure> {
        if Instant::now() > self.deadline {
            return Err(why().into());
        }
        sleep(POLL_INTERVAL).await;
        Ok(())
    }
}

fn ignore_not_found<T>(response: kube::Result<T>) -> Result<(), Failure> {
    if is_not_found(&response) { Ok(()) } else { Ok(response.map(drop)?) }
}

fn is_not_found<T>(response: &kube::Result<T>) -> bool {
    matches!(response, Err(kube::Error::Api(status)) if status.code == 404)
}

fn spec(did: &str) -> Value {
    json!({
        "tenantId": NAME,
        "dids": [did],
        "webhookSecretRef": { "name": NAME },
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "http://smoke.invalid/tts" },
    })
}

/// Requests the admin routes with a Kubernetes client, which handles TLS and token files.
struct AdminClient {
    url: String,
    client: Client,
}

impl AdminClient {
    fn new(args: &SmokeArgs, url: &str, cluster: &Config) -> Result<Self, Failure> {
        let mut config = Config::new(url.parse().map_err(|error| format!("--admin-url {url}: {error}"))?);
        // The 503 of disabled routes is an expected response, and must not be retried.
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

    async fn look_up(&self, did: &str) -> Result<(u16, Value), Failure> {
        let request = Request::new("/api/admin/runtime/dids").get(did, &GetParams::default())?;
        let response = timeout(ADMIN_TIMEOUT, self.client.send(request.map(Body::from))).await??;
        let code = response.status().as_u16();
        let body = response.into_body().collect_bytes().await?;
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

#[allow(clippy::print_stdout, reason = "the steps are printed for people")]
fn report_step(step: &str) {
    println!("{step}");
}
