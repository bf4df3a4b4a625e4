//! How fast the operator is, against what the API server and Redis themselves allow, measured in one run on a real
//! local cluster: `make bench`, with `N` tenants (1,000 by default), or only some groups of rows (`ROWS=flush,restart`).
//!
//! Prints Markdown tables, and writes them with a JSON file of the same figures to `target/bench/`; with `UPDATE=1` into
//! `docs/performance.md` too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a run that fails has no figures")]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are for people"
)]

mod figure;
mod giant;
mod handover;
mod idle;
mod keyspace;
mod limits;
mod load;
mod machine;
mod operator;
mod page;
mod report;
mod requests;
mod site;
mod table;
mod usage;

fn main() {
    // `cargo test --benches` only asks whether it builds and starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let tenants = variable("N").map_or(1000, |text| text.parse().expect("N must be a number"));
    let groups = table::Groups::named(variable("ROWS"));
    tokio::runtime::Runtime::new().unwrap().block_on(table::measure(tenants, &groups));
}
