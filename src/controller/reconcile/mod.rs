//! The reconcile of one tenant, in the shape of kube-runtime's: `reconcile`, and `error_policy` for its failures.
//!
//! 1. [`publish`]: begin from one snapshot of the index, and publish first whatever takes DIDs from the tenant;
//! 2. [`prepare`]: plan, and build the operation, as a value; or say what [`fetch`] must read first, and begin again;
//! 3. send it to Redis: one script call;
//! 4. [`conflicts`]: correct the index where Redis knows better, and plan again;
//! 5. [`results`]: record the result, and enqueue the status and the tenants that it affects.

mod conflicts;
mod fetch;
mod live_read;
mod prepare;
mod publish;
mod results;
mod waiting;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{Instrument, debug, field, trace_span, warn};

use super::context::Context;
use super::error::Error;
use super::intervals::jittered;
use super::queue::{self, Action, Dequeued};
use crate::domain::Uid;
use crate::domain::backoff;
use crate::domain::index::CachedTenant;
use crate::telemetry::TRACES;
use waiting::WaitingFor;

/// The interval at which a tenant polls for what no watch event announces: that another cluster or an older publisher
/// released a DID.
const POLL_INTERVAL: Duration = Duration::from_secs(30);
/// The time after which the status of a tenant says that its reconcile waits, and for what.
pub const SLOW: Duration = Duration::from_secs(1);

/// Reconciles one tenant: publishes it, and first whatever takes DIDs from it; or removes what is left of it.
pub async fn reconcile(dequeued: &Dequeued<Uid>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let Dequeued { key: uid, queued_at, span: change } = dequeued;
    let began = Instant::now();
    ctx.metrics.observe_queue_wait(queue::RECONCILE, began.duration_since(*queued_at));
    ctx.metrics.reconciles.inc();
    let span = trace_span!(target: TRACES, parent: change, "reconcile", resource = field::Empty);
    if !change.is_disabled()
        && let Some(object) = ctx.read(|index| index.object(uid))
    {
        change.record("resource", field::display(object.name()));
        span.record("resource", field::display(object.name()));
    }
    let waiting = WaitingFor::default();
    let mut publishing = pin!(waiting.scope(publish::publish(ctx, uid, change).instrument(span)));
    let published = report_if_slow(ctx, dequeued, &waiting, publishing.as_mut()).await;
    ctx.secrets.reconciled(uid);
    ctx.metrics.observe_reconcile(began.elapsed());
    if let Err(error) = published {
        force_release(ctx, uid, error)?;
    }
    let must_poll = ctx.update_in(change, |index| index.reconciled(uid));
    Ok(if must_poll { Action::requeue(jittered(POLL_INTERVAL)) } else { Action::await_change() })
}

