//! The commands of `docs/admin-http.md` print the documented output, in their order.

use test_support::{DocumentedCommand, Shell, World, documented_commands};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin-http.md"));

/// The latency differs between runs.
fn without_latency(lines: &[String]) -> Vec<String> {
    let cut = |line: &String| match line.split_once("\"latencyMs\":") {
        Some((before, after)) => format!("{before}\"latencyMs\":n{}", after.trim_start_matches(|c| c != '}')),
        None => line.clone(),
    };
    lines.iter().map(cut).collect()
}

#[tokio::test]
async fn the_commands_of_the_admin_page_print_the_documented_output() {
    let world = World::with_own_cluster().await;
    world.exempt_all();
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true");
    let operator = operator.env("ALLOW_RUNTIME_SECRET_READ", "true").start().await;
    let url = operator.admin_url();
    let variables = [("URL", &*url), ("NAMESPACE", world.namespace())];
    let mut bash = Shell::start(world.kubeconfig(), &variables);
    let shown = documented_commands(PAGE);
    assert!(shown.len() > 15, "only {} commands were found", shown.len());

    for DocumentedCommand { command, output } in shown {
        let expected: Vec<_> =
            output.iter().map(|line| line.replace("$NAMESPACE", world.namespace())).collect();
        let (mut printed, _) = bash.run(&command).await;
        // The API server takes a moment to heed a new binding.
        let deadline = tokio::time::Instant::now() + test_support::TIMEOUT;
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
