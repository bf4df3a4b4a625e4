//! Measures growth with the number of tenants, on one site, step by step.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figure::{Spread, megabytes, short};
use crate::load::{self, Tenant};
use crate::machine::Machine;
use crate::operator::Operator;
use crate::plot::{self, Line};
use crate::site::Site;
use crate::{fit, limits, page, report};

/// The number of concurrent requests while tenants are created.
const CONCURRENCY: usize = 64;
/// The number of edits from which the cost of one is computed.
const EVENTS: usize = 500;
/// The number of restarts at each size.
const RESTARTS: usize = 3;
/// The number of flushes: one where a round takes long.
const FLUSHES: usize = 3;
const MANY: usize = 3000;
/// The largest allowed exponents: of anything, and of the cost of one event.
const STEEPEST: f64 = 1.1;
const STEEPEST_EVENT: f64 = 0.1;

struct Point {
    tenants: usize,
    /// Resident bytes, some time after a restart.
    rss: u64,
    peak: u64,
    list: Duration,
    restart: Duration,
    flush: Duration,
    /// The operator's processor time for an edit, its status write included.
    event_cpu: Duration,
    event: Duration,
}

/// A growing value: its name, its values, the value without tenants if it is large, and the largest allowed exponent.
struct Curve {
    name: &'static str,
    value: fn(&Point) -> f64,
    nothing: Option<f64>,
    steepest: f64,
}

impl Curve {
    fn exponent(&self, points: &[Point]) -> f64 {
        let points: Vec<(f64, f64)> =
            points.iter().map(|point| (point.tenants as f64, (self.value)(point))).collect();
        match self.nothing {
            Some(nothing) => fit::exponent_above(nothing, &points),
            None => fit::exponent(&points),
        }
    }
}

/// Prints and writes the table, the exponents and the drawings. Returns true if no exponent is too large.
pub async fn measure(sizes: &[usize]) -> bool {
    assert!(sizes.len() > 1 && sizes.is_sorted(), "SIZES must be two or more, from small to large");
    let (machine, began) = (Machine::watched(), Instant::now());
    let say = |what: &str| eprintln!("bench: {:>6.1} s  {what}", began.elapsed().as_secs_f64());
    say("starting a cluster and a Redis");
    let site = Site::start().await;
    let operator = site.operator().await;
    let none = restart(&site, &operator, 0).await;
    let (mut points, mut before) = (Vec::new(), 0);
    for &tenants in sizes {
        say(&format!("{tenants} tenants"));
        grow(&site, &operator, before, tenants).await;
        say("  all are Ready");
        points.push(measure_at(&site, &operator, tenants, &none).await);
        say(&format!("  {}", line(points.last().unwrap())));
        before = tenants;
    }
    let curves = curves(&none);
    let text = format!(
        "A run of {:.0} s. {}\n{}",
        began.elapsed().as_secs_f64(),
        machine.otherwise().say(),
        markdown(&points, &none, &curves)
    );
    draw(&points);
    report::write("growth.md", &text);
    report::write("growth.json", &serde_json::to_string_pretty(&json(&points, &curves)).unwrap());
    page::update("growth", &text);
    println!("\n{text}");
    curves.iter().all(|curve| curve.exponent(&points) <= curve.steepest)
}

/// The figures of a restart.
struct Restarted {
    list: Duration,
    took: Duration,
    rss: u64,
    peak: u64,
}

fn curves(none: &Restarted) -> Vec<Curve> {
    let curve = |name, value, nothing, steepest| Curve { name, value, nothing, steepest };
    vec![
        curve("RSS", |point| point.rss as f64, Some(none.rss as f64), STEEPEST),
        curve("peak", |point| point.peak as f64, Some(none.peak as f64), STEEPEST),
        curve("restart", |point| point.restart.as_secs_f64(), Some(none.took.as_secs_f64()), STEEPEST),
        curve("FLUSHALL -> all back", |point| point.flush.as_secs_f64(), None, STEEPEST),
        curve("CPU of one edit", |point| point.event_cpu.as_secs_f64(), None, STEEPEST_EVENT),
    ]
}

async fn grow(site: &Site, operator: &Operator, from: usize, to: usize) {
    let began = Instant::now();
    let new = (from..to).map(|number| Tenant::numbered("t", number));
    load::all(new, CONCURRENCY, |tenant| async move { load::create(site, &tenant).await }).await;
    site.keys.wait_keys(to).await;
    operator.wait_ready(to, began).await;
    site.wait_settled(operator).await;
}

async fn measure_at(site: &Site, operator: &Operator, tenants: usize, none: &Restarted) -> Point {
    let cpu = operator.cpu();
    let event = edits(site, tenants).await;
    let event_cpu = site.wait_settled(operator).await.saturating_sub(cpu).div_f64(EVENTS as f64);

    let mut flushes = Spread::default();
    for _ in 0..if tenants <= MANY { FLUSHES } else { 1 } {
        let began = Instant::now();
        site.keys.flush().await;
        site.keys.wait_keys(tenants).await;
        flushes.add(began.elapsed());
        site.wait_settled(operator).await;
    }
    let restarted = restart(site, operator, tenants).await;
    assert!(restarted.rss >= none.rss / 2, "the memory is not that of a running operator");
    Point {
        tenants,
        rss: restarted.rss,
        peak: restarted.peak,
        list: restarted.list,
        restart: restarted.took,
        flush: flushes.median(),
        event_cpu,
        event: event.median(),
    }
}

