//! Kubernetes: watches, reconcile, secrets, finalizer, events.
//!
//! | file | what it does |
//! | --- | --- |
//! | `enduring` | a watch that notices when it can't be believed any more |
//! | `ask` | asks the API server itself, where a watch that is behind would do harm |
//! | `watch` | takes in what Kubernetes says, at once and in order |
//! | `state` | what is known: claims, Secrets' versions, ownership records |
//! | `prepare` | what one resource calls for, as a value |
//! | `reconcile` | has it done in Redis, and notes what came of it |
//! | `tell` | finalizer, status, events, after the publish |
//! | `orphans` | what is left of resources that are gone |

mod ask;
mod context;
mod enduring;
mod error;
mod orphans;
mod prepare;
mod reconcile;
mod secrets;
mod state;
mod tell;
mod tenant;
mod watch;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, StreamExt};
use kube::Client;
use kube::runtime::applier;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, store::Writer};
use tokio::sync::{RwLock, watch as channel};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::domain::Uid;
use crate::leader::{Leader, Leadership};
use crate::store::{Cause, ClusterId, Epoch, Signal, Store, StoreError, TouchedKey, Tracking};
use crate::telemetry::{Drift, Metrics};
use context::Context;
pub use enduring::WATCH_SILENCE;
use error::Error;
pub use error::{ERRORS, Hold};
use state::State;
use tenant::Tenant;

/// How many resources are looked at, at once.
const LOOKS: u16 = 64;
/// How many resources are written to, at once.
const TELLINGS: u16 = 16;
/// How long a clean stop waits for what runs.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How often it is tried again where Redis fails.
const RETRY: Duration = Duration::from_secs(1);
/// How often everything is checked that Redis does not tell of.
const AUDIT: Duration = Duration::from_secs(300);

/// What a controller is made of.
pub struct Controller {
    /// The API server.
    pub client: Client,
    /// The API server, for watches alone: they may say nothing for longer than an answer may take.
    pub watches: Client,
    /// Redis.
    pub store: Store,
    /// This cluster's name in ownership records.
    pub cluster: ClusterId,
    /// Whether the webhook secret's value is published.
    pub publish_secret: bool,
    /// The namespaces to watch; empty: all.
    pub namespaces: Vec<String>,
    /// Who events are from: the replica's name.
    pub identity: String,
    /// Who leads.
    pub leader: Leader,
    /// What is counted.
    pub metrics: Metrics,
}

/// The receiving ends of a context's queues.
struct Queues {
    looks: UnboundedReceiver<ObjectRef<Tenant>>,
    tellings: UnboundedReceiver<ObjectRef<Tenant>>,
    gone: UnboundedReceiver<Uid>,
}

/// Whether the controller does its work, for the readiness probe.
pub type Readiness = channel::Receiver<Result<Epoch, Hold>>;

impl Controller {
    /// Works until `stop` is done, then finishes what runs. Gives its readiness to `ready` at once.
    pub async fn run(
        self,
        ready: channel::Sender<Result<Epoch, Hold>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) {
        let (ctx, queues, writer) = self.context(ready.subscribe());
        let counted = Arc::downgrade(&ctx);
        ctx.metrics.count_with(move || counted.upgrade().map(|ctx| ctx.census()).unwrap_or_default());
        let stop = stop.shared();
        let mut streams = watch::streams(&self.watches, &ctx.namespaces);
        let mut intake = watch::Intake::new(&ctx, writer);
        let (listed, all_listed) = tokio::sync::oneshot::channel();
        let mut listed = Some(listed);
        let taking_in = async {
            while let Some(seen) = streams.next().await {
                if intake.take(seen)
                    && let Some(listed) = listed.take()
                {
                    watch::announce(&ctx);
                    let _ = listed.send(());
                }
            }
        };
        let leading = async {
            if all_listed.await.is_ok() {
                let tracking = ctx.store.track(&ctx.cluster);
                let leader = self.leader.clone();
                let health = tracking.health();
                Lead { ctx: &ctx, ready: &ready, leader, tracking, health, again: false }.run().await;
            }
        };
        let working = work(&ctx, queues, stop.clone());
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {}
            () = taking_in => {}
            () = leading => {}
            () = orphans::sweep(&ctx) => {}
            () = stop => {
                info!("stopping: finishing what runs");
                if tokio::time::timeout(STOP_WITHIN, working).await.is_err() {
                    warn!("stopped with work under way: the next start finishes it");
                }
            }
        }
    }

    fn context(&self, epoch: Readiness) -> (Arc<Context>, Queues, Writer<Tenant>) {
        let writer = Writer::default();
        let (looks, looks_out) = unbounded();
        let (tellings, tellings_out) = unbounded();
        let (gone, gone_out) = unbounded();
        let reporter =
            Reporter { controller: "runtime-operator".into(), instance: Some(self.identity.clone()) };
        let ctx = Context {
            client: self.client.clone(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            publish_secret: self.publish_secret,
            namespaces: self.namespaces.clone(),
            epoch,
            tenants: writer.as_reader(),
            recorder: Recorder::new(self.client.clone(), reporter),
            metrics: self.metrics.clone(),
            leader: self.leader.clone(),
            steps: RwLock::new(()),
            looks,
            tellings,
            gone,
            state: Mutex::new(State::default()),
        };
        (Arc::new(ctx), Queues { looks: looks_out, tellings: tellings_out, gone: gone_out }, writer)
    }
}

