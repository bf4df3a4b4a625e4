//! The command line of runtime-operator.

use std::process::ExitCode;

use clap::Parser;
use runtime_operator::cli::{Cli, explain};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime-operator: {}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}
