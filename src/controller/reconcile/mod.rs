//! The reconcile of one tenant, in the shape of kube-runtime's: `reconcile`, and `error_policy` for its failures.
//!
//! 1. [`publish`]: begin from one snapshot of the index, and publish first whatever takes DIDs from the tenant;
//! 2. [`prepare`]: plan, and build the operation, as a value; or say what [`fetch`] must read first, and begin again;
//! 3. send it to Redis: one script call;
//! 4. [`conflicts`]: correct the index where Redis knows better, and plan again;
//! 5. [`results`]: record the result, and enqueue the status and the tenants that it affects.

mod conflicts;
mod fetch;
mod prepare;
mod publish;
mod results;
mod uncached;
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
pub use publish::MAX_GROUP_BYTES;
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

    /// A client of an API server that has one Secret, and this resource if there is one.
    fn client(resource: Option<serde_json::Value>) -> Client {
        let service = service_fn(move |request: hyper::Request<Body>| {
            let metadata =
                json!({ "name": "hook", "namespace": "voice", "uid": "s", "resourceVersion": "1" });
            let secret = json!({ "metadata": metadata, "data": { "webhookSecret": "d2hzZWM=" } });
            let is_secret = request.uri().path().contains("/secrets/");
            let found = if is_secret { Some(secret) } else { resource.clone() };
            let text = found.map(|found| found.to_string()).unwrap_or_default();
            async move { Ok::<_, std::convert::Infallible>(hyper::Response::new(Body::from(text.into_bytes()))) }
        });
        Client::new(service, "voice")
    }

    async fn context(redis: &Redis, client: Client) -> Arc<Context> {
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
            max_tenant_bytes: compile::MAX_SPEC_BYTES,
            max_held_spec_bytes: crate::domain::index::MAX_HELD_SPECS,
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
        let ctx = context(&redis, client(None)).await;
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

    /// Reconciles a tenant up to the read of its Secret, then does something else.
    async fn while_a_secret_is_read(max_held_spec_bytes: usize, other: impl AsyncFnOnce(&Context)) {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let ctx = context(&redis, hanging_client()).await;
        *ctx.index.lock().unwrap() =
            crate::domain::index::Index::new(true).with_held_spec_bytes(max_held_spec_bytes);
        let hangs = ResourceName::new("voice", "hangs");
        let version = SecretVersion::new(Some("s"), Some("1"));
        ctx.note(crate::domain::index::Index::mark_synced);
        ctx.update(|index| index.apply_secret(&hangs, Some((version, 1))));
        let spec = SPEC.replace("\"hook\"", "\"hangs\"");
        ctx.update(|index| index.apply(object_of(&spec), Some(compile::claimed(&spec)), false));
        let dequeued = Dequeued { key: Uid::from("u"), queued_at: Instant::now(), span: Span::none() };

        let hanging = reconcile(&dequeued, &ctx);
        let doing_other = async {
            // The reconcile is polled first, up to its read.
            tokio::task::yield_now().await;
            other(&ctx).await;
        };
        tokio::select! {
            biased;
            done = hanging => panic!("the Secret was read: {done:?}"),
            () = doing_other => {}
        }
    }

    #[tokio::test]
    async fn nothing_is_locked_while_a_secret_is_read() {
        let lock = async |ctx: &Context| drop(ctx.publishing.write().await);
        while_a_secret_is_read(crate::domain::index::MAX_HELD_SPECS, lock).await;
    }

    #[tokio::test]
    async fn no_room_for_a_large_spec_is_held_while_a_secret_is_read() {
        let take_all = async |ctx: &Context| drop(ctx.large_specs.permit(usize::MAX).await);
        while_a_secret_is_read(0, take_all).await;
    }

    /// The resource with this generation and number of calls, in the form of the API server.
    fn stored(generation: i64, calls: u32) -> serde_json::Value {
        let spec = SPEC
            .replace("\"maxConcurrentCallsTenant\": 1", &format!("\"maxConcurrentCallsTenant\": {calls}"));
        json!({
            "metadata": {
                "name": "acme", "namespace": "voice", "uid": "u", "generation": generation,
                "resourceVersion": generation.to_string(),
            },
            "spec": serde_json::from_str::<serde_json::Value>(&spec).unwrap(),
        })
    }

    /// Reconciles a tenant whose spec is not held and that the index knows as `known`, where the API server has `found`.
    /// Returns the number of calls in the published config.
    async fn reconcile_unheld(known: serde_json::Value, found: serde_json::Value) -> Result<u64, Error> {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let ctx = context(&redis, client(Some(found))).await;
        *ctx.index.lock().unwrap() = crate::domain::index::Index::new(true).with_held_spec_bytes(0);
        let hook = ResourceName::new("voice", "hook");
        ctx.note(crate::domain::index::Index::mark_synced);
        ctx.update(|index| index.apply_secret(&hook, Some((SecretVersion::new(Some("s"), Some("1")), 1))));
        let known = serde_json::from_value(known).unwrap();
        crate::controller::watch::apply(&ctx, known, 1, false, &mut Interners::default());
        let uid = Uid::from("u");
        assert!(ctx.read(|index| index.object(&uid).unwrap().cached_spec().is_unheld()));
        let dequeued = Dequeued { key: uid, queued_at: Instant::now(), span: Span::none() };

        reconcile(&dequeued, &ctx).await?;

        let tenant = crate::contract::TenantId::parse("acme").unwrap();
        let crate::store::StoredConfig::Bytes(json) = ctx.store.config(&tenant, 1 << 20).await.unwrap()
        else {
            panic!("it is not published");
        };
        let json = secrecy::ExposeSecret::expose_secret(&json).to_vec();
        let config = crate::contract::RuntimeTenantConfig::parse(json).unwrap();
        Ok(config.document()["caps"]["maxConcurrentCallsTenant"].as_u64().unwrap())
    }

    #[tokio::test]
    async fn a_spec_that_is_not_held_is_read_and_published() {
        assert_eq!(reconcile_unheld(stored(1, 5), stored(1, 5)).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn a_newer_spec_than_the_index_knows_passes_through_the_index_first() {
        assert_eq!(reconcile_unheld(stored(1, 5), stored(2, 6)).await.unwrap(), 6);
        assert_eq!(reconcile_unheld(stored(1, 5), stored(1, 7)).await.unwrap(), 7, "etcd was restored");
    }

    #[tokio::test]
    async fn an_older_spec_than_the_index_knows_is_not_published() {
        let error = reconcile_unheld(stored(2, 5), stored(1, 6)).await.unwrap_err();
        assert!(matches!(error, Error::WatchBehind(_)), "{error}");
        let other = || {
            let mut other = stored(2, 5);
            other["metadata"]["uid"] = json!("other");
            other
        };
        assert!(matches!(reconcile_unheld(stored(2, 5), other()).await, Err(Error::WatchBehind(_))));
    }
}
