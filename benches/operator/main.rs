//! Measures how fast the operator is, compared with the limits of the API server and Redis, in one run on a real local
//! cluster: `make bench`, with `N` tenants (1,000 by default), or only some groups of rows (`ROWS=flush,restart`).
//! `make bench-growth` measures growth with the number of tenants (`SIZES`), `make bench-day` the load of a bad day,
//! `make bench-attack` memory and fairness under attack, `cargo bench --bench operator -- crd OLD.yaml` creates with another CRD.
//!
//! Prints Markdown tables, and writes them and a JSON file of the same figures to `target/bench/`; with `UPDATE=1` it also
//! updates `docs/performance.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a run that fails has no figures")]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are for people"
)]

mod attack;
mod crd;
mod day;
mod figure;
mod fit;
mod giant;
mod growth;
mod handover;
mod hostile;
mod idle;
mod keyspace;
mod limits;
mod load;
mod machine;
mod memory;
mod operator;
mod page;
mod plot;
mod profile;
mod report;
mod requests;
mod site;
mod table;
mod usage;

use std::time::Duration;

fn main() {
    // `cargo test --benches` only checks that it builds and starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("{text} is not a number"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let good = match std::env::args().nth(1).as_deref() {
        Some("attack") => {
            let scale = variable("SCALE").map_or(1.0, |text| text.parse().expect("SCALE is a number"));
            runtime.block_on(attack::measure(scale))
        }
        Some("crd") => {
            let other = std::env::args().nth(2).expect("crd needs the file of another CRD");
            let creates = variable("N").map_or(300, |text| number(&text));
            let rounds = variable("ROUNDS").map_or(5, |text| number(&text));
            runtime.block_on(crd::measure(&other, creates, rounds))
        }
        Some("growth") => {
            let sizes = variable("SIZES").unwrap_or_else(|| "300,1000,3000,10000,30000".to_owned());
            let sizes: Vec<usize> = sizes.split(',').map(number).collect();
            runtime.block_on(growth::measure(&sizes))
        }
        Some("day") => {
            let tenants = variable("N").map_or(10_000, |text| number(&text));
            let seconds = variable("SECONDS").map_or(60, |text| number(&text));
            runtime.block_on(day::measure(tenants, Duration::from_secs(seconds as u64)))
        }
        _ => {
            let tenants = variable("N").map_or(1000, |text| number(&text));
            runtime.block_on(table::measure(tenants, &table::Groups::named(variable("ROWS"))));
            true
        }
    };
    drop(runtime);
    std::process::exit(i32::from(!good));
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