/// Looks at what the queues hold until `stop` is done, then finishes what runs.
async fn work(ctx: &Arc<Context>, queues: Queues, stop: impl Future<Output = ()> + Clone + Send + 'static) {
    let looks = applier(
        |tenant, ctx| reconcile::reconcile(tenant, ctx).boxed(),
        reconcile::error_policy,
        ctx.clone(),
        ctx.tenants.clone(),
        queues.looks.map(Ok::<_, Infallible>).take_until(stop.clone()),
        Config::default().concurrency(LOOKS),
    );
    let tellings = applier(
        |tenant, ctx| tell::tell(tenant, ctx).boxed(),
        tell_again,
        ctx.clone(),
        ctx.tenants.clone(),
        queues.tellings.map(Ok::<_, Infallible>).take_until(stop.clone()),
        Config::default().concurrency(TELLINGS),
    );
    // What fails is counted and tried again by the error policies; an object that is gone needs neither.
    futures::join!(
        looks.for_each(|_| std::future::ready(())),
        tellings.for_each(|_| std::future::ready(())),
        orphans::remove_gone(ctx, queues.gone.take_until(stop)),
    );
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the applier calls")]
fn tell_again(tenant: Arc<Tenant>, error: &Error, ctx: Arc<Context>) -> Action {
    ctx.metrics.reconcile_failed(error.reason());
    debug!(resource = %tenant.name(), %error, "not told, tried again later");
    Action::requeue(reconcile::jittered(2 * RETRY))
}

/// Begins to write with each number that this replica leads with, once everything that Redis holds is known; and has
/// looked at whatever Redis says that somebody else did.
struct Lead<'a> {
    ctx: &'a Context,
    ready: &'a channel::Sender<Result<Epoch, Hold>>,
    leader: Leader,
    tracking: Tracking,
    /// Why Redis can't be followed.
    health: channel::Receiver<Option<StoreError>>,
    /// Redis is to be read; it failed before.
    again: bool,
}

