//! The command line: one file for each subcommand.

mod adapters;
mod admin_key;
mod cluster;
mod contract;
mod crd;
mod failure;
mod run;
mod smoke;
mod stop;

use clap::{Parser, Subcommand};

pub use adapters::metrics;
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
}

impl Cli {
    /// Runs the subcommand.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => run::run(*args),
            Command::Smoke(args) => smoke::run(&args),
            Command::AdminKey(args) => admin_key::run(&args),
            Command::Crd => crd::run(),
            Command::Contract { command } => contract::run(&command),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        Cli::command().debug_assert();
    }
}