/// Edits one tenant after another.
async fn edits(site: &Site, tenants: usize) -> Spread {
    let (mut spread, api) = (Spread::default(), site.tenants());
    for event in 0..EVENTS {
        // A prime, so that the edited tenants are spread.
        let tenant = Tenant::numbered("t", event * 7919 % tenants);
        // A different value at each size, so that each edit is a change.
        let calls = tenants * 1000 + event;
        load::edit(&api, &tenant.name, json!({ "caps": { "maxCallsPerMinuteTenant": calls } })).await;
        let acknowledged = Instant::now();
        site.keys.wait_config(&tenant, &format!(r#""maxCallsPerMinuteTenant":{calls}"#)).await;
        spread.add(acknowledged.elapsed());
    }
    spread
}

async fn restart(site: &Site, operator: &Operator, tenants: usize) -> Restarted {
    let (mut lists, mut took) = (Spread::default(), Spread::default());
    for _ in 0..RESTARTS {
        operator.process.stop().await.unwrap();
        lists.add(limits::list(site).await);
        let began = Instant::now();
        operator.process.restart().await.unwrap();
        took.add(operator.wait_checked(tenants).await - began);
        site.wait_settled(operator).await;
    }
    let (rss, peak) = operator.memory();
    Restarted { list: lists.median(), took: took.median(), rss, peak }
}

fn line(point: &Point) -> String {
    format!(
        "| {} | {} MB | {} MB | {} | {} | {} | {} | {} |",
        point.tenants,
        megabytes(point.rss),
        megabytes(point.peak),
        short(point.list),
        short(point.restart),
        short(point.flush),
        short(point.event_cpu),
        short(point.event)
    )
}

fn markdown(points: &[Point], none: &Restarted, curves: &[Curve]) -> String {
    let mut text = "\n| tenants | RSS | peak | list in pages | restart | FLUSHALL -> all back | CPU of one edit | edit -> readable, p50 |\n\
        | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let (rss, peak) = (megabytes(none.rss), megabytes(none.peak));
    let _ =
        writeln!(text, "| 0 | {rss} MB | {peak} MB | {} | {} | | | |", short(none.list), short(none.took));
    for point in points {
        let _ = writeln!(text, "{}", line(point));
    }
    text.push_str("\n| what | exponent | at most | |\n| --- | --- | --- | --- |\n");
    for curve in curves {
        let exponent = curve.exponent(points);
        let met = if exponent <= curve.steepest { "met" } else { "**not met**" };
        let _ = writeln!(text, "| {} | {exponent:.2} | {} | {met} |", curve.name, curve.steepest);
    }
    text
}

fn json(points: &[Point], curves: &[Curve]) -> Value {
    let points_json = points.iter().map(|point| {
        json!({
            "tenants": point.tenants,
            "rssBytes": point.rss,
            "peakBytes": point.peak,
            "listSeconds": point.list.as_secs_f64(),
            "restartSeconds": point.restart.as_secs_f64(),
            "flushSeconds": point.flush.as_secs_f64(),
            "eventCpuSeconds": point.event_cpu.as_secs_f64(),
            "eventP50Seconds": point.event.as_secs_f64(),
        })
    });
    let exponents = curves.iter().map(
        |curve| json!({ "name": curve.name, "exponent": curve.exponent(points), "withoutTenants": curve.nothing }),
    );
    json!({ "points": points_json.collect::<Vec<_>>(), "exponents": exponents.collect::<Vec<_>>() })
}

fn draw(points: &[Point]) {
    let line = |name: &str, value: fn(&Point) -> f64| Line {
        name: name.to_owned(),
        points: points.iter().map(|point| (point.tenants as f64, value(point))).collect(),
    };
    let memory = [line("RSS", |point| point.rss as f64 / 1e6), line("peak", |point| point.peak as f64 / 1e6)];
    page::drawing("growth-memory.svg", &plot::lines("Memory", ("tenants", "MB"), &memory));
    let times = [
        line("restart, nothing changed", |point| point.restart.as_secs_f64()),
        line("FLUSHALL, all back", |point| point.flush.as_secs_f64()),
        line("list in pages, no operator", |point| point.list.as_secs_f64()),
    ];
    page::drawing("growth-time.svg", &plot::lines("Everything", ("tenants", "seconds"), &times));
    let events = [
        line("CPU of one edit", |point| point.event_cpu.as_secs_f64() * 1e3),
        line("edit acknowledged, readable (p50)", |point| point.event.as_secs_f64() * 1e3),
    ];
    page::drawing("growth-event.svg", &plot::lines("One event", ("tenants", "milliseconds"), &events));
}
