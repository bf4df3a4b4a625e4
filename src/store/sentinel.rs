//! Which Redis is the primary now, asked of the Sentinels.
//! Protocol: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use redis::RedisError;

use super::StoreError;
use super::connection::open;
use super::settings::Endpoint;

/// The primary's host and port, as the first Sentinel that knows it says.
pub(super) async fn primary(endpoint: &Endpoint, service: &str) -> Result<(String, u16), StoreError> {
    let mut said = Vec::new();
    for (host, port) in &endpoint.sentinels {
        match ask(endpoint, (host, *port), service).await {
            Ok(Some(primary)) => return Ok(primary),
            Ok(None) => said.push(format!("{host}:{port} does not know it")),
            Err(error) => said.push(error.to_string()),
        }
    }
    Err(StoreError::NoPrimary { service: service.to_owned(), cause: said.join("; ") })
}

/// Sentinels often need no login; those that do have, by convention, Redis' own user and password.
async fn ask(
    endpoint: &Endpoint,
    (host, port): (&str, u16),
    service: &str,
) -> Result<Option<(String, u16)>, StoreError> {
    let address = format!("{host}:{port}");
    let plain = query(&endpoint.sentinel_client(host, port, false)?, service).await;
    let answer = match plain {
        Err(error) if error.code() == Some("NOAUTH") => {
            query(&endpoint.sentinel_client(host, port, true)?, service).await
        }
        other => other,
    };
    answer.map_err(|error| StoreError::from_redis(&error, &format!("Sentinel {address}")))
}

async fn query(client: &redis::Client, service: &str) -> Result<Option<(String, u16)>, RedisError> {
    let mut connection = open(client, None).await?;
    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).query_async(&mut connection).await
}
