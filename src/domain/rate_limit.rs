//! A rate limiter: the generic cell rate algorithm (GCRA, ITU-T I.371). It has no clock; the time is an argument.

use std::time::{Duration, Instant};

/// Allows a burst of requests, and then one request in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimiter {
    burst: u32,
    interval: Duration,
}

/// The state of a limiter for one key. A new bucket has the whole burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The theoretical arrival time (TAT): when everything that was consumed is paid off at one request in each
    /// interval. `None`: nothing was consumed yet.
    paid_off_at: Option<Instant>,
}

/// The answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request is allowed, and was consumed.
    Allow,
    /// The request is not allowed before this time. Nothing was consumed.
    Defer {
        /// The earliest time at which it will be allowed.
        until: Instant,
    },
}

impl RateLimiter {
    /// Makes a limiter that allows `burst` requests without a pause (at least one), and then one in each `interval`.
    #[must_use]
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// Consumes one request if it is allowed now.
    pub fn check(&self, bucket: &mut Bucket, now: Instant) -> Decision {
        let tolerance = self.interval.saturating_mul(self.burst.saturating_sub(1));
        // A time before the clock's first instant is in the past.
        let earliest = bucket.paid_off_at.and_then(|at| at.checked_sub(tolerance));
        match earliest {
            Some(until) if until > now => Decision::Defer { until },
            _ => {
                self.consume(bucket, now);
                Decision::Allow
            }
        }
    }

    /// Consumes one request, also where [`Self::check`] would defer it.
    pub fn consume(&self, bucket: &mut Bucket, now: Instant) {
        let from = bucket.paid_off_at.map_or(now, |at| at.max(now));
        bucket.paid_off_at = Some(from + self.interval);
    }

    /// True if everything that was consumed is paid off, so that the bucket equals a new one.
    #[must_use]
    pub fn is_idle(&self, bucket: &Bucket, now: Instant) -> bool {
        self.outstanding(bucket, now) == 0
    }

    /// The number of consumed requests that are not paid off yet.
    #[must_use]
    pub fn outstanding(&self, bucket: &Bucket, now: Instant) -> u32 {
        let left = bucket.paid_off_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let requests = left.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        u32::try_from(requests).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 50;
    const INTERVAL: Duration = Duration::from_millis(500);
    const LIMITER: RateLimiter = RateLimiter::new(BURST, INTERVAL);

    /// The number of requests that are allowed, of `times` with `every` between them.
    fn allowed(bucket: &mut Bucket, from: Instant, every: Duration, times: u32) -> u32 {
        let check = |n| LIMITER.check(bucket, from + every * n);
        (0..times).map(check).filter(|decision| *decision == Decision::Allow).count().try_into().unwrap()
    }

    #[test]
    fn requests_at_the_interval_are_always_allowed() {
        assert_eq!(allowed(&mut Bucket::default(), Instant::now(), INTERVAL, 10_000), 10_000);
    }

    #[test]
    fn a_burst_is_followed_by_one_request_in_each_interval() {
        let (mut bucket, begin) = (Bucket::default(), Instant::now());
        assert_eq!(allowed(&mut bucket, begin, Duration::ZERO, 1000), BURST);
        let until = begin + INTERVAL;
        assert_eq!(LIMITER.check(&mut bucket, begin), Decision::Defer { until });
        assert_eq!(LIMITER.check(&mut bucket, until), Decision::Allow);
        let until = until + INTERVAL;
        assert_eq!(LIMITER.check(&mut bucket, begin + INTERVAL), Decision::Defer { until });
        let ten_seconds = allowed(&mut Bucket::default(), begin, Duration::from_millis(1), 10_000);
        assert!((BURST + 19..=BURST + 20).contains(&ten_seconds), "{ten_seconds}");
    }

    #[test]
    fn a_deferred_request_consumes_nothing() {
        let (mut bucket, begin) = (Bucket::default(), Instant::now());
        allowed(&mut bucket, begin, Duration::ZERO, BURST);
        let before = bucket;
        assert_ne!(LIMITER.check(&mut bucket, begin), Decision::Allow);
        assert_eq!(bucket, before);
        LIMITER.consume(&mut bucket, begin);
        assert_eq!(LIMITER.outstanding(&bucket, begin), BURST + 1);
    }

    #[test]
    fn a_bucket_is_idle_once_everything_is_paid_off() {
        let (mut bucket, begin) = (Bucket::default(), Instant::now());
        assert!(LIMITER.is_idle(&bucket, begin));
        allowed(&mut bucket, begin, Duration::ZERO, BURST);
        assert_eq!(LIMITER.outstanding(&bucket, begin), BURST);
        assert_eq!(LIMITER.outstanding(&bucket, begin + INTERVAL * (BURST / 2)), BURST / 2);
        let end = begin + INTERVAL * BURST;
        assert!(!LIMITER.is_idle(&bucket, begin + INTERVAL * (BURST - 1)));
        assert!(LIMITER.is_idle(&bucket, end));
        assert_eq!(allowed(&mut bucket, end, Duration::ZERO, 1000), BURST, "the whole burst is back");
    }

    #[test]
    fn a_limiter_without_a_burst_allows_one_request_at_a_time() {
        let (limiter, mut bucket, begin) = (RateLimiter::new(0, INTERVAL), Bucket::default(), Instant::now());
        assert_eq!(limiter.check(&mut bucket, begin), Decision::Allow);
        assert_eq!(limiter.check(&mut bucket, begin), Decision::Defer { until: begin + INTERVAL });
    }
}
