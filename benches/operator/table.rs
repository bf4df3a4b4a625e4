//! The table: each row's figures, their cost, and their limits.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Goal, Spread};
use crate::limits::{self, Limits};
use crate::load::{self, Tenant};
use crate::operator::Operator;
use crate::profile::Recording;
use crate::report::{Report, Row};
use crate::site::Site;
use crate::usage::{Cost, Usage};
use crate::{giant, handover, idle};

/// The groups of rows, in their order.
const GROUPS: [&str; 7] = ["bulk", "idle", "flush", "restart", "rest", "handover", "giant"];
/// The number of flushes, unless they take too long: the statuses of ten thousand tenants are minutes of work.
const FLUSHES: usize = 5;
const FLUSHING: Duration = Duration::from_secs(90);
/// The number of restarts.
const RESTARTS: usize = 3;
/// The time for which the idle operator is observed.
const REST: Duration = Duration::from_secs(20);

/// The groups to measure: all, or those that `ROWS` names.
pub struct Groups(Option<Vec<String>>);

impl Groups {
    pub fn named(text: Option<String>) -> Self {
        let names: Option<Vec<String>> = text.map(|text| text.split(',').map(str::to_owned).collect());
        for name in names.iter().flatten() {
            assert!(GROUPS.contains(&name.as_str()), "ROWS knows {}, not {name}", GROUPS.join(", "));
        }
        Self(names)
    }

    fn want(&self, group: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|name| name == group))
    }
}

pub async fn measure(tenants: usize, groups: &Groups) {
    let mut report = Report::new("operator", tenants);
    report.say("starting a cluster and a Redis");
    let site = Site::start().await;
    let limits = limits(&site, tenants, groups, &mut report).await;
    let mut operator = site.operator().await;

    report.section("bulk apply");
    fill(&site, &operator, tenants, groups.want("bulk").then_some(&limits), &mut report).await;
    if groups.want("idle") {
        report.section("one thing at a time");
        idle::measure(&site, &operator, &limits, &mut report).await;
    }
    let tenants = site.keys.configs().await;
    if groups.want("flush") {
        report.section("everything lost");
        flushes(&site, &operator, tenants, &limits, &mut report).await;
    }
    if groups.want("restart") {
        report.section("restart with nothing changed");
        restarts(&site, &operator, tenants, &mut report).await;
    }
    if groups.want("rest") {
        report.section("at rest");
        rest(&site, &operator, &mut report).await;
    }
    if groups.want("handover") {
        report.section("leader change");
        let (stopped, next) = handover::stops(&site, operator).await;
        let goal = Goal::Millis(2000.0, 2000.0);
        report.row(Row::new("leader stopped -> next one writes", Figure::Spread(stopped)).goal(goal));
        let (killed, next) = handover::crashes(&site, next).await;
        let goal = Goal::Millis(17000.0, 17000.0);
        report.row(Row::new("leader killed -> next one writes", Figure::Spread(killed)).goal(goal));
        operator = next;
    }
    if groups.want("giant") {
        report.section("one giant among small tenants");
        giant::measure(&site, &operator, tenants, &mut report).await;
    }
    report.finish();
}

/// Measures the limits, before an operator is started.
async fn limits(site: &Site, tenants: usize, groups: &Groups, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    report.section("the limit: no operator");
    report.say("Secrets");
    load::all(numbered(tenants), load::CONCURRENCY, |tenant| async move {
        load::create_secret(site, &tenant).await;
    })
    .await;
    if groups.want("bulk") {
        limits.bulk(site, tenants, report).await;
        limits::secret_reads(site, "t", tenants, report).await;
    }
    if groups.want("idle") {
        limits.single(site, report).await;
    }
    if groups.want("flush") {
        limits.pipelined(site, tenants, report).await;
    }
    limits
}

fn sized(name: &str, memory: Figure) -> Row {
    Row::new(name, memory).baseline(Goal::Megabytes(194, 210)).goal(Goal::Megabytes(64, 96))
}

fn numbered(tenants: usize) -> impl Iterator<Item = Tenant> {
    (0..tenants).map(|number| Tenant::numbered("t", number))
}

