//! A figure, its limit, and its goal.

use std::time::Duration;

use serde_json::{Value, json};

/// Samples of a duration.
#[derive(Clone, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }

    pub fn median(&self) -> Duration {
        self.quantile(50)
    }
}

impl FromIterator<Duration> for Spread {
    fn from_iter<T: IntoIterator<Item = Duration>>(all: T) -> Self {
        Self(all.into_iter().collect())
    }
}

pub enum Figure {
    Spread(Spread),
    Time(Duration),
    /// A count of writes, reads, ... in a time.
    Rate(usize, Duration),
    Count(u64),
    /// A share of one core.
    Share(f64),
    /// Resident bytes afterwards, and at the peak.
    Memory(u64, u64),
}

/// A goal, or the figure of another operator. An absolute time or size is for ten thousand tenants on two cores.
pub enum Goal {
    /// p50 and p99 in milliseconds.
    Millis(f64, f64),
    Seconds(f64),
    /// A multiple of the limit.
    Ratio(f64),
    AtMost(u64),
    Share(f64),
    /// Memory afterwards and at the peak.
    Megabytes(u64, u64),
}

/// The number of tenants for which the goals are set.
pub const GOAL_TENANTS: usize = 10_000;

impl Figure {
    /// Returns the duration that is compared with a limit.
    pub fn typical(&self) -> Option<Duration> {
        match self {
            Self::Spread(spread) => Some(spread.median()),
            Self::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// Returns p50, p95, p99 and the maximum, or the single figure.
    pub fn cells(&self) -> [String; 4] {
        let one = |text: String| [String::new(), String::new(), String::new(), text];
        match self {
            Self::Spread(spread) => [50, 95, 99, 100].map(|percent| short(spread.quantile(percent))),
            Self::Time(time) => one(short(*time)),
            Self::Rate(count, time) => {
                one(format!("{:.0}/s ({})", *count as f64 / time.as_secs_f64(), short(*time)))
            }
            Self::Count(count) => one(count.to_string()),
            Self::Share(share) => one(format!("{:.2} %", share * 100.0)),
            Self::Memory(now, peak) => one(format!("{} MB, peak {} MB", megabytes(*now), megabytes(*peak))),
        }
    }

    pub fn json(&self) -> Value {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        match self {
            Self::Spread(spread) => {
                let [p50, p95, p99, max] = [50, 95, 99, 100].map(|percent| millis(spread.quantile(percent)));
                json!({ "samples": spread.len(), "p50Ms": p50, "p95Ms": p95, "p99Ms": p99, "maxMs": max })
            }
            Self::Time(time) => json!({ "seconds": time.as_secs_f64() }),
            Self::Rate(count, time) => json!({ "count": count, "seconds": time.as_secs_f64() }),
            Self::Count(count) => json!({ "count": count }),
            Self::Share(share) => json!({ "share": share }),
            Self::Memory(now, peak) => json!({ "rssBytes": now, "peakBytes": peak }),
        }
    }
}

impl Goal {
    pub fn text(&self) -> String {
        match self {
            Self::Millis(p50, p99) if *p50 >= 1000.0 => format!("p50 {} s, p99 {} s", p50 / 1e3, p99 / 1e3),
            Self::Millis(p50, p99) => format!("p50 {p50} ms, p99 {p99} ms"),
            Self::Seconds(seconds) => format!("{seconds} s"),
            Self::Ratio(ratio) => format!("{ratio}x"),
            Self::AtMost(count) => count.to_string(),
            Self::Share(share) => format!("{} %", share * 100.0),
            Self::Megabytes(now, peak) => format!("{now} MB, peak {peak} MB"),
        }
    }

    /// Returns true if it is met; `None` if it is set for another number of tenants.
    pub fn met(&self, figure: &Figure, ratio: Option<f64>, tenants: usize) -> Option<bool> {
        let here = tenants == GOAL_TENANTS;
        match (self, figure) {
            (Self::Millis(p50, p99), Figure::Spread(spread)) => {
                let within = |percent, most: f64| spread.quantile(percent).as_secs_f64() * 1000.0 <= most;
                Some(within(50, *p50) && within(99, *p99))
            }
            (Self::Seconds(most), figure) => {
                here.then(|| figure.typical().is_some_and(|time| time.as_secs_f64() <= *most))
            }
            (Self::Ratio(most), _) => ratio.map(|ratio| ratio <= *most),
            (Self::AtMost(most), Figure::Count(count)) => Some(count <= most),
            (Self::Share(most), Figure::Share(share)) => Some(share <= most),
            (Self::Megabytes(now, peak), Figure::Memory(is, was)) => {
                here.then(|| megabytes(*is) <= *now && megabytes(*was) <= *peak)
            }
            _ => None,
        }
    }
}

/// Divides and rounds up.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// Formats a duration with three digits, the precision of a measurement.
pub fn short(time: Duration) -> String {
    let (value, unit) = match time.as_secs_f64() {
        seconds if seconds >= 1.0 => (seconds, "s"),
        seconds if seconds >= 0.001 => (seconds * 1e3, "ms"),
        seconds => (seconds * 1e6, "µs"),
    };
    let digits = if value >= 100.0 { 0 } else { 2 - usize::from(value >= 10.0) };
    format!("{value:.digits$} {unit}")
}
