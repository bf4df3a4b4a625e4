//! Kubernetes: watches, reconcile, secrets, finalizer, events.
//!
//! | file | what it does |
//! | --- | --- |
//! | `enduring` | a watch that notices when it can't be believed any more |
//! | `ask` | asks the API server itself, where a watch that is behind would do harm |
//! | `watch` | takes in what Kubernetes says, at once and in order |
//! | `tenant`, `kept` | a resource and its status, as they are kept |
//! | `state` | what is known: claims, Secrets' versions, ownership records |
//! | `turns` | gives each resource its turn, for a look and for being told |
//! | `prepare` | what one resource calls for, as a value |
//! | `burst` | lists Secrets where many are wanted at once |
//! | `reconcile` | has it done in Redis, and notes what came of it |
//! | `tell` | finalizer and status, after the publish |
//! | `events` | events, in a place of their own |
//! | `rush` | who comes first while there is more to write than the API server takes |
//! | `lead` | begins to write when this replica leads, and hears what Redis tells |
//! | `repairs` | how often keys are set right that somebody else changes again and again |
//! | `audit` | finds what sends no message |
//! | `orphans` | what is left of resources that are gone |
//! | `health`, `pulse` | what the probes answer |

mod ask;
mod audit;
mod burst;
mod context;
mod enduring;
mod error;
mod events;
mod health;
mod kept;
mod lead;
mod orphans;
mod prepare;
mod pulse;
mod reconcile;
mod repairs;
mod rush;
mod secrets;
mod state;
mod tell;
mod tenant;
mod turns;
mod watch;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, StreamExt};
use kube::Client;
use tokio::sync::{RwLock, mpsc};
use tracing::{debug, info, warn};

use crate::domain::{ClusterId, ResourceName, Uid};
use crate::leader::Leader;
use crate::store::Store;
use crate::telemetry::Metrics;
use burst::{Hand, Wanted};
use context::Context;
pub use enduring::WATCH_SILENCE;
use error::Error;
pub use error::{ERRORS, Hold};
use events::{Events, Told};
pub use health::Health;
use lead::Lead;
use rush::Rush;
use state::State;
use tenant::{Tenant, Tenants};
use turns::Action;

/// How many resources are looked at, at once.
const LOOKS: usize = 64;
/// How many resources are written to, at once.
const TELLINGS: usize = 16;
/// How long a clean stop waits for what runs.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How often it is tried again where Redis fails.
const RETRY: Duration = Duration::from_secs(1);

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
    /// What it does by the clock.
    pub pace: Pace,
}

/// How often the controller does what nobody calls for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often everything is compared that Redis does not tell of; each time between half and one and a half of it.
    pub audit: Duration,
    /// How often orphans are looked for.
    pub sweep: Duration,
    /// How long a record may lack its resource before it is an orphan: a relist of a stale API server passes.
    pub grace: Duration,
    /// How many tenants an audit compares in one round trip.
    pub piece: usize,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { audit: seconds(300), sweep: seconds(10), grace: seconds(60), piece: 256 }
    }
}

/// The receiving ends of a context's queues.
struct Queues {
    looks: UnboundedReceiver<ResourceName>,
    tellings: UnboundedReceiver<ResourceName>,
    bursts: UnboundedReceiver<Wanted>,
    told: mpsc::Receiver<Told>,
    gone: UnboundedReceiver<Uid>,
}

impl Controller {
    /// Works until `stop` is done, then finishes what runs. How it fares is told in `health` all the time.
    pub async fn run(self, health: Arc<Health>, stop: impl Future<Output = ()> + Send + 'static) {
        let (ctx, queues) = self.context(health);
        self.run_in(ctx, queues, stop.shared()).await;
    }

    async fn run_in(
        self,
        ctx: Arc<Context>,
        queues: Queues,
        stop: impl Future<Output = ()> + Clone + Send + 'static,
    ) {
        let counted = Arc::downgrade(&ctx);
        ctx.metrics.count_with(move || counted.upgrade().map(|ctx| ctx.census()).unwrap_or_default());
        let mut streams = watch::streams(&self.watches, &ctx.namespaces);
        let mut intake = watch::Intake::new(&ctx);
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
            let mut lead = Lead::new(&ctx, self.leader.clone());
            if lead.read_ahead(all_listed).await {
                lead.run().await;
            }
        };
        let working = work(&ctx, queues, stop.clone());
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {}
            () = taking_in => {}
            () = leading => {}
            () = orphans::sweep(&ctx, &self.pace) => {}
            () = audit::run(&ctx, &self.pace) => {}
            () = beat(&ctx) => {}
            () = stop => {
                info!("stopping: finishing what runs");
                if tokio::time::timeout(STOP_WITHIN, working).await.is_err() {
                    warn!("stopped with work under way: the next start finishes it");
                }
            }
        }
    }

    fn context(&self, health: Arc<Health>) -> (Arc<Context>, Queues) {
        let (looks, looks_out) = unbounded();
        let (tellings, tellings_out) = unbounded();
        let (bursts, bursts_out) = unbounded();
        let (told, told_out) = mpsc::channel(events::PENDING);
        let (gone, gone_out) = unbounded();
        let ctx = Context {
            client: self.client.clone(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            publish_secret: self.publish_secret,
            namespaces: self.namespaces.clone(),
            health,
            tenants: Tenants::default(),
            events: Events::new(self.client.clone(), self.identity.clone()),
            rush: Rush::default(),
            metrics: self.metrics.clone(),
            leader: self.leader.clone(),
            steps: RwLock::new(()),
            looks,
            tellings,
            hand: Hand::default(),
            bursts,
            told,
            gone,
            state: Mutex::new(State::default()),
        };
        let queues = Queues {
            looks: looks_out,
            tellings: tellings_out,
            bursts: bursts_out,
            told: told_out,
            gone: gone_out,
        };
        (Arc::new(ctx), queues)
    }
}

