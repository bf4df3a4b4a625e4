//! One connection that every caller shares, made again when it breaks. Credentials and certificates are read on
//! every connect.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Client, PushInfo, RedisError, Value};
use tokio::sync::mpsc;

use super::settings::Endpoint;
use super::{Observer, Purpose, StoreError, sentinel};

/// How long a connect may take, with TLS and login.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a failed connect answers for the next ones too, so that many callers don't storm Redis.
const FAILURE_HOLDS: Duration = Duration::from_millis(100);
/// How many commands may wait to be sent before callers wait.
const QUEUE: usize = 1024;

/// A connection as a caller has it: which one it is, to say later that it broke.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) connection: MultiplexedConnection,
    pub(super) address: Arc<str>,
    number: u64,
    fresh: bool,
}

type Connecting = Shared<BoxFuture<'static, Result<(MultiplexedConnection, Arc<str>), StoreError>>>;

enum State {
    Idle,
    Connecting(u64, Connecting),
    Connected(Lease),
    Failed(Instant, StoreError),
}

/// Holds the one connection.
pub(super) struct Connections {
    endpoint: Arc<Endpoint>,
    state: Mutex<(u64, State)>,
    observer: OnceLock<Arc<dyn Observer>>,
}

impl Connections {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, state: Mutex::new((0, State::Idle)), observer: OnceLock::new() }
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn with_observer(&self, observer: Arc<dyn Observer>) {
        let _ = self.observer.set(observer);
    }

    /// Reports the outcome of a connect to the observer.
    pub(super) fn report_connect(&self, purpose: Purpose, succeeded: bool) {
        match self.observer.get() {
            Some(observer) if succeeded => observer.on_connected(purpose),
            Some(observer) => observer.on_connect_failed(purpose),
            None => {}
        }
    }

    /// Runs `ask` on the shared connection. Where a connection that has served before turns out to be dead, `ask`
    /// runs once more on a new one: all that the store asks may be asked twice.
    pub(super) async fn run<T, F, Fut>(&self, ask: F) -> Result<T, StoreError>
    where
        F: Fn(MultiplexedConnection) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        loop {
            let lease = self.lease().await?;
            let asked = Instant::now();
            let fault = match ask(lease.connection.clone()).await {
                Ok(answer) => {
                    if let Some(observer) = self.observer.get() {
                        observer.on_reply(asked.elapsed());
                    }
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            let dropped = matches!(&fault, Fault::Redis(error) if error.is_connection_dropped());
            let error = fault.named(&lease.address);
            if error.is_fatal_to_connection() {
                self.discard(&lease);
            }
            if !dropped || lease.fresh {
                return Err(error);
            }
        }
    }

    /// The shared connection; callers that come while it is being made wait for the same attempt.
    async fn lease(&self) -> Result<Lease, StoreError> {
        let (number, connecting) = {
            let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &guard.1 {
                State::Connected(lease) => return Ok(lease.clone()),
                State::Failed(when, error) if when.elapsed() < FAILURE_HOLDS => return Err(error.clone()),
                State::Connecting(number, connecting) => (*number, connecting.clone()),
                State::Idle | State::Failed(..) => {
                    let endpoint = Arc::clone(&self.endpoint);
                    let connecting = async move { connect(&endpoint, None).await }.boxed().shared();
                    let number = guard.0 + 1;
                    *guard = (number, State::Connecting(number, connecting.clone()));
                    (number, connecting)
                }
            }
        };
        let outcome = connecting.await;
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let current = matches!(&guard.1, State::Connecting(of, _) if *of == number);
        if current {
            self.report_connect(Purpose::Commands, outcome.is_ok());
        }
        match outcome {
            Ok((connection, address)) => {
                let lease = Lease { connection, address, number, fresh: true };
                if current {
                    guard.1 = State::Connected(Lease { fresh: false, ..lease.clone() });
                }
                Ok(lease)
            }
            Err(error) => {
                if current {
                    guard.1 = State::Failed(Instant::now(), error.clone());
                }
                Err(error)
            }
        }
    }

    /// Another connection has just found the primary here: one to elsewhere leads to where the primary was.
    pub(super) fn primary_is_at(&self, address: &str) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&guard.1, State::Connected(held) if *held.address != *address) {
            guard.1 = State::Idle;
        }
    }

    fn discard(&self, lease: &Lease) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&guard.1, State::Connected(held) if held.number == lease.number) {
            guard.1 = State::Idle;
        }
    }
}

