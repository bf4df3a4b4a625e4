//! The command line: one file for each subcommand.

mod adapters;
mod admin_key;
mod bug_report;
mod check;
mod cluster;
mod common;
mod completion;
mod contract;
mod crd;
mod diff;
mod export;
mod failure;
mod manifests;
mod reach;
mod run;
mod smoke;
mod status;
mod stop;
mod trace;
mod validate;
mod version;

use std::ffi::OsStr;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;

pub use adapters::metrics;
use common::{Failed, Outcome};
pub use failure::{Failure, explain};

/// Keeps the Redis keys that a voice runtime reads on every call exactly equal to RuntimeTenant resources
#[derive(Debug, Parser)]
#[command(
    name = "runtime-operator",
    version,
    max_term_width = 110,
    after_help = "`runtime-operator COMMAND --help` says more. docs/settings.md lists every setting."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: the controller, the admin routes, probes and metrics
    #[command(
        long_about = "Run the operator: the controller, the admin routes, probes and metrics in one process, until \
                      SIGTERM or Ctrl-C.\n\nThe cluster is found in the same way as by kubectl: the one it runs in, else \
                      KUBECONFIG, else ~/.kube/config. Every flag can be an environment variable instead; a flag wins. \
                      All settings are validated at startup; all errors are reported together. A BOOL is true or false \
                      (1, yes, on, required; 0, no, off); a flag alone is true.",
        after_long_help = "RUST_LOG sets the log level: warn, info (the default), debug, or runtime_operator=trace.\n\n\
                           Example, on your machine with the cluster of your kubeconfig:\n  \
                           runtime-operator run --redis-url redis://localhost:6379/0",
        // Environment variables may contain passwords, and must not be shown in the help.
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Run(Box<crate::settings::RunArgs>),
    /// Test a running operator: create a tenant, wait until it is published, and delete it
    #[command(
        long_about = "Test a running operator: create a tenant, wait until it is published, request it from the admin \
                      routes, and delete it. `helm test` runs this. It creates the RuntimeTenant and the Secret \
                      runtime-operator-smoke and needs permissions to create, get and delete them. It fails with the \
                      reason when a step does not succeed in time.",
        after_help = "Example:\n  runtime-operator smoke --namespace voice --admin-url http://runtime-operator:8080"
    )]
    Smoke(smoke::SmokeArgs),
    /// Make a key for the admin routes, and print it and its line of the key file
    #[command(
        after_help = "Example:\n  runtime-operator admin-key panel editor\n\nThe key is 32 random bytes. The file has only \
                      its hash."
    )]
    AdminKey(admin_key::AdminKeyArgs),
    /// Print the CRD of RuntimeTenant as YAML
    #[command(after_help = "Example:\n  runtime-operator crd | kubectl apply -f -")]
    Crd,
    /// Print the contract with the voice runtime
    Contract {
        #[command(subcommand)]
        command: contract::Command,
    },
    /// Say which tenant answers a number, and why
    #[command(
        long_about = "Say which tenant answers a number, and why: the mapping and the config that the voice runtime reads, the \
                      RuntimeTenant behind them, its Secret, and the others that claim the number. It ends with what to do.\n\n\
                      Exit code: 0 if a call is answered as the resources say, 1 if it is not, 2 if that could not be \
                      determined.",
        after_help = "Examples:\n  kubectl rtenant trace '+1 555 123 4567'\n  kubectl rtenant trace default/acme --config -o json",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Trace(Box<trace::TraceArgs>),
    /// Collect what an engineer needs into one file, without secrets
    #[command(
        long_about = "Collect what an engineer needs who was not there into one file, without secrets: versions, settings, \
                      statuses, events, the log and the metrics of each replica, the state of Redis and the ownership \
                      records. It prints what it took.",
        after_help = "Examples:\n  kubectl rtenant bug-report\n  kubectl rtenant bug-report --since 4h --anonymize --output \
                      report.tar.gz",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    BugReport(Box<bug_report::BugReportArgs>),
    /// Check that everything is as it must be, before and after an install
    #[command(
        long_about = "Check that everything is as it must be, before and after an install: the API server, the CRD, the \
                      operator's permissions, its Lease, Redis and the webhook Secrets. It changes nothing.\n\nExit code: 0, \
                      also with warnings; 1 if a check fails; 2 if one could not be made.",
        after_help = "Examples:\n  kubectl rtenant check --pre --redis-url redis://redis:6379/0\n  kubectl rtenant check --wait 60s \
                      -o short",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Check(Box<check::CheckArgs>),
    /// Show the operator, Redis and all tenants on one screen
    #[command(
        long_about = "Show the operator, its leader, Redis and all tenants on one screen.\n\nExit code: 0 if every tenant is \
                      Ready, 1 if one is not, in conflict or adrift, 2 if that could not be determined.",
        after_help = "Examples:\n  kubectl rtenant status -A\n  kubectl rtenant status -A --conflicts -o json",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Status(Box<status::StatusArgs>),
    /// Check manifests without a cluster, as the API server and the operator would
    #[command(
        long_about = "Check manifests without a cluster, as the API server and the operator would: every fault with its file, line \
                      and column, all together. Numbers and tenant ids that two resources claim are found by the operator's own \
                      claims.\n\nExit code: 0 without errors, 1 with one, 2 if the files could not be read.",
        after_help = "Examples:\n  kubectl rtenant validate tenants/\n  kubectl rtenant validate -o github --strict - < rendered.yaml"
    )]
    Validate(Box<validate::ValidateArgs>),
    /// Say what an apply would do to resources and numbers
    #[command(
        long_about = "Say what an apply would do, before it: which numbers become live, move or become unmapped, and which conflicts \
                      arise, by the operator's own claims and plans.\n\nExit code: 0 if nothing changes, 1 if something does, 2 if \
                      that could not be determined.",
        after_help = "Examples:\n  kubectl rtenant diff tenants/\n  kubectl rtenant diff --prune -l app=voice -o json tenants/",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Diff(Box<diff::DiffArgs>),
    /// Write the tenants that an older publisher left in Redis as resources
    #[command(
        long_about = "Write the tenants that an older publisher left in Redis as resources. It only reads Redis: an ACL of +scan +get \
                      +mget +type is enough, and a replica will do. Tenants that a resource owns already are skipped. What no resource \
                      can hold stands in NOT-EXPORTED.md with the reason.\n\nExit code: 0 if everything is in the resources, 1 if \
                      something is left, 2 if Redis could not be read.",
        after_help = "Examples:\n  kubectl rtenant export --redis-url redis://replica:6379/0 --output voice --secrets files\n  \
                      kubectl rtenant export --redis-url - --output voice --namespace voice --only corner-bakery < url.txt",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Export(Box<export::ExportArgs>),
    /// Print the script that completes this command line in a shell
    #[command(
        after_help = "Examples:\n  kubectl rtenant completion bash > rtenant.bash\n  kubectl rtenant completion zsh > _kubectl-rtenant"
    )]
    Completion(completion::CompletionArgs),
    /// Print the versions of this program, the CRD, the operator, the API server and Redis
    #[command(
        after_help = "Examples:\n  kubectl rtenant version\n  kubectl rtenant version --client -o json",
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Version(Box<version::VersionArgs>),
    /// Write a manual page for each command
    #[command(hide = true)]
    Man(completion::ManArgs),
    /// Print what Redis holds for some numbers and tenants
    #[command(hide = true, mut_args = |arg| arg.hide_env_values(true))]
    Inspect(Box<reach::inspect::InspectArgs>),
}

