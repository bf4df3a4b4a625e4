//! One connection that all callers share, replaced when it breaks. Credentials and certificates are read again on
//! every connect.

mod connect;
mod error;
mod handshake;
mod keepalive;
mod observer;
mod open;
mod push_buffer;
mod sentinel;
mod settings;
mod url;

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use tokio::time::{MissedTickBehavior, interval};

use keepalive::{LastReply, PROBE_INTERVAL};

pub(super) use connect::{connect, open_unchecked};
pub(super) use error::RequestError;
pub use error::{PERMISSIONS, StoreError};
pub(super) use handshake::{info_field, info_text, is_primary};
pub use observer::{Observer, Purpose};
pub(super) use open::RESPONSE_TIMEOUT;
pub(super) use push_buffer::PushBuffer;
pub(super) use sentinel::primary_address;
pub(super) use settings::Endpoint;
pub use settings::{RedisSettings, SettingsError};
pub use url::{parse_redis_url, parse_sentinel};

/// For this long, a failed connect is the result of the following calls too, so that many callers cause no storm of
/// connects.
const FAILURE_REUSED_FOR: Duration = Duration::from_millis(100);

/// The shared connection as one caller holds it; `id` identifies the connection.
#[derive(Clone)]
struct ConnectionHandle {
    connection: MultiplexedConnection,
    address: Arc<str>,
    id: u64,
    last_reply: LastReply,
    /// Set for the callers that waited for this connection to be opened.
    is_new: bool,
}

/// The fate of a request that gets no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It is sent once more, on a new connection: a read.
    Once,
    /// It fails, since Redis may still do it later: a write.
    Never,
}

/// The attempt to connect that all callers wait for.
type Connecting = Shared<BoxFuture<'static, Result<(MultiplexedConnection, Arc<str>), StoreError>>>;

/// The state of the shared connection.
enum State {
    Idle,
    /// An attempt for the connection of this id is under way.
    Connecting(u64, Connecting),
    Connected(ConnectionHandle),
    /// The last attempt failed at this time.
    Failed(Instant, StoreError),
}

/// The shared connection and its state.
pub(super) struct SharedConnection {
    endpoint: Arc<Endpoint>,
    /// The id of the latest connection, and the state.
    state: Mutex<(u64, State)>,
    observer: OnceLock<Arc<dyn Observer>>,
}

