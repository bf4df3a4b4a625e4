//! Edits and rotations at a fixed rate, and the time until each is readable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc::{self, UnboundedSender};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use redis::cmd;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use crate::figure::Spread;
use crate::load::{self, Tenant};
use crate::site::{Site, TIMEOUT};

/// The number of concurrent requests; requests that are due beyond that wait, and their time counts.
const CONCURRENCY: usize = 256;
/// The interval at which readability is checked.
const POLL: Duration = Duration::from_millis(3);
/// One in this many edits drops the second DID, and a later one claims it again.
const MOVES: u64 = 7;
/// Edits set this member to their own sequence number.
const CALLS: &str = r#""maxCallsPerMinuteTenant":"#;
const VALUE: &str = r#""webhookSecret":"rotated-"#;
const FIRST: u64 = 1000;

#[derive(Clone, Copy)]
pub struct Pace {
    /// Per second.
    pub edits: u64,
    pub rotations: u64,
    pub lasts: Duration,
}

#[derive(Default)]
pub struct Latencies {
    pub edits: Spread,
    pub rotations: Spread,
    pub acknowledged: Spread,
    pub behind: Spread,
}

/// A request that was sent and is not known to be readable yet.
struct Sent {
    tenant: Tenant,
    what: What,
    due: Instant,
    acknowledged: Instant,
}

#[derive(Clone, Copy)]
enum What {
    Edit(u64),
    Rotation(u64),
}

impl Sent {
    /// Returns true if a config contains this change, or a later one of its kind.
    fn is_in(&self, config: &str) -> bool {
        let (text, number) = match self.what {
            What::Edit(number) => (CALLS, number),
            What::Rotation(number) => (VALUE, number),
        };
        let found = config.split_once(text).map(|(_, rest)| rest);
        let digits = found.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        digits.and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|live| live >= number)
    }
}

/// Sends all requests when they are due, and waits until all of them are readable.
pub async fn run(site: &Site, tenants: usize, pace: Pace) -> Latencies {
    let (sent, mut arrived) = mpsc::unbounded();
    let sending = send_all(site, tenants, pace, sent);
    let reading = async {
        let (mut latencies, mut open, mut all_sent) = (Latencies::default(), VecDeque::<Sent>::new(), false);
        let began = Instant::now();
        while !all_sent || !open.is_empty() {
            loop {
                match arrived.try_recv() {
                    Ok(sent) => open.push_back(sent),
                    Err(mpsc::TryRecvError::Closed) => {
                        all_sent = true;
                        break;
                    }
                    Err(mpsc::TryRecvError::Empty) => break,
                }
            }
            check(site, &mut open, &mut latencies).await;
            assert!(began.elapsed() < pace.lasts + TIMEOUT, "{} changes are not readable", open.len());
            tokio::time::sleep(POLL).await;
        }
        latencies
    };
    let ((), latencies) = tokio::join!(sending, reading);
    latencies
}

async fn send_all(site: &Site, tenants: usize, pace: Pace, sent: UnboundedSender<Sent>) {
    let (began, gate) = (Instant::now(), Arc::new(Semaphore::new(CONCURRENCY)));
    // Changes of one tenant stay in order, however slow the API server is: a later one includes the earlier ones.
    let locks: Vec<Arc<Mutex<()>>> = (0..tenants).map(|_| Arc::default()).collect();
    let rate = pace.edits + pace.rotations;
    for number in 0..rate * pace.lasts.as_secs() {
        let due = began + Duration::from_secs(1).mul_f64(number as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        // Rotations are spread evenly among the edits.
        let rotates = number * pace.rotations / rate != (number + 1) * pace.rotations / rate;
        let what = if rotates { What::Rotation(FIRST + number) } else { What::Edit(FIRST + number) };
        // A prime, so that the edited tenants are spread.
        let which = number as usize * 7919 % tenants;
        let tenant = Tenant::numbered("t", which);
        let (site_tenants, secrets) = (site.tenants(), site.secrets());
        let (sent, permit) = (sent.clone(), Arc::clone(&gate).acquire_owned());
        let lock = Arc::clone(&locks[which]).lock_owned();
        tokio::spawn(async move {
            let _lock = lock.await;
            let _permit = permit.await.unwrap();
            match what {
                What::Edit(number) => edit(&site_tenants, &tenant, number).await,
                What::Rotation(number) => {
                    let patch = json!({ "stringData": { "webhookSecret": format!("rotated-{number}") } });
                    secrets.patch(&tenant.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
                }
            }
            sent.unbounded_send(Sent { tenant, what, due, acknowledged: Instant::now() }).unwrap();
        });
    }
}

async fn edit(tenants: &Api<DynamicObject>, tenant: &Tenant, number: u64) {
    let mut spec = json!({ "caps": { "maxCallsPerMinuteTenant": number } });
    if number.is_multiple_of(MOVES) {
        spec["dids"] = json!([tenant.did(0)]);
    } else if number % MOVES == 1 {
        spec["dids"] = json!([tenant.did(0), tenant.did(1)]);
    }
    load::edit(tenants, &tenant.name, spec).await;
}

/// Checks all open requests in one round trip.
async fn check(site: &Site, open: &mut VecDeque<Sent>, latencies: &mut Latencies) {
    if open.is_empty() {
        return;
    }
    let mut command = cmd("MGET");
    for sent in open.iter() {
        command.arg(sent.tenant.config_key());
    }
    let configs: Vec<Option<String>> = site.keys.run(&command).await;
    let now = Instant::now();
    let mut configs = configs.into_iter();
    open.retain(|sent| {
        let readable = configs.next().flatten().is_some_and(|config| sent.is_in(&config));
        if readable {
            let took = now.saturating_duration_since(sent.due);
            match sent.what {
                What::Edit(_) => {
                    latencies.edits.add(took);
                    latencies.acknowledged.add(sent.acknowledged.saturating_duration_since(sent.due));
                    latencies.behind.add(now.saturating_duration_since(sent.acknowledged));
                }
                What::Rotation(_) => latencies.rotations.add(took),
            }
        }
        !readable
    });
}
