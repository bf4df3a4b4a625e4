//! `runtime-operator validate`: checks manifests without a cluster, as the API server and the operator would.

mod check;
mod finding;
mod forms;
mod object;
mod print;
mod schema;
mod server;
mod together;

use clap::{Args, ValueEnum};

pub use check::check;
pub use finding::{Finding, Level, Report};
pub use object::is_name;
pub use schema::normalised;

use super::common::{Access, ClusterArgs, Outcome, json_of, print_result};
use super::failure::Failure;
use super::manifests::{Input, Resource, Source, resources};

/// The flags of `validate`.
#[derive(Args, Debug)]
pub(super) struct ValidateArgs {
    /// Files, folders with .yaml, .yml and .json files, or - for standard input
    #[arg(value_name = "FILE|DIR|-", required = true)]
    inputs: Vec<Input>,
    /// Webhook Secrets that are not among the files: an error, or nothing [default: a warning]
    #[arg(long, value_name = "HOW")]
    secrets: Option<Secrets>,
    /// Ask the API server too, by a server-side dry run
    #[arg(long)]
    server: bool,
    /// Form of the findings
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Secrets {
    Require,
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Sarif,
    Github,
}

/// Validates texts. A resource that names no namespace has `namespace`.
#[must_use]
pub fn validate(sources: &[Source], namespace: &str) -> (Report, Vec<Resource>) {
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for source in sources {
        let (found, faults) = resources(source);
        findings.extend(
            faults.iter().map(|fault| Finding::error(&fault.file, fault.at, "", fault.message.clone())),
        );
        for resource in found {
            if resource.is_tenant() {
                findings.extend(object::findings(&resource));
            }
            all.push(resource);
        }
    }
    findings.extend(together::findings(&all, namespace));
    let report = Report { findings, resources: all.len(), files: sources.len(), ..Report::default() };
    (report.counted(sources), all)
}

pub(super) fn run(args: &ValidateArgs) -> Result<Outcome, Failure> {
    let sources = Input::read(&args.inputs)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut access = None;
    if args.server {
        access = Some(runtime.block_on(Access::find(&args.cluster))?);
    }
    let namespace = match &access {
        Some(access) => access.namespace(),
        None => args.cluster.namespace.as_deref().unwrap_or("default"),
    };
    let (mut report, resources) = validate(&sources, namespace);
    let missing = together::missing_secrets(&resources, namespace).into_iter();
    match args.secrets {
        Some(Secrets::Ignore) => {}
        Some(Secrets::Require) => report.findings.extend(missing),
        None => report.findings.extend(missing.map(Finding::into_warning)),
    }
    let mut asked = true;
    if let Some(access) = &access {
        let answers = runtime.block_on(server::findings(&access.client, &resources, namespace))?;
        asked = answers.complete;
        report.findings.extend(answers.findings);
    }
    if args.strict {
        report.findings.iter_mut().for_each(|finding| finding.level = Level::Error);
    }
    let report = report.counted(&sources);
    print(args.output, &report)?;
    Ok(match (report.errors, asked) {
        (0, true) => Outcome::Clean,
        (0, false) => Outcome::Unknown,
        _ => Outcome::Found,
    })
}

fn print(form: Form, report: &Report) -> Result<(), Failure> {
    let text = match form {
        Form::Text => print::text(report),
        Form::Github => print::github(report),
        Form::Json => json_of(report)?,
        Form::Sarif => format!("{:#}\n", print::sarif(report)),
    };
    print_result(&text)
}
