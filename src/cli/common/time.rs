//! Ages, as kubectl writes them.

use jiff::Timestamp;

/// The age in the two largest units that matter: `45s`, `14m`, `2h10m`, `3d4h`, `120d`.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - since.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if hours < 3 && hours > 0 => pair(hours, "h", minutes % 60, "m"),
        () if hours == 0 => format!("{minutes}m"),
        () if days < 2 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () => format!("{days}d"),
    }
}

/// The age followed by `ago`.
#[must_use]
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    format!("{} ago", age(since, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_two_units() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        for (seconds, text) in [
            (-5, "0s"),
            (2, "2s"),
            (60, "1m"),
            (95, "1m35s"),
            (840, "14m"),
            (7800, "2h10m"),
            (36_000, "10h"),
            (273_600, "3d4h"),
            (864_000, "10d"),
        ] {
            let since = Timestamp::from_second(1_000_000_000 - seconds).unwrap();
            assert_eq!(age(since, now), text);
        }
    }
}
