//! The command line: one file a subcommand.

mod contract;
mod crd;
mod run;

use clap::{Parser, Subcommand};

/// Keeps the Redis keys that a voice runtime reads on every call exactly equal to RuntimeTenant resources
#[derive(Debug, Parser)]
#[command(name = "runtime-operator", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller and the admin server
    #[command(
        long_about = "Run the controller and the admin server in one process.\n\nEvery flag can be given as an \
                      environment variable instead. The cluster is found as kubectl finds it: in-cluster, else \
                      KUBECONFIG, else ~/.kube/config.",
        after_long_help = "RUST_LOG sets what is logged: info (the default), debug, or runtime_operator=trace.\n\n\
                           Example:\n  runtime-operator run --redis-url redis://localhost:6379/0 --leader-elect=false"
    )]
    Run(Box<crate::settings::RunArgs>),
    /// Print the CustomResourceDefinition, as YAML for kubectl apply -f -
    Crd,
    /// What the voice runtime and its tooling rely on
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
