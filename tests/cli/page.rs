//! The page of the command line, generated from the help of each command.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use runtime_operator::cli::Cli;

/// The commands that are no commands for people.
const OTHERS: [&str; 6] = ["run", "smoke", "admin-key", "crd", "contract", "help"];
const BEGIN: &str = "<!-- begin: commands -->\n";
const END: &str = "<!-- end: commands -->";

fn generated() -> String {
    let mut cli = Cli::definition(OsStr::new("kubectl-rtenant")).term_width(100);
    cli.build();
    let names: Vec<String> = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && !OTHERS.contains(&command.get_name()))
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut text = String::new();
    for name in names {
        let help = cli.find_subcommand_mut(&name).unwrap().render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        write!(text, "\n### {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    }
    text.push('\n');
    text
}

/// `UPDATE=1 cargo test --test cli page` writes it.
#[test]
fn the_page_has_the_help_of_each_command() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = fs::read_to_string(&file).unwrap();
    let start = page.find(BEGIN).unwrap() + BEGIN.len();
    let end = page.find(END).unwrap();
    let generated = generated();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, [&page[..start], &generated, &page[end..]].concat()).unwrap();
        return;
    }
    assert!(page[start..end] == generated, "docs/cli.md is stale: run `UPDATE=1 cargo test --test cli page`");
}

/// Every command shows two ways to call it.
#[test]
fn the_help_of_each_command_has_two_examples() {
    let cli = Cli::definition(OsStr::new("kubectl-rtenant"));
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        if OTHERS.contains(&command.get_name()) {
            continue;
        }
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let count = examples.lines().filter(|line| line.starts_with("  kubectl rtenant ")).count();
        assert!(count >= 2, "{}: {examples}", command.get_name());
    }
}
