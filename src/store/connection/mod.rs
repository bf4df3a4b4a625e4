//! One connection that all callers share, replaced when it breaks. Credentials and certificates are read again on
//! every connect.

mod connect;
mod error;
mod handshake;
mod observer;
mod open;
mod push_buffer;
mod sentinel;
mod settings;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;

pub(super) use connect::connect;
pub(super) use error::RequestError;
pub use error::{PERMISSIONS, StoreError};
pub(super) use handshake::{info_field, info_text, is_primary};
pub use observer::{Observer, Purpose};
pub(super) use open::RESPONSE_TIMEOUT;
pub(super) use push_buffer::PushBuffer;
pub(super) use sentinel::primary_address;
pub(super) use settings::Endpoint;
pub use settings::{RedisSettings, SettingsError};

/// For this long, a failed connect is the result of the following calls too, so that many callers cause no storm of
/// connects.
const FAILURE_REUSED_FOR: Duration = Duration::from_millis(100);

/// The shared connection as one caller holds it; `id` identifies the connection.
#[derive(Clone)]
struct ConnectionHandle {
    connection: MultiplexedConnection,
    address: Arc<str>,
    id: u64,
    /// Set for the callers that waited for this connection to be opened.
    is_new: bool,
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

    /// Registers an observer; only the first registration counts.
    pub(super) fn set_observer(&self, observer: Arc<dyn Observer>) {
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

    /// Runs `request` on the shared connection. Where a connection that served requests before turns out to be dead,
    /// `request` runs once more on a new one: all requests of the store are safe to repeat.
    pub(super) async fn run<T, F, Fut>(&self, request: F) -> Result<T, StoreError>
    where
        F: Fn(MultiplexedConnection) -> Fut,
        Fut: Future<Output = Result<T, RequestError>>,
    {
        loop {
            let handle = self.handle().await?;
            let sent = Instant::now();
            let error = match request(handle.connection.clone()).await {
                Ok(reply) => {
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
            if !dropped || handle.is_new {
                return Err(error);
            }
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
                let handle = ConnectionHandle { connection, address, id, is_new: true };
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
