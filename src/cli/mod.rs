//! The command line: one file a subcommand.

mod check;
mod contract;
mod crd;
mod run;

use clap::{Parser, Subcommand};

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
                      SIGTERM or Ctrl-C.\n\nThe cluster is found as kubectl finds it: the one it runs in, else \
                      KUBECONFIG, else ~/.kube/config. Every flag can be an environment variable instead; a flag wins. \
                      All settings are checked at start, and all that is wrong with them is told at once. A BOOL is true \
                      or false (1, yes, on; 0, no, off); a flag alone is true.",
        after_long_help = "RUST_LOG sets what is logged: warn, info (the default), debug, or runtime_operator=trace.\n\n\
                           Example, on your machine against the cluster that kubectl talks to:\n  \
                           runtime-operator run --redis-url redis://localhost:6379/0",
        // What is set may be nobody's business.
        mut_args = |arg| arg.hide_env_values(true)
    )]
    Run(Box<crate::settings::RunArgs>),
    /// Have a running operator publish a tenant, look it up, and delete it again
    #[command(
        long_about = "Have a running operator publish a tenant, look it up by the admin routes, and delete it again: what \
                      `helm test` runs. It makes the RuntimeTenant and the Secret runtime-operator-check, needs the rights \
                      to create, get and delete them, and fails with the reason when something is not so in time.",
        after_help = "Example:\n  runtime-operator check --namespace voice --admin-url http://runtime-operator:8080"
    )]
    Check(check::CheckArgs),
    /// Print the CRD of RuntimeTenant as YAML
    #[command(after_help = "Example:\n  runtime-operator crd | kubectl apply -f -")]
    Crd,
    /// Print what the voice runtime and its tooling rely on
    Contract {
        #[command(subcommand)]
        command: contract::Command,
    },
}

/// Why a subcommand failed: one line, or several indented ones, for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Cli {
    /// Does what the command line says.
    pub fn call(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => run::call(*args),
            Command::Check(args) => check::call(&args),
            Command::Crd => crd::call(),
            Command::Contract { command } => contract::call(&command),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
