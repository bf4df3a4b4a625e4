//! `/livez`, `/readyz` and `/metrics`, on a port of their own and open to whoever reaches it.

use tokio::net::TcpListener;
use tokio::sync::watch;
use warp::Filter;
use warp::http::{StatusCode, header};

use crate::store::Epoch;
use crate::telemetry::Metrics;

/// Serves probes and metrics until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: watch::Receiver<Result<Epoch, String>>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let live = warp::path!("livez").map(|| "ok\n".to_owned());
    let ready = warp::path!("readyz").map(move || match &*readiness.borrow() {
        Ok(_) => warp::reply::with_status("ok\n".to_owned(), StatusCode::OK),
        Err(why) => warp::reply::with_status(format!("not ready: {why}\n"), StatusCode::SERVICE_UNAVAILABLE),
    });
    let metrics = warp::path!("metrics").map(move || {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        warp::reply::with_header(metrics.encode(), header::CONTENT_TYPE, kind)
    });
    let routes = warp::get().and(live.or(ready).or(metrics));
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
}
