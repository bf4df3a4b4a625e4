//! Does what the pure rooms do for one event, many times over and for one part after the other, under callgrind:
//! `tests/counts.rs` runs it and says what it is for.
//!
//! `instructions TENANTS` prints the names of the parts in the order in which they are counted. The rooms are compiled
//! in here once more, with full optimisation: no Kubernetes client and no runtime is in what is counted, and the tests
//! need no release build.

#![allow(clippy::expect_used, reason = "what it works on is made here, and is valid")]

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

/// What callgrind counts, by this name: from here until it returns, and nothing else.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}