/// The name under which kubectl finds the program as a plugin.
const PLUGIN: &str = "kubectl-rtenant";

/// The kinds of JSON that the commands write, each with its schema: the files of `schemas/cli`.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Check", common::schema_of::<check::Check>()),
        ("Status", common::schema_of::<status::Status>()),
        ("Trace", common::schema_of::<trace::Trace>()),
        ("Findings", common::schema_of::<validate::Report>()),
        ("Plan", common::schema_of::<diff::Plan>()),
        ("Version", common::schema_of::<version::Version>()),
        ("Export", common::schema_of::<export::Summary>()),
    ]
}

impl Cli {
    /// The definition of the command line, for a program of this name: as a plugin of kubectl it does not run the operator.
    #[must_use]
    pub fn definition(program: &OsStr) -> clap::Command {
        let command = Self::command();
        if Path::new(program).file_stem() == Some(OsStr::new(PLUGIN)) {
            let command = command.name("kubectl rtenant").bin_name("kubectl rtenant");
            command
                .after_help("`kubectl rtenant COMMAND --help` says more.")
                .mut_subcommand("run", |run| run.hide(true))
        } else {
            command
        }
    }

    /// Parses the command line of this process; an error of usage ends it with 2.
    #[must_use]
    pub fn from_command_line() -> Self {
        let program = std::env::args_os().next().unwrap_or_default();
        let matches = Self::definition(&program).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Runs the subcommand.
    pub fn run(self) -> Result<Outcome, Failed> {
        let plain = |result: Result<(), Failure>| result.map(|()| Outcome::Clean).map_err(Failed::plain);
        let for_people = |result: Result<Outcome, Failure>| result.map_err(Failed::unknown);
        let definition = Self::definition(&std::env::args_os().next().unwrap_or_default());
        match self.command {
            Command::Run(args) => plain(run::run(*args)),
            Command::Smoke(args) => plain(smoke::run(&args)),
            Command::AdminKey(args) => plain(admin_key::run(&args)),
            Command::Crd => plain(crd::run()),
            Command::Contract { command } => plain(contract::run(&command)),
            // Each of the others ends with 0, 1 or 2.
            Command::BugReport(args) => for_people(bug_report::run(&args)),
            Command::Check(args) => for_people(check::run(&args)),
            Command::Status(args) => for_people(status::run(&args)),
            Command::Trace(args) => for_people(trace::run(&args)),
            Command::Validate(args) => for_people(validate::run(&args)),
            Command::Diff(args) => for_people(diff::run(&args)),
            Command::Export(args) => for_people(export::run(&args)),
            Command::Completion(args) => plain(completion::completion(&args, definition)),
            Command::Man(args) => plain(completion::man(&args, definition)),
            Command::Version(args) => for_people(version::run(&args)),
            Command::Inspect(args) => for_people(reach::inspect::run(*args)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        for program in ["runtime-operator", "/usr/local/bin/kubectl-rtenant", "kubectl-rtenant.exe"] {
            Cli::definition(OsStr::new(program)).debug_assert();
        }
    }

    #[test]
    fn a_plugin_of_kubectl_says_its_own_name_and_runs_no_operator() {
        let help = |program: &str| Cli::definition(OsStr::new(program)).render_help().to_string();
        let (own, plugin) = (help("runtime-operator"), help("bin/kubectl-rtenant"));
        assert!(own.contains("Usage: runtime-operator <COMMAND>") && own.contains("\n  run "), "{own}");
        assert!(
            plugin.contains("Usage: kubectl rtenant <COMMAND>") && !plugin.contains("\n  run "),
            "{plugin}"
        );
    }
}
