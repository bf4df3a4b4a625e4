//! The command line of runtime-operator.

use std::process::ExitCode;

use runtime_operator::cli::{Cli, explain};

fn main() -> ExitCode {
    match Cli::from_command_line().run() {
        Ok(outcome) => outcome.into(),
        Err(failed) => {
            eprintln!("runtime-operator: {}", explain(&*failed.failure));
            ExitCode::from(failed.code)
        }
    }
}
