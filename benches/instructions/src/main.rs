//! Runs the parts of the pure rooms under callgrind, each for many events; `tests/counts.rs` runs it and says why.
//!
//! `instructions TENANTS` prints the names of the parts in the order in which they are counted.

#![allow(clippy::expect_used, reason = "the input is made here, and is valid")]

// The rooms are included by path, since a dependency on the operator's library can't give these counts: the counted
// binary must hold these rooms alone, without tokio and the Kubernetes client, and compiled as in a release (opt-level 3,
// one codegen unit) while the rest of the tests is compiled without optimisation.
#[path = "../../../src/api/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other rooms use the rest")]
mod api;
#[path = "../../../src/contract/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other rooms use the rest")]
mod contract;
#[path = "../../../src/domain/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other rooms use the rest")]
mod domain;
mod parts;

use std::process::ExitCode;

use parts::{PARTS, Site};

fn main() -> ExitCode {
    let Some(tenants) = std::env::args().nth(1).and_then(|tenants| tenants.parse().ok()) else {
        eprintln!("usage: instructions TENANTS");
        return ExitCode::FAILURE;
    };
    let mut site = Site::of(tenants);
    for (name, prepare) in PARTS {
        let mut work = prepare(&mut site);
        counted(&mut *work);
        drop(work);
        println!("{name}");
    }
    ExitCode::SUCCESS
}

/// Callgrind counts the instructions of this function alone, which it finds by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}
