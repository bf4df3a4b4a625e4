//! Runs the commands of a documentation page as its reader would.
//!
//! In a fence ```` ```console ```` a line that begins with `$ ` is a command, and the lines after it are its output: `...` in
//! them stands for any text, `$NAME` for a variable's value. A command without output must succeed and may print anything. A
//! command that can't run here is in another fence, below a line that says `needs a real cluster`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use regex::Regex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const END: &str = "-- end of a command --";

/// A command of a page and its output.
#[derive(Debug)]
pub struct DocumentedCommand {
    pub command: String,
    pub output: Vec<String>,
}

/// Returns the commands of a page in their order. Panics at a fence that is neither run nor says why it is not.
pub fn documented_commands(page: &str) -> Vec<DocumentedCommand> {
    let mut all: Vec<DocumentedCommand> = Vec::new();
    let (mut fence, mut continued, mut before) = (None, false, "");
    for line in page.lines() {
        match (fence, line) {
            (Some(_), "```") => (fence, continued) = (None, false),
            (None, line) if line.starts_with("```") => {
                let kind = &line[3..];
                let said = before.contains("needs a real cluster");
                assert!(
                    matches!(kind, "console" | "yaml" | "json" | "text" | "toml") || said,
                    "{line} after {before:?}: say console, so that it is run, or that it needs a real cluster"
                );
                fence = Some(kind);
            }
            (Some("console"), line) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    all.push(DocumentedCommand { command: command.to_owned(), output: Vec::new() });
                } else if continued {
                    let command = &mut all.last_mut().unwrap().command;
                    command.push('\n');
                    command.push_str(line);
                } else {
                    all.last_mut().expect("a command comes first").output.push(line.to_owned());
                }
                // A here-document ends with a line of its own.
                let open = all.last().is_some_and(|shown| {
                    let text = &shown.command;
                    text.contains("<<'EOF'") && !text.ends_with("\nEOF")
                });
                continued = line.ends_with('\\') || open;
            }
            _ => {}
        }
        if !line.trim().is_empty() {
            before = line;
        }
    }
    all
}

/// A shell in the repository's folder, with the tools of the tests. All commands share it, so that variables last.
pub struct Shell {
    _process: Child,
    commands: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    variables: Vec<(String, String)>,
}

impl Shell {
    /// Starts it with these variables, which are also replaced in the output that a page shows.
    pub fn start(kubeconfig: &Path, variables: &[(&str, &str)]) -> Self {
        let root = std::fs::canonicalize(crate::REPOSITORY).unwrap();
        let root = root.display().to_string();
        // Cargo puts the operator's program above the tests.
        let program = std::env::current_exe().unwrap();
        let programs = program.parent().and_then(Path::parent).unwrap().display();
        let mut process = Command::new("bash")
            .current_dir(&root)
            .env("PATH", format!("{root}/tools/bin:{programs}:{}", std::env::var("PATH").unwrap()))
            .env("KUBECONFIG", PathBuf::from(kubeconfig))
            .env("no_proxy", "127.0.0.1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let commands = process.stdin.take().unwrap();
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { _process: process, commands, output, variables }
    }

    /// Runs one command; returns its lines, those of standard error too, and its status.
    pub async fn run(&mut self, command: &str) -> (Vec<String>, i32) {
        let line = format!("{{ {command}\n}} 2>&1 </dev/null\necho; echo '{END}' $?\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        let status = loop {
            let line = self.output.next_line().await.unwrap().expect("the shell is still running");
            if let Some(status) = line.strip_prefix(END) {
                break status.trim().parse().unwrap();
            }
            lines.push(line);
        };
        // Printed by `echo`, and by output that ends in no newline.
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        (lines, status)
    }

    /// Returns true if these lines match the output that a page shows.
    pub fn matches(&self, printed: &[String], shown: &[String]) -> bool {
        printed.len() == shown.len()
            && shown.iter().zip(printed).all(|(shown, printed)| {
                let mut shown = shown.clone();
                for (name, value) in &self.variables {
                    shown = shown.replace(&format!("${name}"), value);
                }
                let pattern: Vec<String> = shown.split("...").map(regex::escape).collect();
                Regex::new(&format!("^{}$", pattern.join(".*"))).unwrap().is_match(printed.trim_end())
            })
    }

    /// Runs every command of a page. The first one that fails, or prints something else, fails the test; commands that only
    /// read are retried until the timeout.
    pub async fn run_page(&mut self, name: &str, page: &str) -> usize {
        let all = documented_commands(page);
        for DocumentedCommand { command, output } in &all {
            let deadline = tokio::time::Instant::now() + super::TIMEOUT;
            loop {
                let (printed, status) = self.run(command).await;
                let good = if output.is_empty() { status == 0 } else { self.matches(&printed, output) };
                if good {
                    break;
                }
                let reads = ["kubectl get", "kubectl auth", "curl -s $", "redis-cli"];
                let again = reads.iter().any(|start| command.starts_with(start));
                assert!(
                    again && tokio::time::Instant::now() < deadline,
                    "{name}: {command}\nends with {status} and prints\n{}\nand not\n{}",
                    printed.join("\n"),
                    output.join("\n")
                );
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        all.len()
    }
}
