//! The delay before a failed reconcile is retried.

use std::time::Duration;

/// The delay after the first failure. It doubles with each failure that follows.
pub const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest delay.
pub const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The delay after the first refusal of a write to the API server.
const FIRST_REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// The longest one: a minute with its jitter.
const LONGEST_REFUSAL_DELAY: Duration = Duration::from_secs(40);

/// The delay after `failures` earlier failures in a row, while `retrying` tenants are retried in all. The more there
/// are, the longer it may grow: the first one that succeeds has all others retried immediately.
#[must_use]
pub fn delay(failures: u32, retrying: usize) -> Duration {
    let retrying = u32::try_from(retrying).unwrap_or(u32::MAX);
    let longest = (FIRST_DELAY / 2).saturating_mul(retrying).clamp(10 * FIRST_DELAY, LONGEST_DELAY);
    FIRST_DELAY.saturating_mul(1 << failures.min(10)).min(longest)
}

/// The delay after `failures` earlier refusals in a row of a write to the API server: from a second to about a minute.
#[must_use]
pub fn after_failed_write(failures: u32) -> Duration {
    FIRST_REFUSAL_DELAY.saturating_mul(1 << failures.min(10)).min(LONGEST_REFUSAL_DELAY)
}

/// Spreads a delay evenly between half and one and a half of it, so that tenants that failed together are not retried
/// together. `random` is a random number, from 0 to 1.
#[must_use]
pub fn jittered(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(0.5 + random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_and_grows_longer_while_many_tenants_are_retried() {
        let alone: Vec<u128> = (0..6).map(|failures| delay(failures, 1).as_millis()).collect();
        assert_eq!(alone, [200, 400, 800, 1600, 2000, 2000], "a single tenant is retried soon");
        assert_eq!(delay(0, 10_000), FIRST_DELAY, "the cause may be transient for many tenants, too");
        assert_eq!(delay(u32::MAX, 10_000), LONGEST_DELAY);
        assert_eq!(delay(20, 100), Duration::from_secs(10));
    }

    #[test]
    fn a_refused_write_is_tried_again_about_once_a_minute_in_the_end() {
        let seconds: Vec<u64> = (0..8).map(|failures| after_failed_write(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 40, 40]);
        assert_eq!(jittered(after_failed_write(u32::MAX), 1.0), Duration::from_secs(60));
    }

    #[test]
    fn jitter_spreads_a_delay_around_its_length() {
        let delay = Duration::from_secs(10);
        assert_eq!(jittered(delay, 0.0), delay / 2);
        assert_eq!(jittered(delay, 0.5), delay);
        assert_eq!(jittered(delay, 1.0), delay * 3 / 2);
        assert_eq!(jittered(delay, 7.0), delay * 3 / 2, "a number out of range is no reason to wait longer");
    }
}
