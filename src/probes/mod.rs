//! `/livez`, `/readyz` and `/metrics`, on the telemetry port and without authentication. Knows the controller only as
//! [`Health`].

pub mod limits;

use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use warp::Filter;
use warp::http::{StatusCode, header};

use crate::http::{self, ConnectionLimits, Listener};
use crate::telemetry::{Format, Metrics};

/// The health of a replica, as the probes report it.
pub trait Health: Send + Sync + 'static {
    /// Returns the state in which this replica is ready, as in `ok` or `ok: following`, with a line for each warning; or why
    /// it is not ready.
    fn ready(&self) -> Result<String, String>;

    /// Returns why the replica makes no progress, so that only a restart can help. A failure of Redis or of the API
    /// server is no reason, since a restart would not change it.
    fn alive(&self) -> Result<(), String>;
}

/// Serves probes and metrics within the limits until `stop` completes.
pub async fn serve(
    listener: Listener,
    limits: ConnectionLimits,
    metrics: Metrics,
    health: Arc<impl Health>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let liveness = Arc::clone(&health);
    let live = warp::path!("livez").map(move || match liveness.alive() {
        Ok(()) => response(StatusCode::OK, "ok"),
        Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, &format!("not alive: {why}")),
    });
    let ready = warp::path!("readyz").map(move || match health.ready() {
        Ok(state) => response(StatusCode::OK, &state),
        Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}")),
    });
    let accept = warp::header::optional::<String>(header::ACCEPT.as_str());
    let metrics = warp::path!("metrics").and(accept).map(move |accept: Option<String>| {
        let format = Format::accepted(accept.as_deref());
        warp::reply::with_header(metrics.encode(format), header::CONTENT_TYPE, format.content_type())
    });
    let routes = warp::get().and(live.or(ready).or(metrics));
    let service = TowerToHyperService::new(warp::service(routes));
    http::serve(listener, None, limits, |_| service.clone(), stop).await;
}

fn response(status: StatusCode, text: &str) -> warp::reply::WithStatus<String> {
    warp::reply::with_status(format!("{text}\n"), status)
}
