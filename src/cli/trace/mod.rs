//! `trace`: which tenant answers a number, and why.
//!
//! `gather` reads the facts; `judge` decides what they mean, with the advice of `advice`; `render` writes text.

mod advice;
mod document;
mod facts;
mod gather;
mod judge;
mod render;
mod shapes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;

pub use advice::of_redis;
pub use document::Trace;

use super::common::{
    Access, ClusterArgs, Outcome, OutputArgs, OutputFormat, RedisArgs, Style, block_on, json_of, show,
};
use super::failure::{Failure, explain};
use crate::contract::{Did, TenantId, is_white_space};
use crate::domain::ResourceName;
use facts::Query;

/// The interval at which `--watch` reads again.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub struct TraceArgs {
    /// Number in E.164, tenant id, or NAMESPACE/NAME of a RuntimeTenant
    #[arg(value_name = "NUMBER|TENANT|NAMESPACE/NAME")]
    subject: String,
    /// Print the config too, with *** for secrets
    #[arg(long)]
    config: bool,
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

pub fn run(args: &TraceArgs) -> Result<Outcome, Failure> {
    let query = parse(&args.subject)?;
    block_on(async {
        let access = Access::find(&args.cluster).await.map_err(|error| explain(&*error));
        show(args.watch.then_some(WATCH_INTERVAL), async || once(args, &query, &access).await).await
    })?
}

/// Traces once, and returns what is written.
async fn once(
    args: &TraceArgs,
    query: &Query,
    access: &Result<Access, String>,
) -> Result<(String, Outcome), Failure> {
    let facts = gather::gather(query, access, &args.redis, args.config).await?;
    let trace = judge::judge(&facts);
    let text = match args.output.output {
        OutputFormat::Json => json_of(&trace)?,
        OutputFormat::Text => render::text(&trace, Style::new(args.output.color)),
    };
    Ok((text, trace.outcome()))
}

/// Reads the subject: a number begins with a plus sign, a resource has a slash.
fn parse(subject: &str) -> Result<Query, Failure> {
    if let Ok(did) = Did::parse(subject) {
        return Ok(Query::Number(did));
    }
    let digits = |c: char| c.is_ascii_digit() || is_white_space(c) || matches!(c, '-' | '(' | ')' | '.');
    let is_number = subject.trim_start().strip_prefix('+').is_some_and(|rest| rest.chars().all(digits))
        || (subject.len() >= 7 && subject.chars().all(digits));
    if is_number {
        let plain: String = subject.chars().filter(char::is_ascii_digit).collect();
        return Err(format!("a number must be E.164, as in +{plain}").into());
    }
    if let Some((namespace, name)) = subject.split_once('/') {
        return Ok(Query::Resource(ResourceName::new(namespace, name)));
    }
    let tenant = TenantId::parse_trimmed(subject);
    Ok(Query::Tenant(tenant.map_err(|_| "a number, a tenant id or NAMESPACE/NAME must be given")?))
}
