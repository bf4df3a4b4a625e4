//! `runtime-operator contract`.

use std::io::Write;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the Runtime Integration Report, which tooling compares with the runtime's
    Report,
}

pub(super) fn call(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Report => Ok(std::io::stdout().write_all(crate::contract::report().as_bytes())?),
    }
}
