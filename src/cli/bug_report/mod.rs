//! `bug-report`: what an engineer needs who was not there, in one file, without secrets.

mod anonymize;
mod archive;
mod collect;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::common::{
    Access, ClusterArgs, Outcome, RedisArgs, block_on, escaped, parse_time, print_note, print_result,
};
use super::failure::Failure;
use super::reach::{Operator, Reach};
use anonymize::Anonymizer;
use archive::Archive;
use collect::Collector;

#[derive(Args, Debug)]
#[allow(clippy::doc_markdown, reason = "the help is plain text")]
pub struct BugReportArgs {
    /// File to write, which must not exist [default: runtime-operator-bug-report-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Logs of this time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    since: Duration,
    /// Include the specs of the RuntimeTenants
    #[arg(long)]
    include_specs: bool,
    /// Replace names, numbers and hosts by stable hashes
    #[arg(long)]
    anonymize: bool,
    /// File with the key of these hashes, so that two reports have the same ones [default: a random key]
    #[arg(long, value_name = "FILE", requires = "anonymize")]
    anonymize_key: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

pub fn run(args: &BugReportArgs) -> Result<Outcome, Failure> {
    block_on(report(args))?
}

async fn report(args: &BugReportArgs) -> Result<Outcome, Failure> {
    let now = Timestamp::now();
    let default = || format!("runtime-operator-bug-report-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")).into();
    let file = args.output.clone().unwrap_or_else(default);
    let anonymizer = match (&args.anonymize_key, args.anonymize) {
        (Some(key), _) => Some(Anonymizer::new(&std::fs::read(key)?)?),
        (None, true) => Some(Anonymizer::random()),
        (None, false) => None,
    };
    // Before anything is read: nothing is lost where it can't be written.
    let mut archive = Archive::create(&file, now, anonymizer)?;
    let access = Access::find(&args.cluster).await?;
    let found = Operator::choose(&access).await?;
    let reach =
        Reach::new(&args.redis, Some(&access), found.as_ref().map_err(Clone::clone), args.cluster.timeout)?;
    let mut collector = Collector {
        access: &access,
        operator: found.as_ref().ok(),
        since: args.since,
        include_specs: args.include_specs,
        missing: found.as_ref().err().map(|why| format!("the operator: {why}")).into_iter().collect(),
        archive: &mut archive,
    };
    collector.collect(reach).await?;
    let missing = std::mem::take(&mut collector.missing);
    let taken = archive.finish(&missing)?;
    let mut text = format!("{}\n", escaped(&file.to_string_lossy()));
    for (name, bytes) in taken {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  {name:<44}{bytes:>10} bytes");
    }
    print_result(&text)?;
    for missing in &missing {
        print_note(&format!("not taken: {missing}"));
    }
    if !args.anonymize {
        print_note(
            "it holds names, hosts and the numbers of ownership records: --anonymize replaces them by hashes",
        );
    }
    Ok(if missing.is_empty() { Outcome::Clean } else { Outcome::Unknown })
}
