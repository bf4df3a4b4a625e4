//! The three that judge a document agree: the contract, the API server with the CRD, and `POST …/config`. Documents are
//! generated from the contract's own tables: every member with a pool of good, edge and bad values, then several together.
//!
//! `CASES=300 cargo test --test agreement` tries fewer of them, `CASES=10000` all. Where the API server differs, the difference has a name and a
//! reason, which docs/reference.md lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod cases;
mod differences;
mod page;
mod pool;
mod post;
mod predict;
mod resource;
mod same;
mod schema;
mod texts;

use std::collections::BTreeSet;

use test_support::World;

use cases::{Case, cases};
use differences::Difference;
use post::Admin;
use resource::Resource;

/// The number of documents that are in work at the same time, each for a tenant of its own.
const LANES: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn contract_api_server_and_admin_route_agree_about_every_document() {
    let world = World::new().await;
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUNTIME_ADMIN_AUTH", "none");
    let operator = operator.env("RUST_LOG", "error,audit=off").start().await;
    let all = cases();
    let resource = Resource::of(&world);
    let admin = Admin::new(operator.admin_url());

    let number = all.len();
    let mut lanes: Vec<Vec<Case>> = (0..LANES).map(|_| Vec::new()).collect();
    all.into_iter().enumerate().for_each(|(number, case)| lanes[number % LANES].push(case));
    let lane = async |(lane, cases): (usize, Vec<Case>)| {
        let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
        for case in cases {
            let (of_kube, of_route) = tokio::join!(resource.judge(&case), admin.judge(&world, &case, lane));
            let mut fault = |fault: String| wrong.push(format!("{}: {fault}", case.name));
            match of_kube {
                Ok(differences) => seen.extend(differences),
                Err(text) => fault(text),
            }
            of_route.unwrap_or_else(fault);
        }
        (seen, wrong)
    };
    let judged = futures::future::join_all(lanes.into_iter().enumerate().map(lane)).await;
    let (seen, wrong): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
    let (seen, mut wrong): (BTreeSet<_>, Vec<_>) =
        (seen.into_iter().flatten().collect(), wrong.into_iter().flatten().collect());

    if !wrong.is_empty() {
        wrong.sort_unstable();
        let many = wrong.len();
        wrong.truncate(60);
        panic!("{many} of {number} documents:\n{}", wrong.join("\n"));
    }
    let missing: Vec<_> = Difference::ALL.iter().filter(|named| !seen.contains(named)).collect();
    assert!(missing.is_empty(), "none of {number} documents shows {missing:?}: remove it from the list");
    world.finish().await;
}
