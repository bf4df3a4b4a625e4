//! Asks the Sentinels for the primary's address.
//! Protocol: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use redis::RedisError;

use super::error::StoreError;
use super::open::open;
use super::settings::Endpoint;

/// Returns the primary's host and port, as reported by the first Sentinel that knows the service.
pub(in crate::store) async fn primary_address(
    endpoint: &Endpoint,
    service: &str,
) -> Result<(String, u16), StoreError> {
    let mut causes = Vec::new();
    for (host, port) in &endpoint.sentinels {
        match ask_sentinel(endpoint, (host, *port), service).await {
            Ok(Some(primary)) => return Ok(primary),
            Ok(None) => causes.push(format!("{host}:{port} does not know the service")),
            Err(error) => causes.push(error.to_string()),
        }
    }
    Err(StoreError::NoPrimary { service: service.to_owned(), cause: causes.join("; ") })
}

/// Asks one Sentinel. Sentinels often need no login; those that do have, by convention, Redis' own user and password.
async fn ask_sentinel(
    endpoint: &Endpoint,
    (host, port): (&str, u16),
    service: &str,
) -> Result<Option<(String, u16)>, StoreError> {
    let without_login = query(&endpoint.sentinel_client(host, port, false)?, service).await;
    let reply = match without_login {
        Err(error) if error.code() == Some("NOAUTH") => {
            query(&endpoint.sentinel_client(host, port, true)?, service).await
        }
        other => other,
    };
    reply.map_err(|error| StoreError::from_redis(&error, &format!("Sentinel {host}:{port}")))
}

async fn query(client: &redis::Client, service: &str) -> Result<Option<(String, u16)>, RedisError> {
    let mut connection = open(client, None).await?;
    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).query_async(&mut connection).await
}