/// Applies all tenants together; with limits it is measured.
async fn fill(
    site: &Site,
    operator: &Operator,
    tenants: usize,
    limits: Option<&Limits>,
    report: &mut Report,
) {
    let recording = match limits {
        Some(_) => Recording::of(&operator.process, "bulk", 997).await,
        None => None,
    };
    let before = Usage::of(site, operator).await;
    let began = Instant::now();
    let creates = load::all(numbered(tenants), load::CONCURRENCY, |tenant| async move {
        load::create_tenant(site, &tenant).await;
    });
    let (_, ()) = tokio::join!(creates, site.keys.wait_keys(tenants));
    let (readable, published) = (began.elapsed(), operator.cpu());
    operator.wait_ready(tenants, began).await;
    let (ready, reported) = (began.elapsed(), operator.cpu());
    let Some(limits) = limits else {
        site.wait_settled(operator).await;
        return;
    };

    let cost = before.cost(site, operator, tenants).await;
    if let Some(recording) = recording {
        recording.finish().await;
    }
    assert_eq!(site.ready().await, tenants, "all are Ready in the API server, too");
    let memory = Figure::Memory(cost.memory.0, cost.memory.1);
    let row = Row::new("bulk apply -> all readable", Figure::Time(readable));
    report.row(row.limit("creates alone", limits.creates).baseline(Goal::Ratio(2.3)).goal(Goal::Ratio(1.1)));
    let row = Row::new("bulk apply -> all readable, a Secret read for each", Figure::Time(readable));
    report.row(row.limit("creates, a watch and a Secret read each", limits.creates_and_reads));
    let row = Row::new("bulk apply -> all Ready", Figure::Time(ready));
    report.row(
        row.limit("creates and a status each", limits.creates_and_statuses)
            .baseline(Goal::Ratio(1.0))
            .goal(Goal::Ratio(1.0))
            .cost(cost),
    );
    report.row(Row::new(
        "the operator's CPU from all readable to all Ready",
        Figure::Time(reported.saturating_sub(published)),
    ));
    report.row(sized("memory after all were applied", memory));
}

async fn flushes(site: &Site, operator: &Operator, tenants: usize, limits: &Limits, report: &mut Report) {
    let (mut spread, start) = (Spread::default(), Instant::now());
    let before = Usage::of(site, operator).await;
    while spread.len() < FLUSHES && start.elapsed() < FLUSHING {
        let began = Instant::now();
        site.keys.flush().await;
        site.keys.wait_keys(tenants).await;
        spread.add(began.elapsed());
        report.say(&format!("  all {tenants} back after {:?}", began.elapsed()));
        // The status writes of this round would disturb the next one.
        site.wait_settled(operator).await;
    }
    let cost = before.cost(site, operator, tenants * spread.len()).await;
    let row = Row::new("FLUSHALL -> all back", Figure::Spread(spread)).cost(cost);
    report.row(
        row.limit("pipelined writes", limits.pipelined)
            .baseline(Goal::Seconds(66.0))
            .goal(Goal::Seconds(1.0)),
    );
}

async fn restarts(site: &Site, operator: &Operator, tenants: usize, report: &mut Report) {
    let (mut lists, mut spread, mut costs) = (Spread::default(), Spread::default(), Vec::new());
    for round in 0..RESTARTS {
        operator.process.stop().await.unwrap();
        lists.add(limits::list(site).await);
        let before = Usage::without(site).await;
        let began = Instant::now();
        operator.process.run_again().await.unwrap();
        // Each is short, so it is sampled often.
        let recording = Recording::of(&operator.process, &format!("restart-{round}"), 4999).await;
        operator.process.wait_ready().await.unwrap();
        let took = operator.wait_checked(tenants).await - began;
        spread.add(took);
        report.say(&format!("  all {tenants} checked after {took:?}"));
        costs.push(before.cost(site, operator, tenants).await);
        if let Some(recording) = recording {
            recording.finish().await;
        }
    }
    let sum = |count: fn(&Cost) -> u64| costs.iter().map(count).sum::<u64>();
    let secret_reads = |cost: &Cost| {
        let reads = cost.kube.iter().filter(|(kind, _)| *kind == "GET secrets");
        reads.map(|(_, count)| count).sum()
    };
    let (redis, kube, secrets) = (sum(Cost::redis_writes), sum(Cost::kube_writes), sum(secret_reads));
    let cost = costs.pop().unwrap();
    let memory = Figure::Memory(cost.memory.0, cost.memory.1);
    let row = Row::new("restart, nothing changed -> everything checked", Figure::Spread(spread)).cost(cost);
    report.row(
        row.limit("list in pages", Some(lists.median())).baseline(Goal::Ratio(2.35)).goal(Goal::Ratio(1.3)),
    );
    let row = |name, count| Row::new(name, Figure::Count(count)).goal(Goal::AtMost(0));
    report.row(row("restarts: writes to Redis except the epoch", redis));
    report.row(row("restarts: writes to Kubernetes except the Lease", kube));
    report.row(row("restarts: Secret reads", secrets));
    report.row(sized("memory after a restart", memory));
}

async fn rest(site: &Site, operator: &Operator, report: &mut Report) {
    site.wait_settled(operator).await;
    let (before, cpu) = (Usage::of(site, operator).await, operator.cpu());
    tokio::time::sleep(REST).await;
    let cpu = operator.cpu().saturating_sub(cpu);
    let cost = before.cost(site, operator, 1).await;
    let row = |name, count| Row::new(name, Figure::Count(count)).goal(Goal::AtMost(0));
    let commands = Figure::Count(cost.redis.values().sum());
    report.row(Row::new("at rest, 20 s: commands to Redis", commands).baseline(Goal::AtMost(3100)));
    report.row(row("at rest, 20 s: writes to Redis", cost.redis_writes()));
    report.row(row("at rest, 20 s: writes to Kubernetes except the Lease", cost.kube_writes()));
    let share = Figure::Share(cpu.as_secs_f64() / REST.as_secs_f64());
    report.row(Row::new("at rest, 20 s: share of one core", share).goal(Goal::Share(0.005)).cost(cost));
}
