//! `runtime-operator completion` and `man`: what shells and manuals know of the command line, generated from its definition.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::common::print_result;
use super::failure::Failure;

/// The flags of `completion`.
#[derive(Args, Debug)]
pub(super) struct CompletionArgs {
    /// Shell to complete for
    shell: Shell,
}

/// The flags of `man`.
#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Folder to write the pages to, which exists
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the script that completes this command line.
pub(super) fn completion(args: &CompletionArgs, mut definition: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    // kubectl completes a plugin by a program of its own name.
    let name = std::env::args_os().next().unwrap_or_else(|| OsString::from("runtime-operator"));
    let name = std::path::Path::new(&name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    clap_complete::generate(args.shell, &mut definition, name, &mut script);
    print_result(&String::from_utf8(script)?)
}

/// Writes a page for each command.
pub(super) fn man(args: &ManArgs, definition: Command) -> Result<(), Failure> {
    let written = clap_mangen::generate_to(definition, &args.folder);
    written.map_err(|error| format!("{}: {error}", args.folder.display()).into())
}