impl SharedConnection {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, state: Mutex::new((0, State::Idle)), observer: OnceLock::new() }
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// `host:port/database` of the latest connection; before the first, of the settings.
    pub(super) fn address(&self) -> String {
        let primary = self.endpoint.current_primary().map(|(host, port)| format!("{host}:{port}"));
        format!("{}/{}", primary.unwrap_or_else(|| self.endpoint.address()), self.endpoint.database())
    }

    /// Registers an observer; only the first registration counts.
    pub(super) fn set_observer(&self, observer: Arc<dyn Observer>) {
        let _ = self.observer.set(observer);
    }

    /// Calls the observer, if there is one.
    pub(super) fn observe(&self, report: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = self.observer.get() {
            report(&**observer);
        }
    }

    /// Reports the outcome of a connect to the observer.
    pub(super) fn report_connect(&self, purpose: Purpose, succeeded: bool) {
        match self.observer.get() {
            Some(observer) if succeeded => observer.on_connected(purpose),
            Some(observer) => observer.on_connect_failed(purpose),
            None => {}
        }
    }

    /// Runs `request` on the shared connection. Where a connection that served requests before turns out to be dead,
    /// `request` runs once more on a new one: all requests of the store are safe to repeat. A connection that only loses
    /// what is sent on it looks like a slow Redis: then `repeat` decides.
    pub(super) async fn run<T, F, Fut>(&self, repeat: Repeat, request: F) -> Result<T, StoreError>
    where
        F: Fn(MultiplexedConnection) -> Fut,
        Fut: Future<Output = Result<T, RequestError>>,
    {
        let mut repeats_left = repeat == Repeat::Once;
        loop {
            let handle = self.proven_handle().await?;
            let sent = Instant::now();
            let error = match request(handle.connection.clone()).await {
                Ok(reply) => {
                    handle.last_reply.note();
                    if let Some(observer) = self.observer.get() {
                        observer.on_reply(sent.elapsed());
                    }
                    return Ok(reply);
                }
                Err(error) => error,
            };
            let dropped = error.is_connection_dropped();
            let error = error.into_store_error(&handle.address);
            if error.is_fatal_to_connection() {
                self.discard(&handle);
            }
            let lost = error == StoreError::TimedOut && std::mem::take(&mut repeats_left);
            if handle.is_new || !(dropped || lost) {
                return Err(error);
            }
        }
    }

    /// Keeps the shared connection alive while it is idle, and drops it when it no longer leads to Redis, so that the next
    /// request finds a new one.
    pub(super) async fn keep_alive(&self) -> Infallible {
        let mut probe = interval(PROBE_INTERVAL);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            probe.tick().await;
            let Some(handle) = self.connected() else { continue };
            if handle.last_reply.is_probe_due() && !handle.last_reply.probe(handle.connection.clone()).await {
                self.discard(&handle);
            }
        }
    }

    /// Returns the shared connection, after a probe if it was idle for long.
    async fn proven_handle(&self) -> Result<ConnectionHandle, StoreError> {
        loop {
            let handle = self.handle().await?;
            if handle.is_new || handle.last_reply.is_proven(handle.connection.clone()).await {
                return Ok(handle);
            }
            self.discard(&handle);
        }
    }

    /// Returns the shared connection if there is one.
    fn connected(&self) -> Option<ConnectionHandle> {
        match &self.lock().1 {
            State::Connected(handle) => Some(handle.clone()),
            _ => None,
        }
    }

    /// Returns the shared connection. Callers that come while it is being opened wait for the same attempt.
    async fn handle(&self) -> Result<ConnectionHandle, StoreError> {
        let (id, connecting) = {
            let mut guard = self.lock();
            match &guard.1 {
                State::Connected(handle) => return Ok(handle.clone()),
                State::Failed(when, error) if when.elapsed() < FAILURE_REUSED_FOR => {
                    return Err(error.clone());
                }
                State::Connecting(id, connecting) => (*id, connecting.clone()),
                State::Idle | State::Failed(..) => {
                    let endpoint = Arc::clone(&self.endpoint);
                    let connecting = async move { connect(&endpoint, None).await }.boxed().shared();
                    let id = guard.0 + 1;
                    *guard = (id, State::Connecting(id, connecting.clone()));
                    (id, connecting)
                }
            }
        };
        let outcome = connecting.await;
        let mut guard = self.lock();
        // The first caller to get here records the outcome for all.
        let is_first = matches!(&guard.1, State::Connecting(of, _) if *of == id);
        if is_first {
            self.report_connect(Purpose::Commands, outcome.is_ok());
        }
        match outcome {
            Ok((connection, address)) => {
                let last_reply = LastReply::now();
                let handle = ConnectionHandle { connection, address, id, last_reply, is_new: true };
                if is_first {
                    guard.1 = State::Connected(ConnectionHandle { is_new: false, ..handle.clone() });
                }
                Ok(handle)
            }
            Err(error) => {
                if is_first {
                    guard.1 = State::Failed(Instant::now(), error.clone());
                }
                Err(error)
            }
        }
    }

    /// Drops the shared connection if it leads elsewhere: another connection has just found the primary at `address`.
    pub(super) fn on_primary_found(&self, address: &str) {
        let mut guard = self.lock();
        if matches!(&guard.1, State::Connected(handle) if *handle.address != *address) {
            guard.1 = State::Idle;
        }
    }

    /// Drops the shared connection if it is still this one.
    fn discard(&self, handle: &ConnectionHandle) {
        let mut guard = self.lock();
        if matches!(&guard.1, State::Connected(current) if current.id == handle.id) {
            guard.1 = State::Idle;
        }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, State)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