/// What went wrong while asking, before it has a name.
pub(super) enum Fault {
    Redis(RedisError),
    Named(StoreError),
}

impl Fault {
    fn named(self, address: &str) -> StoreError {
        match self {
            Self::Redis(error) => StoreError::from_redis(&error, address),
            Self::Named(error) => error,
        }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Named(error)
    }
}

/// How many pushes may wait to be taken: more than a bulk of ten thousand tenants causes.
const PUSHES: usize = 65_536;

/// What Redis pushes on a connection, in its order; what does not fit is dropped, and that is noted.
pub(super) struct Pushes {
    sender: mpsc::Sender<PushInfo>,
    receiver: mpsc::Receiver<PushInfo>,
    overflow: Arc<AtomicBool>,
}

impl Default for Pushes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(PUSHES);
        Self { sender, receiver, overflow: Arc::default() }
    }
}

impl Pushes {
    /// Waits for the next push.
    pub(super) async fn next(&mut self) -> Option<PushInfo> {
        self.receiver.recv().await
    }

    /// The next push, if it is there already.
    pub(super) fn try_next(&mut self) -> Option<PushInfo> {
        self.receiver.try_recv().ok()
    }

    /// Whether pushes were dropped since this was last asked.
    pub(super) fn overflowed(&self) -> bool {
        self.overflow.swap(false, Ordering::Relaxed)
    }

    fn receive(&self) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + 'static {
        let (sender, overflow) = (self.sender.clone(), Arc::clone(&self.overflow));
        move |push| {
            sender.try_send(push).map_err(|_| {
                overflow.store(true, Ordering::Relaxed);
                SendError
            })
        }
    }
}

/// A new connection of its own to the primary, logged in and known not to be in cluster mode; and its address.
pub(super) async fn connect(
    endpoint: &Endpoint,
    pushes: Option<&Pushes>,
) -> Result<(MultiplexedConnection, Arc<str>), StoreError> {
    let (client, address) = if let Some(service) = endpoint.sentinel_service() {
        let (host, port) = sentinel::primary(endpoint, service).await?;
        (endpoint.client_at(&host, port)?, format!("{host}:{port}"))
    } else {
        (endpoint.client()?, endpoint.address())
    };
    let mut connection =
        open(&client, pushes).await.map_err(|error| StoreError::from_redis(&error, &address))?;
    greet(&mut connection, endpoint).await.map_err(|fault| fault.named(&address))?;
    Ok((connection, address.into()))
}

/// Opens a connection within the limits of time.
pub(super) async fn open(
    client: &Client,
    pushes: Option<&Pushes>,
) -> Result<MultiplexedConnection, RedisError> {
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(QUEUE);
    if let Some(pushes) = pushes {
        config = config.set_push_sender(pushes.receive());
    }
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Names the connection (`CLIENT LIST` shows it) and asks what kind of server this is.
async fn greet(connection: &mut MultiplexedConnection, endpoint: &Endpoint) -> Result<(), Fault> {
    let mut pipe = redis::pipe();
    pipe.cmd("CLIENT").arg("SETNAME").arg("runtime-operator").ignore();
    pipe.cmd("INFO").arg("cluster");
    pipe.cmd("INFO").arg("replication");
    let answers: Vec<Value> = pipe.ignore_errors().query_async(connection).await?;
    let mut infos = answers.into_iter().map(info_text);
    let (Some(cluster), Some(replication)) = (infos.next(), infos.next()) else {
        return Err(StoreError::Unexpected("too few answers".to_owned()).into());
    };
    if info_field(&cluster?, "cluster_enabled") == Some("1") {
        return Err(StoreError::ClusterMode.into());
    }
    // Sentinels may lag behind a failover; without them, a write names the replica.
    if endpoint.sentinel_service().is_some() && info_field(&replication?, "role") != Some("master") {
        return Err(StoreError::ReadOnly.into());
    }
    Ok(())
}

/// The text of an answer to `INFO`.
pub(super) fn info_text(answer: Value) -> Result<String, RedisError> {
    let answer = match answer {
        Value::ServerError(error) => return Err(error.into()),
        other => other,
    };
    Ok(redis::from_redis_value(answer)?)
}

/// One field of an answer to `INFO`.
pub(super) fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.split_once(':').filter(|(field, _)| *field == name).map(|(_, value)| value))
}
