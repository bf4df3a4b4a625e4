//! A status as text: one screen.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::document::{
    Drift, LeaderStatus, NumberConflict, OperatorStatus, RedisStatus, Status, TenantCounts,
};
use crate::cli::common::{Mark, Style, age, ago, escaped, grouped};

/// The lines of drift that are shown.
const SHOWN_DRIFT: usize = 50;

/// Returns the text of a status.
#[must_use]
pub fn text(status: &Status, style: Style, now: Timestamp) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<10}{value}");
    };
    match &status.operator {
        Some(operator) => line("operator", &of_operator(operator)),
        None => line("operator", "not found"),
    }
    if let Some(leader) = &status.leader {
        line("leader", &of_leader(leader, now));
    } else if status.operator.is_some() {
        line("leader", "none");
    }
    match &status.redis {
        Some(redis) => line("redis", &of_redis(redis)),
        None => line("redis", "not read"),
    }
    if let Some(tenants) = &status.tenants {
        line("tenants", &of_tenants(tenants));
        let mut reasons: Vec<_> = tenants.reasons.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), (*reason).clone()));
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{} {}", grouped(**count), escaped(reason)))
            .collect();
        for some in reasons.chunks(3) {
            line("", &some.join("  "));
        }
    }
    if let Some(oldest) = &status.oldest {
        let (since, message) = (age(oldest.since, now), escaped(&oldest.message));
        let name = format!("{}/{}", oldest.namespace, oldest.name);
        line("oldest", &format!("{name}  {} for {since}  {message}", escaped(&oldest.reason)));
    }
    for missing in &status.not_read {
        let _ = writeln!(text, "{} not read: {missing}", style.mark(Mark::Unknown));
    }
    if let Some(conflicts) = &status.conflicts {
        text.push_str(&of_conflicts(conflicts, now));
    }
    if let Some(drift) = &status.drift {
        text.push_str(&of_drift(drift));
    }
    text
}

fn of_operator(operator: &OperatorStatus) -> String {
    let version = operator.image_tag.as_deref().map(|tag| format!(" {}", escaped(tag))).unwrap_or_default();
    let crd = match operator.crd_is_current {
        Some(true) => concat!("; CRD ", env!("CARGO_PKG_VERSION")),
        Some(false) => concat!("; CRD of another version than ", env!("CARGO_PKG_VERSION")),
        None => "",
    };
    let OperatorStatus { deployment, namespace, ready, replicas, .. } = operator;
    format!("{deployment}{version} in {namespace}, {ready} of {replicas} replicas ready{crd}")
}

fn of_leader(leader: &LeaderStatus, now: Timestamp) -> String {
    let mut text = escaped(&leader.pod).into_owned();
    if let Some(epoch) = leader.epoch {
        let _ = write!(text, ", epoch {epoch}");
    }
    if let Some(renewed) = leader.renewed {
        let _ = write!(text, ", Lease renewed {}", ago(renewed, now));
    }
    if let Some(why) = &leader.cannot_work {
        let _ = write!(text, "; can't work: {}", escaped(why));
    }
    text
}

fn of_redis(redis: &RedisStatus) -> String {
    let server = &redis.server;
    let mib = |bytes: u64| {
        let tenths = bytes.saturating_mul(10) / (1 << 20);
        if tenths >= 1000 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
    };
    let memory = match server.maxmemory {
        0 => format!("{} MB", mib(server.used_memory)),
        most => format!("{} of {} MB", mib(server.used_memory), mib(most)),
    };
    let role = if server.primary { "primary" } else { "replica" };
    let policy = server.maxmemory_policy.as_deref().unwrap_or("policy unknown");
    let aof = if server.aof { "AOF" } else { "no AOF" };
    format!(
        "{}, {} {}, {role}, {}, {aof}, {memory}, {} ms",
        escaped(&redis.address),
        server.product,
        escaped(&server.version),
        escaped(policy),
        server.latency_ms
    )
}

fn of_tenants(tenants: &TenantCounts) -> String {
    let TenantCounts { total, ready, not_ready, suspended, numbers_live, numbers_wanted, .. } = tenants;
    format!(
        "{}: {} Ready, {} not, {} suspended; {} of {} numbers live",
        grouped(*total),
        grouped(*ready),
        grouped(*not_ready),
        grouped(*suspended),
        grouped(*numbers_live),
        grouped(*numbers_wanted)
    )
}

fn of_conflicts(conflicts: &[NumberConflict], now: Timestamp) -> String {
    if conflicts.is_empty() {
        return "no number is in conflict\n".to_owned();
    }
    let rows = conflicts.iter().map(|conflict| {
        let holder = conflict.holder.clone().unwrap_or_else(|| "(many wait before it)".to_owned());
        [conflict.number.clone(), holder, conflict.waiting.clone(), age(conflict.since, now)]
    });
    table(["NUMBER", "HOLDER", "WAITING", "SINCE"].map(str::to_owned), rows.collect())
}

fn of_drift(drift: &[Drift]) -> String {
    let mut text = match drift.len() {
        0 => "drift     none\n".to_owned(),
        count => format!("drift     {}\n", grouped(count)),
    };
    for found in drift.iter().take(SHOWN_DRIFT) {
        let resource = found.resource.as_ref().map(|resource| format!("  {resource}")).unwrap_or_default();
        let _ = writeln!(text, "          {}: {}{resource}", escaped(&found.key), escaped(&found.what));
    }
    if drift.len() > SHOWN_DRIFT {
        let _ =
            writeln!(text, "          and {} more (-o json lists all)", grouped(drift.len() - SHOWN_DRIFT));
    }
    text
}

/// A table whose columns are as wide as their longest cell.
fn table(head: [String; 4], rows: Vec<[String; 4]>) -> String {
    let all: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 4] = std::array::from_fn(|column| {
        all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