/// Waits for a publish. Where that takes long, the status says what it waits for.
async fn report_if_slow(
    ctx: &Context,
    dequeued: &Dequeued<Uid>,
    waiting: &WaitingFor,
    mut publishing: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<(), Error> {
    if let Ok(published) = timeout(SLOW, publishing.as_mut()).await {
        return published;
    }
    ctx.update_in(&dequeued.span, |index| (index.delayed(&dequeued.key, waiting.failure(SLOW)), ()));
    ctx.slow_reconciles.fetch_add(1, Ordering::Relaxed);
    let published = publishing.await;
    ctx.slow_reconciles.fetch_sub(1, Ordering::Relaxed);
    published
}

/// Records a failure and requeues the tenant with backoff. A failing tenant never blocks the others: the more of them are
/// retried, the less often each is, since one that succeeds has all others retried immediately.
pub fn error_policy(dequeued: &Dequeued<Uid>, error: &Error, ctx: &Arc<Context>) -> Action {
    let uid = &dequeued.key;
    let Some(reason) = error.reason() else { return Action::await_change() };
    ctx.metrics.count_reconcile_error(reason.as_str());
    let retry = ctx.update_in(&dequeued.span, |index| index.failed(uid, error.failure()));
    let resource = retry.name.map(field::display);
    if error.waits_for_redis() {
        debug!(resource, %uid, %error, "waiting for Redis");
        return Action::await_change();
    }
    if ctx.outages.is_news(reason, Instant::now()) {
        warn!(resource, %reason, %error, "reconcile failed, retrying");
    } else {
        debug!(resource, %uid, %reason, %error, retry.failures, "reconcile failed, retrying");
    }
    Action::requeue(jittered(backoff::delay(retry.failures, retry.retrying)))
}

/// Notes that the finalizer of a deleted resource with the annotation `force-delete` must be removed, whatever prevents its
/// keys from being removed. Returns the error of any other resource.
fn force_release(ctx: &Context, uid: &Uid, error: Error) -> Result<(), Error> {
    let is_forced = |object: &Arc<CachedTenant>| object.is_deleting() && object.force_delete();
    // Who does not lead leaves it to the leader.
    let object = ctx.read(|index| index.object(uid)).filter(|_| !error.is_not_leading());
    let Some(object) = object.filter(is_forced) else { return Err(error) };
    let resource = object.name();
    warn!(%resource, %error, "force-delete: finalizer removed, keys left for the orphan sweep");
    ctx.note(|index| index.force_release(uid, &error.to_string()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use kube::Client;
    use kube::client::Body;
    use local_cluster::{Redis, RedisOptions};
    use serde_json::json;
    use serde_json::value::RawValue;
    use tower::service_fn;
    use tracing::Span;

    use super::*;
    use crate::controller::health::Health;
    use crate::controller::{Controller, Intervals};
    use crate::domain::index::Interners;
    use crate::domain::secret::SecretVersion;
    use crate::domain::{ClusterId, Epoch, ResourceName, compile};
    use crate::leader::Writer;
    use crate::store::{RedisSettings, Store, StoredConfig};
    use crate::telemetry::{LabelValues, Metrics};

    const SPEC: &str = r#"{
        "tenantId": "acme", "dids": ["+15551234567"], "webhookSecretRef": { "name": "hook" },
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" }
    }"#;

    /// A client of an API server that has one Secret and nothing else.
    fn client() -> Client {
        let service = service_fn(|_: hyper::Request<Body>| async {
            let metadata =
                json!({ "name": "hook", "namespace": "voice", "uid": "s", "resourceVersion": "1" });
            let secret = json!({ "metadata": metadata, "data": { "webhookSecret": "d2hzZWM=" } });
            Ok::<_, std::convert::Infallible>(hyper::Response::new(Body::from(
                secret.to_string().into_bytes(),
            )))
        });
        Client::new(service, "voice")
    }

    async fn context(redis: &Redis) -> Arc<Context> {
        context_with(redis, client()).await
    }

    async fn context_with(redis: &Redis, client: Client) -> Arc<Context> {
        let writer = Writer::default();
        let store = Store::new(RedisSettings::at(redis.url())).unwrap().with_writer("here/voice", "me");
        let epoch: Epoch = store.acquire_epoch().await.unwrap();
        writer.elected(epoch);
        writer.resynced(epoch);
        let controller = Controller {
            client: client.clone(),
            watch_client: client,
            store,
            cluster: ClusterId::new("here"),
            publish_secret: true,
            namespaces: Vec::new(),
            identity: "me".to_owned(),
            lease: "runtime-operator".to_owned(),
            elects: false,
            writer: writer.clone(),
            metrics: Metrics::new(&LabelValues::default()),
            intervals: Intervals::default(),
        };
        controller.context(Arc::new(Health::new(writer))).0
    }

    fn object() -> CachedTenant {
        object_of(SPEC)
    }

    fn object_of(spec: &str) -> CachedTenant {
        let metadata = json!({
            "name": "acme", "namespace": "voice", "uid": "u", "generation": 1, "resourceVersion": "1",
        });
        let spec = RawValue::from_string(spec.to_owned()).unwrap();
        let metadata = serde_json::from_value(metadata).unwrap();
        CachedTenant::new(metadata, Some(spec), None, 1, None, &mut Interners::default())
    }

    #[tokio::test]
    async fn a_reconcile_locks_the_index_four_times() {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let ctx = context(&redis).await;
        let hook = ResourceName::new("voice", "hook");
        let version = SecretVersion::new(Some("s"), Some("1"));
        ctx.note(crate::domain::index::Index::mark_synced);
        ctx.update(|index| index.apply_secret(&hook, Some((version, 1))));
        ctx.update(|index| index.apply(object(), Some(compile::claimed(SPEC)), false));
        let dequeued = Dequeued { key: Uid::from("u"), queued_at: Instant::now(), span: Span::none() };
        ctx.locks.store(0, Ordering::Relaxed);

        let action = reconcile(&dequeued, &ctx).await.unwrap();

        assert_eq!(
            ctx.locks.load(Ordering::Relaxed),
            4,
            "the snapshot before and after the Secret was read, the result, the retries"
        );
        assert_eq!(action, Action::await_change());
        let tenant = crate::contract::TenantId::parse("acme").unwrap();
        let stored = ctx.store.config(&tenant, 1 << 20).await.unwrap();
        assert!(matches!(stored, StoredConfig::Bytes(_)), "it is published");
    }

    /// A client whose API server answers no read of the Secret `hangs`.
    fn hanging_client() -> Client {
        let service = service_fn(|request: hyper::Request<Body>| async move {
            if request.uri().path().ends_with("/hangs") {
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(hyper::Response::new(Body::empty()))
        });
        Client::new(service, "voice")
    }

    #[tokio::test]
    async fn nothing_is_locked_while_a_secret_is_read() {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let ctx = context_with(&redis, hanging_client()).await;
        let hangs = ResourceName::new("voice", "hangs");
        let version = SecretVersion::new(Some("s"), Some("1"));
        ctx.note(crate::domain::index::Index::mark_synced);
        ctx.update(|index| index.apply_secret(&hangs, Some((version, 1))));
        let spec = SPEC.replace("\"hook\"", "\"hangs\"");
        ctx.update(|index| index.apply(object_of(&spec), Some(compile::claimed(&spec)), false));
        let dequeued = Dequeued { key: Uid::from("u"), queued_at: Instant::now(), span: Span::none() };

        let hanging = reconcile(&dequeued, &ctx);
        let locking = async {
            // The reconcile is polled first, up to its read.
            tokio::task::yield_now().await;
            drop(ctx.publishing.write().await);
        };
        tokio::select! {
            biased;
            done = hanging => panic!("the Secret was read: {done:?}"),
            () = locking => {}
        }
    }
}
