//! The command line of runtime-operator.

use std::process::ExitCode;

use clap::Parser;
use runtime_operator::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
