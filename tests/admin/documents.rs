//! `docs/admin-http.md` does what it says: its commands are run, in their order, and print what it shows.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::support::World;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin-http.md"));
const END: &str = "-- end of a command --";

/// A command of the page and what it prints.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn shown() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let (mut inside, mut continued) = (false, false);
    for line in PAGE.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    all.push(Shown { command: command.to_owned(), output: Vec::new() });
                } else if continued {
                    let command = &mut all.last_mut().unwrap().command;
                    command.push('\n');
                    command.push_str(line);
                } else {
                    all.last_mut().unwrap().output.push(line.to_owned());
                }
                continued = line.ends_with('\\');
            }
            _ => {}
        }
    }
    all
}

/// One shell for all, so that variables last.
struct Shell {
    commands: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    async fn run(&mut self, command: &str) -> Vec<String> {
        self.commands.write_all(format!("{command}\necho; echo '{END}'\n").as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.output.next_line().await.unwrap().expect("the shell runs on");
            if line == END {
                break;
            }
            lines.push(line);
        }
        // Of `echo`, and of output that ends in no newline.
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}

/// The number differs each time.
fn without_latency(lines: &[String]) -> Vec<String> {
    let cut = |line: &String| match line.split_once("\"latencyMs\":") {
        Some((before, after)) => format!("{before}\"latencyMs\":n{}", after.trim_start_matches(|c| c != '}')),
        None => line.clone(),
    };
    lines.iter().map(cut).collect()
}

#[tokio::test]
async fn the_page_of_the_admin_routes_is_true_command_by_command() {
    let world = World::with_own_cluster().await;
    world.exempt_all();
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true");
    let operator = operator.env("ALLOW_RUNTIME_SECRET_READ", "true").start().await;
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/bin");
    let mut shell = Command::new("bash")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap()))
        .env("KUBECONFIG", world.kubeconfig())
        .env("URL", operator.admin_url())
        .env("NAMESPACE", world.namespace())
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = BufReader::new(shell.stdout.take().unwrap()).lines();
    let mut bash = Shell { commands: shell.stdin.take().unwrap(), output };
    let shown = shown();
    assert!(shown.len() > 15, "only {} commands were found", shown.len());

    for Shown { command, output } in shown {
        let expected: Vec<_> =
            output.iter().map(|line| line.replace("$NAMESPACE", world.namespace())).collect();
        let mut printed = bash.run(&command).await;
        // The API server takes a moment to heed a new binding.
        let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
        while command.contains("auth can-i") && printed != expected && tokio::time::Instant::now() < deadline
        {
            printed = bash.run(&command).await;
        }
        assert_eq!(
            without_latency(&printed),
            without_latency(&expected),
            "{command}\n{}",
            operator.log_tail()
        );
    }
    world.close().await;
}