/// Says that this loop runs: it shares its task with all that the controller does.
async fn beat(ctx: &Context) {
    let mut beats = tokio::time::interval(pulse::BEAT);
    loop {
        beats.tick().await;
        ctx.health.pulse().beat(Instant::now());
    }
}

/// Looks at what the queues hold until `stop` is done, then finishes what runs.
async fn work(
    ctx: &Arc<Context>,
    mut queues: Queues,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) {
    let looks = turns::take(queues.looks.take_until(stop.clone()), LOOKS, |name| async move {
        let mut action = Action::await_change();
        if let Some(tenant) = ctx.tenants.get(&name) {
            let looked = reconcile::reconcile(Arc::clone(&tenant), Arc::clone(ctx)).await;
            action = looked.unwrap_or_else(|error| reconcile::look_again(&tenant, &error, ctx));
        }
        // One that is gone is dealt with, too.
        ctx.health.pulse().moved(Instant::now());
        action
    });
    let tellings = turns::take(queues.tellings.take_until(stop.clone()), TELLINGS, |name| async move {
        let Some(tenant) = ctx.tenants.get(&name) else { return Action::await_change() };
        let told = tell::tell(Arc::clone(&tenant), Arc::clone(ctx)).await;
        told.unwrap_or_else(|error| tell_again(&tenant, &error, ctx))
    });
    futures::join!(
        looks,
        tellings,
        burst::run(ctx, queues.bursts.take_until(stop.clone())),
        orphans::remove_gone(ctx, queues.gone.take_until(stop.clone())),
        events::write_all(ctx, &mut queues.told, stop),
    );
    events::write_rest(ctx, &mut queues.told).await;
}

fn tell_again(tenant: &Tenant, error: &Error, ctx: &Context) -> Action {
    ctx.metrics.reconcile_failed(error.reason());
    debug!(resource = %tenant.name(), %error, "not told, tried again later");
    Action::requeue(reconcile::jittered(2 * RETRY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::probes;
    use crate::domain::Epoch;
    use crate::store::RedisSettings;

    /// Waits until the probe answers with this status, and gives back what it says.
    async fn wait_livez(url: &str, status: u16) -> String {
        let asks = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        for _ in 0..6000 {
            let answer = asks.get(url).send().await.unwrap();
            if answer.status().as_u16() == status {
                return answer.text().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{url} does not answer with {status}");
    }

    #[tokio::test]
    async fn a_loop_that_is_blocked_is_not_alive_until_it_goes_on() {
        let nobody = "127.0.0.1:1";
        let store = Store::new(RedisSettings::at(format!("redis://{nobody}")));
        let (_leading, leader) = crate::leader::channel();
        let metrics = Metrics::default();
        let client =
            Client::try_from(kube::Config::new(format!("http://{nobody}").parse().unwrap())).unwrap();
        let controller = Controller {
            client: client.clone(),
            watches: client,
            store: store.unwrap(),
            cluster: ClusterId::new("here"),
            publish_secret: true,
            namespaces: Vec::new(),
            identity: "me".to_owned(),
            leader,
            metrics: metrics.clone(),
            pace: Pace { sweep: Duration::from_millis(10), ..Pace::default() },
        };
        let health = Arc::new(Health::silent_within(Duration::from_secs(2)));
        // So that the loop has something to do with the index.
        health.set(Ok(Epoch(1)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/livez", listener.local_addr().unwrap());
        tokio::spawn(probes::serve(listener, metrics, Arc::clone(&health), std::future::pending()));
        let (ctx, queues) = controller.context(health);
        let never = std::future::pending::<()>().shared();
        let runs = (Arc::clone(&ctx), queues);
        // On a thread of its own: what is blocked there takes nothing with it.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(controller.run_in(runs.0, runs.1, never));
        });
        assert_eq!(wait_livez(&url, 200).await, "ok\n");

        let (release, released) = std::sync::mpsc::channel::<()>();
        let holds = std::thread::spawn(move || {
            let _state = ctx.state();
            let _ = released.recv();
        });

        let why = wait_livez(&url, 503).await;
        assert!(why.starts_with("not alive: the controller's loop has stood still for"), "{why}");
        release.send(()).unwrap();
        holds.join().unwrap();
        wait_livez(&url, 200).await;
    }
}
