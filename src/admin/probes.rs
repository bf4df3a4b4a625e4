//! `/livez`, `/readyz` and `/metrics`, on a port of their own and open to whoever reaches it.

use std::sync::Arc;

use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{StatusCode, header};

use crate::controller::Health;
use crate::telemetry::Metrics;

/// Serves probes and metrics until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Arc<Health>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let pulse = Arc::clone(&health);
    let live = warp::path!("livez").map(move || match pulse.alive() {
        Ok(()) => say(StatusCode::OK, "ok"),
        Err(why) => say(StatusCode::SERVICE_UNAVAILABLE, &format!("not alive: {why}")),
    });
    let ready = warp::path!("readyz").map(move || match health.ready() {
        Ok(how) => say(StatusCode::OK, how),
        Err(why) => say(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}")),
    });
    let metrics = warp::path!("metrics").map(move || {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        warp::reply::with_header(metrics.encode(), header::CONTENT_TYPE, kind)
    });
    let routes = warp::get().and(live.or(ready).or(metrics));
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
}

fn say(status: StatusCode, text: &str) -> warp::reply::WithStatus<String> {
    warp::reply::with_status(format!("{text}\n"), status)
}
