//! `status`: the operator, Redis and all tenants on one screen.

mod count;
mod document;
mod drift;
mod render;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt, ResourceExt};

pub use document::Status;
use document::{LeaderStatus, OperatorStatus, RedisStatus};

use super::common::{
    Access, ClusterArgs, Outcome, OutputArgs, OutputFormat, RedisArgs, Secrets, Snapshots, Style, block_on,
    explained, json_of, print_note, show,
};
use super::failure::Failure;
use super::reach::{Operator, Reach};
use crate::api::RuntimeTenant;
use crate::leader::CANNOT_WORK;
use crate::store::{Facts, FactsQuery};

/// The interval at which `--watch` reads again.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct StatusArgs {
    /// List each number for which a resource waits
    #[arg(long)]
    conflicts: bool,
    /// Compare Redis with what the resources say: reads the keys of every tenant
    #[arg(long)]
    drift: bool,
    /// Don't ask before --drift
    #[arg(short, long)]
    yes: bool,
    /// Print again whenever something changes, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

pub fn run(args: &StatusArgs) -> Result<Outcome, Failure> {
    if args.drift && !args.yes && !confirmed()? {
        print_note("--drift reads the keys of every tenant: run it with --yes");
        return Ok(Outcome::Unknown);
    }
    block_on(async {
        let access = Access::find(&args.cluster).await?;
        show(args.watch.then_some(WATCH_INTERVAL), async || once(args, &access).await).await
    })?
}

/// Asks on a terminal whether to read every tenant's keys.
fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    print_note("--drift reads the keys of every tenant, a hundred at a time. Go on? [y/N]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn once(args: &StatusArgs, access: &Access) -> Result<(String, Outcome), Failure> {
    let status = gather(args, access).await?;
    let text = match args.output.output {
        OutputFormat::Json => json_of(&status)?,
        OutputFormat::Text => render::text(&status, Style::new(args.output.color), Timestamp::now()),
    };
    // A line between two screens.
    let text = if args.watch { format!("{text}\n") } else { text };
    Ok((text, status.outcome()))
}

/// Reads everything. What can't be read is said.
async fn gather(args: &StatusArgs, access: &Access) -> Result<Status, Failure> {
    let mut status = Status {
        operator: None,
        leader: None,
        redis: None,
        tenants: None,
        oldest: None,
        conflicts: None,
        drift: None,
        not_read: Vec::new(),
    };
    let operator = Operator::choose(access).await?;
    let lease = operator.as_ref().ok().and_then(Operator::known_lease);
    match &operator {
        Ok(operator) => status.operator = Some(operator_status(access, operator).await),
        Err(why) => status.not_read.push(format!("the operator: {why}")),
    }
    if let Some(why) = operator.as_ref().ok().and_then(|operator| operator.lease.as_ref().err()) {
        status.not_read.push(format!("the Lease: {why}"));
    }
    let mut reach =
        Reach::new(&args.redis, Some(access), operator.as_ref().map_err(Clone::clone), args.cluster.timeout)?;
    let facts = match reach.ask(&FactsQuery { server: true, ..FactsQuery::default() }).await {
        Ok(facts) => Some(facts),
        Err(why) => {
            status.not_read.push(format!("Redis: {why}"));
            None
        }
    };
    status.leader = lease.and_then(|lease| leader_status(lease, facts.as_ref()));
    status.redis =
        facts.and_then(|Facts { address, server, .. }| Some(RedisStatus { address, server: server? }));

    let snapshots = Snapshots {
        client: access.client.clone(),
        watched: lease.map(Snapshots::watched_by).unwrap_or_default(),
        fallback: access.namespace().to_owned(),
        secrets: Secrets::Unread,
        held_spec_bytes: 0,
    };
    let snapshot = match snapshots.load().await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            status.not_read.push(format!("RuntimeTenants: {}", explained(&error)));
            return Ok(status);
        }
    };
    let namespaces = access.namespaces();
    let (tenants, oldest) = count::count(&snapshot.index, &namespaces);
    (status.tenants, status.oldest) = (Some(tenants), oldest);
    // The holder of a number follows from the resources of all namespaces.
    if args.cluster.all_namespaces || args.conflicts {
        status.not_read.extend(snapshot.missing);
    }
    if args.conflicts {
        status.conflicts = Some(count::conflicts(&snapshot.index, &namespaces));
    }
    if args.drift {
        match drift::find(&mut reach, &snapshot.index).await {
            Ok(found) => status.drift = Some(found),
            Err(why) => status.not_read.push(format!("drift: {why}")),
        }
    }
    Ok(status)
}

async fn operator_status(access: &Access, operator: &Operator) -> OperatorStatus {
    let deployment = &operator.deployment;
    let state = deployment.status.as_ref();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    OperatorStatus {
        namespace: operator.namespace.clone(),
        deployment: deployment.name_any(),
        image_tag: operator.image_version().map(str::to_owned),
        replicas: wanted.unwrap_or(1),
        ready: state.and_then(|state| state.ready_replicas).unwrap_or_default(),
        crd_is_current: crd_is_current(access).await,
    }
}

/// True if the CRD of the cluster has the schema of this program; none where it was not read.
async fn crd_is_current(access: &Access) -> Option<bool> {
    let definitions: Api<CustomResourceDefinition> = Api::all(access.client.clone());
    let installed = definitions.get_opt(RuntimeTenant::crd_name()).await.ok().flatten()?;
    let schema = |definition: &CustomResourceDefinition| {
        let version = definition.spec.versions.first()?;
        serde_json::to_value(version.schema.as_ref()?).ok()
    };
    Some(schema(&installed) == schema(&crate::api::crd()))
}

/// The leader, by the Lease, and its epoch in Redis.
fn leader_status(lease: &Lease, facts: Option<&Facts>) -> Option<LeaderStatus> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())?;
    let name = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let writers = facts.iter().flat_map(|facts| &facts.writers);
    let epoch = writers.filter(|writer| writer.lease == name).filter_map(|writer| writer.epoch).max();
    let annotations = lease.metadata.annotations.as_ref();
    Some(LeaderStatus {
        pod: holder.split('_').next().unwrap_or_default().to_owned(),
        epoch,
        renewed: spec.renew_time.as_ref().map(|time| time.0),
        cannot_work: annotations.and_then(|annotations| annotations.get(CANNOT_WORK)).cloned(),
    })
}
