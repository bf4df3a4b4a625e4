//! `check`: whether everything is as it must be, before and after an install. It changes nothing.

mod cluster;
mod document;
mod server;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tokio::time::sleep;

pub use document::Check;

use super::common::{
    Access, ClusterArgs, Color, Outcome, RedisArgs, Secrets, Snapshots, Style, block_on, explained, json_of,
    parse_time, print_result,
};
use super::failure::Failure;
use super::reach::{Operator, Reach};
use crate::store::FactsQuery;

/// The interval at which `--wait` checks again.
const WAIT_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[allow(clippy::doc_markdown, reason = "the help is plain text")]
pub struct CheckArgs {
    /// Check before an install: the cluster, and the Redis of --redis-url
    #[arg(long)]
    pre: bool,
    /// Check again until nothing fails, for this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    wait: Option<Duration>,
    /// Form of the result; short leaves out what succeeds
    #[arg(short, long, value_name = "FORM", default_value = "text", help_heading = "Output")]
    output: Form,
    /// Colour and marks: never writes words in place of marks; NO_COLOR is obeyed
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    color: Color,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Short,
}

pub fn run(args: &CheckArgs) -> Result<Outcome, Failure> {
    block_on(check(args))?
}

async fn check(args: &CheckArgs) -> Result<Outcome, Failure> {
    let access = Access::find(&args.cluster).await?;
    let deadline = args.wait.map(|wait| Instant::now() + wait);
    let check = loop {
        let check = once(args, &access).await?;
        if check.outcome() == Outcome::Clean || deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            break check;
        }
        sleep(WAIT_INTERVAL).await;
    };
    let style = Style::new(args.color);
    print_result(&match args.output {
        Form::Json => json_of(&check)?,
        Form::Text => check.text(style, false),
        Form::Short => check.text(style, true),
    })?;
    Ok(check.outcome())
}

async fn once(args: &CheckArgs, access: &Access) -> Result<Check, Failure> {
    let mut check = Check::default();
    check.add("kubernetes-api", cluster::api_server(access).await);
    check.add("runtimetenant-crd", cluster::definition(access, args.pre).await);
    let query = FactsQuery { server: true, rehearse: true, ..FactsQuery::default() };
    if args.pre {
        let none = Err("--pre needs --redis-url: no operator is there yet to ask through".to_owned());
        let mut reach = Reach::new(&args.redis, None, none, args.cluster.timeout)?;
        check.add("redis", server::checks(&reach.ask(&query).await));
        return Ok(check);
    }
    let found = Operator::choose(access).await?;
    check.add("operator", cluster::operator(&found, Timestamp::now()));
    let lease = found.as_ref().ok().and_then(Operator::known_lease);
    let watched = lease.map(Snapshots::watched_by).unwrap_or_default();
    if let Ok(operator) = &found {
        check.add("permissions", cluster::permissions(access, operator, &watched).await);
    }
    let operator = found.as_ref().map_err(Clone::clone);
    let mut reach = Reach::new(&args.redis, Some(access), operator, args.cluster.timeout)?;
    check.add("redis", server::checks(&reach.ask(&query).await));
    let snapshots = Snapshots {
        client: access.client.clone(),
        watched,
        fallback: access.namespace().to_owned(),
        secrets: Secrets::Listed,
        held_spec_bytes: 0,
    };
    let snapshot = snapshots.load().await.map_err(|error| explained(&error));
    check.add("tenants", cluster::tenants(&snapshot));
    Ok(check)
}
