//! `runtime-operator diff`: what an apply would do, before it. The operator's own claims and plans decide.
//!
//! `gather` reads what is and what the files make of it; `settle` runs the operator's decisions until nothing changes;
//! `compare` says what differs; `render` writes text.

mod compare;
mod document;
mod gather;
mod render;
mod settle;

use clap::Args;

pub use document::Plan;

use gather::{Gathered, Prune, gather};

use super::common::{
    Access, ClusterArgs, Outcome, OutputArgs, OutputFormat, RedisArgs, Style, block_on, json_of, print_note,
    print_result,
};
use super::failure::Failure;
use super::manifests::{Input, resources};

/// The flags of `diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(value_name = "FILE|DIR|-", required = true)]
    inputs: Vec<Input>,
    /// Delete the resources of the same namespaces that are in no file, as kubectl apply --prune does
    #[arg(long)]
    prune: bool,
    /// Labels of the resources that --prune may delete
    #[arg(short = 'l', long, value_name = "SELECTOR", requires = "prune")]
    selector: Option<String>,
    /// Namespaces that the operator watches, separated by commas [default: those that its Lease names, else all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    redis: RedisArgs,
}

pub(super) fn run(args: &DiffArgs) -> Result<Outcome, Failure> {
    let sources = Input::read(&args.inputs)?;
    let mut found = Vec::new();
    for source in &sources {
        let (resources, faults) = resources(source);
        if let Some(fault) = faults.first() {
            let (line, column) = (fault.at.line, fault.at.column);
            return Err(format!("{}:{line}:{column}: {}", fault.file, fault.message).into());
        }
        found.extend(resources);
    }
    let prune = args.prune.then(|| Prune { selector: args.selector.clone() });
    let gathered = block_on(async {
        let access = Access::find(&args.cluster).await?;
        gather(&access, &args.redis, &found, prune.as_ref(), &args.watch_namespaces).await
    })??;
    let Gathered { change, refused, unknown } = gathered;
    let (mut plan, then) = compare::plan(&change);
    plan.conflicts.splice(0..0, refused);
    for clause in &unknown {
        print_note(&format!("not read: {clause}"));
    }
    plan.unknown = unknown;
    let text = match args.output.output {
        OutputFormat::Json => json_of(&plan)?,
        OutputFormat::Text => render::text(&plan, &then, Style::new(args.output.color)),
    };
    print_result(&text)?;
    let changes = !plan.resources.is_empty() || !plan.numbers.is_empty() || !plan.conflicts.is_empty();
    Ok(match (change.is_certain, changes) {
        (false, _) => Outcome::Unknown,
        (true, changes) => Outcome::found(changes),
    })
}
