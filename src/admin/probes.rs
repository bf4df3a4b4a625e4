//! `/livez`, `/readyz` and `/metrics`, on a port of their own and open to whoever reaches it.

use std::sync::Arc;

use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{StatusCode, header};

use crate::controller::Health;
use crate::telemetry::{Format, Metrics};

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
    let accept = warp::header::optional::<String>(header::ACCEPT.as_str());
    let metrics = warp::path!("metrics").and(accept).map(move |accept: Option<String>| {
        let format = Format::accepted(accept.as_deref());
        warp::reply::with_header(metrics.encode(format), header::CONTENT_TYPE, format.content_type())
    });
    let routes = warp::get().and(live.or(ready).or(metrics));
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
}

fn say(status: StatusCode, text: &str) -> warp::reply::WithStatus<String> {
    warp::reply::with_status(format!("{text}\n"), status)
}
