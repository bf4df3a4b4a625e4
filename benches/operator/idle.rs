//! Measures single events, each on an idle operator.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Goal, Spread};
use crate::limits::{Limits, Single};
use crate::load::{self, Tenant};
use crate::operator::Operator;
use crate::report::{Report, Row};
use crate::site::Site;
use crate::usage::Usage;

/// The number of samples of each latency.
pub const SAMPLES: usize = 200;
/// The pause between two samples, in which status, finalizer and event of the previous one are written.
const REST: Duration = Duration::from_millis(60);

/// Measures every kind of event of one tenant.
pub async fn measure(site: &Site, operator: &Operator, limits: &Limits, report: &mut Report) {
    let single = limits.single.as_ref();
    let row = |name, spread, (p50, p99), goal, limit, cost| {
        let row = Row::new(name, Figure::Spread(spread)).baseline(Goal::Millis(p50, p99)).goal(goal);
        row.limit("API server and Redis", limit).cost(cost)
    };

    let before = Usage::of(site, operator).await;
    let spread = applies(site, "idle").await;
    let cost = before.cost(site, operator, SAMPLES).await;
    let limit = single.map(Single::edit);
    report.row(row(
        "apply acknowledged -> readable",
        spread,
        (1.2, 6.3),
        Goal::Millis(1.0, 4.0),
        limit,
        cost,
    ));

    let before = Usage::of(site, operator).await;
    let spread = rotations(site, "idle").await;
    let cost = before.cost(site, operator, SAMPLES).await;
    let limit = single.map(Single::edit);
    report.row(row("Secret rotated -> readable", spread, (0.6, 1.5), Goal::Millis(3.0, 8.0), limit, cost));

    let before = Usage::of(site, operator).await;
    let spread = lost_keys(site).await;
    let cost = before.cost(site, operator, SAMPLES).await;
    let limit = single.map(Single::repair);
    report.row(row("external DEL -> repaired", spread, (18e3, 63e3), Goal::Millis(2.0, 10.0), limit, cost));

    let before = Usage::of(site, operator).await;
    let spread = overwritten_keys(site).await;
    let cost = before.cost(site, operator, SAMPLES).await;
    report.row(row("external SET -> repaired", spread, (18e3, 63e3), Goal::Millis(2.0, 10.0), limit, cost));

    let before = Usage::of(site, operator).await;
    let spread = deletions(site, "idle").await;
    let cost = before.cost(site, operator, SAMPLES).await;
    let limit = single.map(Single::deletion);
    report.row(row("deleted -> keys gone", spread, (1.0, 4.1), Goal::Millis(1.0, 4.0), limit, cost));
}

/// Creates tenants of a series.
pub async fn applies(site: &Site, series: &str) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = Tenant::numbered(series, sample);
        load::create(site, &tenant).await;
        let acknowledged = Instant::now();
        site.keys.wait_key(&tenant.did_key(), true).await;
        spread.add(acknowledged.elapsed());
        load::wait_status(site, &tenant).await;
        tokio::time::sleep(REST).await;
    }
    spread
}

pub async fn rotations(site: &Site, series: &str) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = Tenant::numbered(series, sample);
        let value = format!("rotated-{sample}");
        load::rotate(site, &tenant, &value).await;
        let acknowledged = Instant::now();
        site.keys.wait_config(&tenant, &value).await;
        spread.add(acknowledged.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}

/// Breaks another tenant each time, since repeated repairs of one tenant are rate-limited.
async fn lost_keys(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = Tenant::numbered("idle", sample);
        site.keys.delete(&tenant.did_key()).await;
        let broken = Instant::now();
        site.keys.wait_key(&tenant.did_key(), true).await;
        spread.add(broken.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}

async fn overwritten_keys(site: &Site) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = Tenant::numbered("idle", sample);
        site.keys.set(&tenant.config_key(), "broken").await;
        let broken = Instant::now();
        site.keys.wait_config(&tenant, &tenant.name).await;
        spread.add(broken.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}

pub async fn deletions(site: &Site, series: &str) -> Spread {
    let mut spread = Spread::default();
    for sample in 0..SAMPLES {
        let tenant = Tenant::numbered(series, sample);
        load::delete(site, &tenant).await;
        let acknowledged = Instant::now();
        site.keys.wait_key(&tenant.did_key(), false).await;
        spread.add(acknowledged.elapsed());
        tokio::time::sleep(REST).await;
    }
    spread
}
