//! `runtime-operator contract`.

use std::io::Write;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the Runtime Integration Report, which tooling compares with the runtime's
    Report,
    /// Print the description of the admin routes, as OpenAPI 3.1
    Openapi,
}

pub(super) fn call(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Report => Ok(std::io::stdout().write_all(crate::contract::report().as_bytes())?),
        Command::Openapi => {
            let document = format!("{:#}\n", crate::admin::openapi::document());
            Ok(std::io::stdout().write_all(document.as_bytes())?)
        }
    }
}
