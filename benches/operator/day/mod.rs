//! The load of a bad day: concurrent edits, rotations and lookups, while Redis is slow. It is an open loop: requests are sent when
//! they are due, and late responses count from then.

mod edits;
mod lookups;
mod reader;
mod samples;
mod truth;

use std::time::{Duration, Instant};

use local_cluster::{Toxic, Toxiproxy, Way};

use crate::figure::{Figure, Goal};
use crate::load::{self, Tenant};
use crate::report::{Report, Row};
use crate::site::Site;
use crate::usage::Usage;
use edits::Pace;
use samples::Samples;

/// The additional latency of Redis.
const LATENCY: Duration = Duration::from_millis(5);
/// Per second.
const EDITS: u64 = 200;
const ROTATIONS: u64 = 20;
/// A backlog is bounded if it never exceeds the edits of this many seconds.
const BEHIND: u64 = 2;
/// The allowed growth of memory under the load, as a factor of its first quarter.
const FLAT: f64 = 1.1;

/// Runs the load; returns true if nothing was lost, broken or unbounded.
pub async fn measure(tenants: usize, lasts: Duration) -> bool {
    let mut report = Report::new("day", tenants);
    report.section(&format!("a bad day of {lasts:?}"));
    let site = Site::start().await;
    let proxy = Toxiproxy::start().await.unwrap();
    let edge = proxy.edge("redis", &site.redis.address()).await.unwrap();
    let url = format!("redis://{}/0", edge.address());
    let admin = [("REDIS_URL", &*url), ("ENABLE_RUNTIME_ADMIN", "true"), ("RUNTIME_ADMIN_AUTH", "none")];
    let operator = site.operator_with(&admin).await;
    let all = (0..tenants).map(|number| Tenant::numbered("t", number));
    let began = Instant::now();
    load::all(all, 2 * load::CONCURRENCY, |tenant| {
        let site = &site;
        async move { load::create(site, &tenant).await }
    })
    .await;
    operator.wait_ready(tenants, began).await;
    site.wait_settled(&operator).await;

    report.say(&format!("{EDITS} edits and {ROTATIONS} rotations a second for {lasts:?}"));
    edge.add(Toxic::Latency(LATENCY), Way::Back).await.unwrap();
    let (before, began, cpu) = (Usage::of(&site, &operator).await, Instant::now(), operator.cpu());
    let reader = reader::Reader::start(&site, tenants);
    let lookups = lookups::start(operator.admin(), tenants);
    let pace = Pace { edits: EDITS, rotations: ROTATIONS, lasts };
    let (latencies, samples) = Samples::during(&operator, edits::run(&site, tenants, pace)).await;
    let share = operator.cpu().saturating_sub(cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let lookups = lookups.finish().await;
    let changes = (EDITS + ROTATIONS) * lasts.as_secs();
    let cost = before.cost(&site, &operator, changes as usize).await;
    let broken = reader.finish().await;
    let lost = truth::differences(&site).await;

    for text in broken.faults.iter().chain(&lost).take(20) {
        report.say(text);
    }
    let spread = |name: &str, spread| Row::new(name, Figure::Spread(spread));
    let count = |name: String, count: usize, most| {
        Row::new(name, Figure::Count(count as u64)).goal(Goal::AtMost(most))
    };
    report.row(spread("edit due -> acknowledged by the API server", latencies.acknowledged));
    report.row(spread("edit due -> readable", latencies.edits));
    report.row(spread("edit acknowledged -> readable", latencies.behind));
    report.row(spread("rotation due -> readable", latencies.rotations));
    report.row(spread("lookup by DID", lookups.took));
    report.row(count("lookups without the tenant in the response".to_owned(), lookups.failed, 0));
    let deepest = samples.deepest;
    report.row(count(
        "largest reconcile queue".to_owned(),
        deepest.reconcile as usize,
        BEHIND * (EDITS + ROTATIONS),
    ));
    report.row(
        Row::new("largest status queue", Figure::Count(deepest.status)).goal(Goal::AtMost(tenants as u64)),
    );
    let ((early, late), peak) = (samples.early_and_late(), operator.memory().1);
    let growth = late as f64 / early as f64;
    report.row(Row::new("memory in the first quarter of the load", Figure::Memory(early, early)));
    let name = format!("memory in the last quarter ({growth:.2}x, at most {FLAT}x)");
    report.row(Row::new(name, Figure::Memory(late, peak)));
    report.row(Row::new("the operator's share of one core", Figure::Share(share)).cost(cost));
    report.row(count(format!("promises broken in {} readings", broken.readings), broken.faults.len(), 0));
    report.row(count("differences between Redis and the resources at the end".to_owned(), lost.len(), 0));
    let good = report.is_good() && growth <= FLAT;
    report.finish();
    good
}
