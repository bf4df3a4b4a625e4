//! How long nobody writes when the leader goes.

use std::time::{Duration, Instant};

use crate::report::Spread;
use crate::site::{Operator, Site};

/// How often a leader is stopped.
const STOPS: usize = 5;
/// How often one is killed: each takes as long as its Lease lasts.
const CRASHES: usize = 3;

/// Has one follower after the other take over from a leader that is stopped clean; gives back who leads then.
pub async fn stops(site: &Site, mut leader: Operator) -> (Spread, Operator) {
    let mut spread = Spread::default();
    for _ in 0..STOPS {
        let next = site.operator().await;
        let began = Instant::now();
        let (stopped, ()) = tokio::join!(leader.process.stop(), wait_leading(&next));
        spread.add(began.elapsed());
        stopped.unwrap();
        leader = next;
    }
    (spread, leader)
}

/// The same with leaders that are killed.
pub async fn crashes(site: &Site, mut leader: Operator) -> Spread {
    let mut spread = Spread::default();
    for _ in 0..CRASHES {
        let next = site.operator().await;
        let began = Instant::now();
        leader.process.kill().await.unwrap();
        wait_leading(&next).await;
        spread.add(began.elapsed());
        leader = next;
    }
    spread
}

async fn wait_leading(operator: &Operator) {
    let began = Instant::now();
    while operator.counter("runtime_operator_leading").await == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody takes over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
