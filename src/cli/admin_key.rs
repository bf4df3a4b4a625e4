//! `runtime-operator admin-key`.

use std::io::Write;

use clap::Args;

use super::failure::Failure;
use crate::admin::{NewKey, Role};

#[derive(Args, Debug)]
pub(super) struct AdminKeyArgs {
    /// Name of the key, which logs show
    name: String,
    /// What its holder may do: reader, editor or secret-reader
    role: Role,
}

pub(super) fn run(args: &AdminKeyArgs) -> Result<(), Failure> {
    let NewKey { key, line } = NewKey::random(&args.name, args.role)?;
    let text = format!(
        "# The key, for its holder alone. It is shown only here.\n{key}\n\
         # The line for the file of --runtime-admin-key-file.\n{line}\n"
    );
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