impl Lead<'_> {
    async fn run(mut self) {
        let mut leadership = self.leader.state.clone();
        leadership.mark_changed();
        let audit = sleep(reconcile::jittered(AUDIT));
        tokio::pin!(audit);
        loop {
            tokio::select! {
                changed = leadership.changed() => match changed {
                    Ok(()) => {
                        let now = leadership.borrow_and_update().clone();
                        self.follow(now).await;
                    }
                    Err(_) => return,
                },
                signal = self.tracking.next() => match signal {
                    Some(signal) => self.hear(signal).await,
                    None => return,
                },
                // What Redis tells when it is back comes as a signal.
                Ok(()) = self.health.changed() => self.feel(),
                () = &mut audit => {
                    audit.set(sleep(reconcile::jittered(AUDIT)));
                    self.begin().await;
                }
                () = sleep(RETRY), if self.again => self.begin().await,
            }
        }
    }

    async fn follow(&mut self, leadership: Leadership) {
        match leadership {
            Leadership::Following => self.stand_by(),
            Leadership::Waiting(why) => self.hold(Hold::Redis(why)),
            Leadership::Leading(_) => self.begin().await,
        }
    }

    fn feel(&mut self) {
        let sick = self.health.borrow_and_update().clone();
        self.ctx.metrics.redis_up.set(i64::from(sick.is_none()));
        match sick {
            _ if *self.leader.state.borrow() == Leadership::Following => self.stand_by(),
            Some(error) => self.hold(Hold::Redis(error.to_string())),
            None => {}
        }
    }

    /// A follower waits for nothing that Redis would have to do, and so says nothing of the kind about any resource:
    /// that is the leader's.
    fn stand_by(&self) {
        let sick = self.health.borrow().as_ref().map(ToString::to_string);
        self.hold(sick.map_or(Hold::Following, Hold::FollowingBlindly));
    }

    async fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Touched(key) => self.doubt(&key),
            Signal::CheckEverything(cause) => {
                info!(cause = cause.as_str(), "everything in Redis is checked");
                self.ctx.metrics.checked(cause);
                let carried = self.ready.borrow().clone();
                match carried {
                    // The number is gone too, and with the next one everything is checked. It is that which writes
                    // carry: where a refused write has told already, there is a next one.
                    Ok(epoch) if cause == Cause::Flushed => self.leader.fenced(epoch),
                    _ => self.begin().await,
                }
            }
        }
    }

    /// Somebody wrote a key that is not as its record has it, or is no record's.
    fn doubt(&self, key: &TouchedKey) {
        debug!(?key, "touched from outside");
        let concerned = {
            let mut state = self.ctx.state();
            let concerned = match key {
                TouchedKey::Did(did) => state.concerned_by_did(did),
                TouchedKey::Config(tenant) => state.concerned_by_tenant(tenant),
            };
            if let Some(uid) = &concerned {
                state.doubt(uid);
            }
            concerned
        };
        if concerned.is_some() {
            let what = match key {
                TouchedKey::Did(_) => Drift::Number,
                TouchedKey::Config(_) => Drift::Config,
            };
            self.ctx.metrics.drifted(what, 1);
        }
        self.ctx.look_at(&concerned);
    }

    /// Reads what Redis holds, and has everything looked at.
    async fn begin(&mut self) {
        let Leadership::Leading(epoch) = *self.leader.state.borrow() else { return };
        // While it can't be followed, what it holds changes unseen. A signal says when it can.
        if self.health.borrow().is_some() {
            return;
        }
        match load(self.ctx).await {
            Ok(()) => {
                self.again = false;
                self.set(Ok(epoch));
                self.ctx.look_at_all();
            }
            Err(error) => {
                self.again = true;
                self.hold(Hold::Redis(error.to_string()));
            }
        }
    }

    fn hold(&self, hold: Hold) {
        let why = if let Hold::Redis(why) = &hold { Some(why.clone()) } else { None };
        if self.set(Err(hold))
            && let Some(why) = why
        {
            warn!(why, "Redis can't be used, so nothing is written");
            // Resources that wait for a change say that they do.
            self.ctx.look_at_all();
        }
    }

    fn set(&self, value: Result<Epoch, Hold>) -> bool {
        self.ctx.metrics.leading.set(i64::from(value.is_ok()));
        let epoch = value.as_ref().map_or(0, |epoch| epoch.0);
        self.ctx.metrics.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        self.ready.send_if_modified(|before| {
            let changed = *before != value;
            *before = value;
            changed
        })
    }
}

/// Reads every ownership record of this cluster, and whether Redis still holds what it says.
async fn load(ctx: &Context) -> Result<(), StoreError> {
    let mut records = ctx.store.records(&ctx.cluster).await?;
    // Another operator of this cluster, which watches other namespaces, has its own.
    records.retain(|record| ctx.watches(&record.owner.namespace));
    let tenants: Vec<_> = records.iter().map(|record| record.tenant.clone()).collect();
    let found = ctx.store.inspect(&tenants).await?;
    let records: Vec<_> = records
        .into_iter()
        .zip(found)
        .map(|(record, found)| {
            let intact = found.intact && found.record.as_ref() == Some(&record);
            (record, intact)
        })
        .collect();
    let broken = records.iter().filter(|(_, intact)| !intact).count();
    ctx.metrics.drifted(Drift::Record, broken);
    info!(records = records.len(), broken, "Redis was read");
    let touched = ctx.state().load(records);
    ctx.look_at_touched(&touched, &[]);
    Ok(())
}
