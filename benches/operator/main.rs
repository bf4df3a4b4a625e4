//! How fast the operator is, against what the API server and Redis themselves allow, measured in one run on a real
//! local cluster: `make bench`, with `N` tenants (1,000 by default).
//!
//! Prints one Markdown table, and writes it with a JSON file of the same figures to `target/bench/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a run that fails has no figures")]
#![allow(missing_docs, clippy::cast_precision_loss, reason = "figures are for people")]

mod handover;
mod load;
mod report;
mod site;

use std::time::{Duration, Instant};

use report::{Report, Spread};
use site::Site;

/// How often each idle latency is measured.
const SAMPLES: usize = 200;
/// Between two samples of drift, so that each begins at rest.
const REST: Duration = Duration::from_millis(20);
/// How often everything is lost.
const FLUSHES: usize = 5;

fn main() {
    // `cargo test --benches` only asks whether it builds and starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let tenants = std::env::var("N").ok().map_or(1000, |text| text.parse().expect("N must be a number"));
    tokio::runtime::Runtime::new().unwrap().block_on(run(tenants));
}

async fn run(tenants: usize) {
    let mut report = Report::new(tenants);
    report.say("starting a cluster and a Redis");
    let site = Site::start().await;

    report.say("the raw limit: creating resources with no operator");
    let raw_create = load::create_all(&site, "raw", tenants).await;
    let raw_list = load::list_all(&site).await;
    report.time("raw: create all", raw_create, None);
    report.time("raw: list all", raw_list, None);
    load::delete_all(&site, "raw").await;
    load::create_secrets(&site, tenants).await;

    report.say("all applied at once");
    let operator = site.operator().await;
    let began = Instant::now();
    let create = load::create_all(&site, "t", tenants);
    let readable = site.wait_keys(tenants);
    let (_, ()) = tokio::join!(create, readable);
    report.time("all applied at once -> all readable", began.elapsed(), Some(("raw creates", raw_create)));
    site.wait_ready(tenants).await;
    report.time("all applied at once -> all Ready", began.elapsed(), Some(("raw creates", raw_create)));
    report.memory("after the bulk", &operator);

    report.say("idle latencies");
    report.spread("apply acknowledged -> readable", &sample_applies(&site).await);
    report.spread("Secret rotated -> readable", &sample_rotations(&site).await);
    report.spread("foreign DEL -> repaired", &sample_drift(&site).await);
    report.spread("foreign SET -> repaired", &sample_redirects(&site).await);
    report.spread("deleted -> keys gone", &sample_deletes(&site).await);

    report.say("FLUSHALL");
    let keys = site.keys().await;
    let mut flushes = Spread::default();
    for _ in 0..FLUSHES {
        let began = Instant::now();
        site.flush().await;
        site.wait_keys(keys).await;
        flushes.add(began.elapsed());
        site.wait_settled(&operator).await;
    }
    report.spread("FLUSHALL -> all back", &flushes);

    report.say("restart with nothing changed");
    operator.process.stop().await.unwrap();
    let writes = site.redis_writes().await;
    let versions = site.newest_version().await;
    let raw_list = load::list_all(&site).await;
    let began = Instant::now();
    operator.process.restart().await.unwrap();
    operator.wait_checked(tenants).await;
    report.time(
        "restart, nothing changed -> everything checked",
        began.elapsed(),
        Some(("raw list", raw_list)),
    );
    site.wait_settled(&operator).await;
    report.count("restart: Redis writes", site.redis_writes().await - writes);
    report.count("restart: resources written to", site.written_since(versions).await);
    report.memory("after the restart", &operator);

    report.say("at rest");
    let (before, cpu) = (site.redis_calls().await, operator.cpu());
    tokio::time::sleep(Duration::from_secs(10)).await;
    report.count("at rest: Redis commands in 10 s", site.redis_calls().await - before);
    report.ratio("at rest: share of one core", operator.cpu().saturating_sub(cpu).as_secs_f64() / 10.0);

    report.say("hand-over");
    let (graceful, operator) = handover::stops(&site, operator).await;
    report.spread("hand-over: leader stopped -> next one writes (goal 2 s)", &graceful);
    report.spread(
        "hand-over: leader killed -> next one writes (goal 17 s)",
        &handover::crashes(&site, operator).await,
    );
    report.finish();
}

async fn sample_applies(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = load::Tenant::numbered("idle", sample);
        load::create(site, &tenant).await;
        let acknowledged = Instant::now();
        site.wait_key(&tenant.did_key(), true).await;
        spread.add(acknowledged.elapsed());
        site.wait_quiet(&tenant).await;
    }
    spread
}

async fn sample_rotations(site: &Site) -> Spread {
    let mut spread = Spread::default();
    let tenant = load::Tenant::numbered("idle", 0);
    for sample in 0..SAMPLES {
        let value = format!("rotated-{sample}");
        load::rotate(site, &tenant, &value).await;
        let acknowledged = Instant::now();
        site.wait_config(&tenant, &value).await;
        spread.add(acknowledged.elapsed());
    }
    spread
}

/// Another tenant each time: what is broken again and again is repaired at a bounded rate.
async fn sample_drift(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = load::Tenant::numbered("idle", sample);
        site.delete_key(&tenant.did_key()).await;
        let broken = Instant::now();
        site.wait_key(&tenant.did_key(), true).await;
        spread.add(broken.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}

async fn sample_redirects(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = load::Tenant::numbered("idle", sample);
        site.set_key(&tenant.config_key(), "broken").await;
        let broken = Instant::now();
        site.wait_config(&tenant, &tenant.name).await;
        spread.add(broken.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}

async fn sample_deletes(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = load::Tenant::numbered("idle", sample);
        load::delete(site, &tenant).await;
        let acknowledged = Instant::now();
        site.wait_key(&tenant.did_key(), false).await;
        spread.add(acknowledged.elapsed());
    }
    spread
}
