//! `docs/admin-http.md` does what it says: its commands are run, in their order, and print what it shows.

use crate::support::{Shell, Shown, World, commands_of};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin-http.md"));

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
    let url = operator.admin_url();
    let variables = [("URL", &*url), ("NAMESPACE", world.namespace())];
    let mut bash = Shell::start(world.kubeconfig(), &variables);
    let shown = commands_of(PAGE);
    assert!(shown.len() > 15, "only {} commands were found", shown.len());

    for Shown { command, output } in shown {
        let expected: Vec<_> =
            output.iter().map(|line| line.replace("$NAMESPACE", world.namespace())).collect();
        let (mut printed, _) = bash.run(&command).await;
        // The API server takes a moment to heed a new binding.
        let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
        while command.contains("auth can-i") && printed != expected && tokio::time::Instant::now() < deadline
        {
            (printed, _) = bash.run(&command).await;
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
