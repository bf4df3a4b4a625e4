//! The command line of runtime-operator.

use std::process::ExitCode;

use clap::Parser;
use runtime_operator::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().call() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
