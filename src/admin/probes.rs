//! `/livez`, `/readyz` and `/metrics`, on a port of their own and open to whoever reaches it.

use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{StatusCode, header};

use crate::controller::{Hold, Readiness};
use crate::telemetry::{Format, Metrics};

/// Serves probes and metrics until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let live = warp::path!("livez").map(|| "ok\n".to_owned());
    let ready = warp::path!("readyz").map(move || match &*readiness.borrow() {
        Ok(_) => warp::reply::with_status("ok\n".to_owned(), StatusCode::OK),
        // A follower serves reads as well as the leader does.
        Err(Hold::Following) => warp::reply::with_status("ok: following\n".to_owned(), StatusCode::OK),
        Err(Hold::Starting) => not_ready("starting"),
        Err(Hold::FollowingBlindly(why) | Hold::Redis(why)) => not_ready(why),
    });
    let accept = warp::header::optional::<String>(header::ACCEPT.as_str());
    let metrics = warp::path!("metrics").and(accept).map(move |accept: Option<String>| {
        let format = Format::accepted(accept.as_deref());
        warp::reply::with_header(metrics.encode(format), header::CONTENT_TYPE, format.content_type())
    });
    let routes = warp::get().and(live.or(ready).or(metrics));
    warp::serve(routes).incoming(listener).graceful(stop).run().await;
}

fn not_ready(why: &str) -> warp::reply::WithStatus<String> {
    warp::reply::with_status(format!("not ready: {why}\n"), StatusCode::SERVICE_UNAVAILABLE)
}
