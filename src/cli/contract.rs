//! `runtime-operator contract`.

use std::io::Write;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the Runtime Integration Report: keys, config, environment and routes
    #[command(
        long_about = "Print the Runtime Integration Report as Markdown: Redis keys, a representative config, \
                            environment variables, normalisation and the errors of each route. It is generated from \
                            the tables that the code uses, for tooling that compares it with the runtime's own report."
    )]
    Report,
    /// Print the description of the admin routes as OpenAPI 3.1
    Openapi,
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Report => Ok(std::io::stdout().write_all(crate::contract::report().as_bytes())?),
        Command::Openapi => {
            let document = format!("{:#}\n", crate::admin::openapi::document());
            Ok(std::io::stdout().write_all(document.as_bytes())?)
        }
    }
}
