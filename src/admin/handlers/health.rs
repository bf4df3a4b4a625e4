//! The health of Redis, as the routes report it.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::warn;
use warp::http::StatusCode;

use super::probed::Probed;
use super::{Handlers, store_failed};
use crate::admin::endpoint::Endpoint;
use crate::admin::limits::HEALTH_PROBE_INTERVAL;
use crate::admin::response::{ApiError, JsonResponse};
use crate::contract::routes::ErrorCode;
use crate::store::StoreError;

impl Handlers {
    /// Reports the health. A caller that has proved who it is gets `all` members.
    pub(in crate::admin) async fn health(&self, all: bool) -> Result<JsonResponse, ApiError> {
        let Probed { at, outcome, .. } = self.probed().await;
        let (status, mut body, redis) = match outcome {
            Ok(latency) => {
                let latency = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                let redis = json!({ "connected": true, "latencyMs": latency });
                (StatusCode::OK, json!({ "ok": true, "latencyMs": latency }), redis)
            }
            Err(error @ StoreError::Unexpected(_)) => {
                return Err(store_failed(Endpoint::Health, &error, ErrorCode::RuntimeHealthFailed));
            }
            Err(error) => {
                let body = json!({ "ok": false, "error": error.reason().as_str() });
                (StatusCode::SERVICE_UNAVAILABLE, body, json!({ "connected": false }))
            }
        };
        if all {
            body["status"] = Value::from(if status == StatusCode::OK { "ok" } else { "degraded" });
            body["redis"] = redis;
            body["checkedAt"] = format!("{}", at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).into();
        }
        Ok(JsonResponse::new(status, body.to_string()))
    }

    /// Probes Redis, or returns a probe of the last second: clients without a token cause no more of them. Concurrent callers
    /// wait for the same probe.
    async fn probed(&self) -> Probed {
        let mut last = self.probed.lock().await;
        match &*last {
            Some(probed) if probed.since.elapsed() < HEALTH_PROBE_INTERVAL => probed.clone(),
            _ => {
                let outcome = self.store.health().await;
                if let Err(error) = &outcome {
                    warn!(%error, "Redis health check failed");
                }
                let probed = Probed { since: Instant::now(), at: Timestamp::now(), outcome };
                last.insert(probed).clone()
            }
        }
    }
}
