//! Asks the Sentinels for the primary's address.
//! Protocol: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.
//!
//! Sentinels can disagree: one that was cut off from the others names a primary that they have replaced. So all are asked,
//! and a majority decides.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::{RedisError, Value};
use tokio::time::{Instant, timeout_at};

use super::error::StoreError;
use super::open::open;
use super::settings::Endpoint;

/// After the first reply, the time for which the replies of the other Sentinels are awaited.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(1);

/// The answer of one Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vote {
    /// `host:port` of the Sentinel.
    sentinel: String,
    /// The primary's host and port.
    primary: (String, u16),
    /// The version of the Sentinel's configuration; it grows with each failover.
    config_epoch: u64,
}

/// The primary that the Sentinels name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct NamedPrimary {
    pub(in crate::store) host: String,
    pub(in crate::store) port: u16,
    /// Set where no majority of the Sentinels names this primary: what they name.
    pub(in crate::store) disagreement: Option<String>,
}

impl NamedPrimary {
    /// Returns `host:port`.
    pub(in crate::store) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Returns the primary that a majority of the Sentinels names. Without a majority it is the current one, to which the last
/// connection led.
pub(in crate::store) async fn primary_address(
    endpoint: &Endpoint,
    service: &str,
) -> Result<NamedPrimary, StoreError> {
    let needed = majority(endpoint.sentinels.len());
    let asked = endpoint.sentinels.iter().map(|(host, port)| ask_sentinel(endpoint, (host, *port), service));
    let mut asked: FuturesUnordered<_> = asked.collect();
    let (mut votes, mut causes, mut deadline) = (Vec::new(), Vec::new(), None);
    loop {
        let answer = match deadline {
            Some(deadline) => timeout_at(deadline, asked.next()).await.unwrap_or_default(),
            None => asked.next().await,
        };
        match answer {
            Some(Ok(vote)) => {
                votes.push(vote);
                deadline.get_or_insert_with(|| Instant::now() + OTHERS_TIMEOUT);
            }
            Some(Err(SentinelError::Named(cause))) => causes.push(cause),
            // The files are the same for all of them.
            Some(Err(SentinelError::File(error))) => return Err(error),
            None => break,
        }
        // No other answer can change this.
        if votes_of_most(&votes) >= needed {
            break;
        }
    }
    elect(votes, needed, endpoint.current_primary()).map_err(|disagreement| {
        causes.extend(disagreement);
        StoreError::NoPrimary { service: service.to_owned(), cause: causes.join("; ") }
    })
}

const fn majority(of: usize) -> usize {
    of / 2 + 1
}

fn votes_of_most(votes: &[Vote]) -> usize {
    let count = |vote: &Vote| votes.iter().filter(|other| other.primary == vote.primary).count();
    votes.iter().map(count).max().unwrap_or_default()
}

/// Decides between the answers. `needed` is a majority of all Sentinels.
///
/// While the operator has a primary, it leaves it for a majority of all Sentinels only. Without one, as at the start, it is
/// enough that all that replied agree: a failover needs a majority, but a primary works without any Sentinel.
fn elect(
    votes: Vec<Vote>,
    needed: usize,
    current: Option<(String, u16)>,
) -> Result<NamedPrimary, Option<String>> {
    let mut named: BTreeMap<(String, u16), Vec<Vote>> = BTreeMap::new();
    for vote in votes {
        named.entry(vote.primary.clone()).or_default().push(vote);
    }
    let Some((most, votes)) = named.iter().max_by_key(|(_, votes)| votes.len()) else { return Err(None) };
    let unanimous = named.len() == 1 && current.as_ref().is_none_or(|current| current == most);
    if votes.len() >= needed || unanimous {
        let (host, port) = most.clone();
        return Ok(NamedPrimary { host, port, disagreement: None });
    }
    let disagreement = Some(describe(&named, needed));
    match current {
        Some((host, port)) => Ok(NamedPrimary { host, port, disagreement }),
        None => Err(disagreement),
    }
}

/// Describes which Sentinel names which primary.
fn describe(named: &BTreeMap<(String, u16), Vec<Vote>>, needed: usize) -> String {
    let mut text = format!("no {needed} Sentinels agree on the primary");
    for ((host, port), votes) in named {
        let sentinels: Vec<&str> = votes.iter().map(|vote| &*vote.sentinel).collect();
        let epoch = votes.iter().map(|vote| vote.config_epoch).max().unwrap_or_default();
        // Writing to a String can't fail.
        let _ = write!(text, "; {} names {host}:{port} (config-epoch {epoch})", sentinels.join(", "));
    }
    text
}

/// The reason for which a Sentinel is of no use.
enum SentinelError {
    /// It is named in this text.
    Named(String),
    /// A file of the settings can't be used.
    File(StoreError),
}

/// Asks one Sentinel. Sentinels often need no login; those that do have a user and a password of their own or, by
/// convention, Redis'.
async fn ask_sentinel(
    endpoint: &Endpoint,
    (host, port): (&str, u16),
    service: &str,
) -> Result<Vote, SentinelError> {
    let sentinel = format!("{host}:{port}");
    let client = |login| endpoint.sentinel_client(host, port, login).map_err(SentinelError::File);
    let own_login = endpoint.has_sentinel_login();
    let reply = match query(&client(own_login)?, service).await {
        Err(error) if error.code() == Some("NOAUTH") && !own_login => query(&client(true)?, service).await,
        other => other,
    };
    match reply {
        Ok(Some((primary, config_epoch))) => Ok(Vote { sentinel, primary, config_epoch }),
        Ok(None) => Err(SentinelError::Named(format!("Sentinel {sentinel} does not know the service"))),
        Err(error) => {
            let error = StoreError::from_redis(&error, &sentinel);
            Err(SentinelError::Named(sentence(&sentinel, &error)))
        }
    }
}

/// Says what a Sentinel did; the texts of the errors speak of Redis.
fn sentence(sentinel: &str, error: &StoreError) -> String {
    match error {
        StoreError::Unreachable { cause, .. } => format!("Sentinel {sentinel} can't be reached: {cause}"),
        StoreError::TimedOut => format!("Sentinel {sentinel} did not reply in time"),
        StoreError::WrongPassword => format!(
            "Sentinel {sentinel} rejected the user or password: set --redis-sentinel-username-file and \
             --redis-sentinel-password-file if they are not Redis' own"
        ),
        StoreError::NoPermission { detail } => format!(
            "Sentinel {sentinel} denies this user a command (NOPERM): {detail}. The user needs \
             +sentinel|get-master-addr-by-name +sentinel|master"
        ),
        other => format!("Sentinel {sentinel}: {other}"),
    }
}

/// Returns the primary and the config epoch; `None` if the Sentinel does not know the service.
async fn query(client: &redis::Client, service: &str) -> Result<Option<((String, u16), u64)>, RedisError> {
    let mut connection = open(client, None).await?;
    let mut pipe = redis::pipe();
    // During a failover, this command names the new primary first.
    pipe.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    pipe.cmd("SENTINEL").arg("MASTER").arg(service);
    let replies: Vec<Value> = pipe.ignore_errors().query_async(&mut connection).await?;
    let [address, master] = <[Value; 2]>::try_from(replies).unwrap_or([Value::Nil, Value::Nil]);
    let address: Option<(String, u16)> = redis::from_redis_value(address.extract_error()?)?;
    let Some(address) = address else { return Ok(None) };
    let facts: BTreeMap<String, String> = redis::from_redis_value(master.extract_error()?)?;
    let config_epoch = facts.get("config-epoch").and_then(|text| text.parse().ok()).unwrap_or_default();
    Ok(Some((address, config_epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(sentinel: &str, primary: &str, config_epoch: u64) -> Vote {
        Vote { sentinel: sentinel.to_owned(), primary: (primary.to_owned(), 6379), config_epoch }
    }

    fn elected(votes: &[Vote], of: usize, current: Option<&str>) -> Result<(String, bool), Option<String>> {
        let current = current.map(|host| (host.to_owned(), 6379));
        let named = elect(votes.to_vec(), majority(of), current)?;
        Ok((named.host, named.disagreement.is_some()))
    }

    #[test]
    fn a_majority_of_all_sentinels_names_the_primary() {
        let votes = [vote("s1", "old", 9), vote("s2", "new", 2), vote("s3", "new", 2)];
        for current in [None, Some("old"), Some("new")] {
            assert_eq!(elected(&votes, 3, current), Ok(("new".to_owned(), false)));
        }
    }

    #[test]
    fn without_a_majority_the_current_primary_stays_and_the_disagreement_is_described() {
        let votes = [vote("s1", "old", 1), vote("s2", "new", 2)];
        assert_eq!(elected(&votes, 3, Some("old")), Ok(("old".to_owned(), true)));
        let text = elected(&votes, 3, None).unwrap_err().unwrap();
        assert_eq!(
            text,
            "no 2 Sentinels agree on the primary; s2 names new:6379 (config-epoch 2); s1 names old:6379 (config-epoch 1)"
        );
        assert_eq!(elected(&votes[..1], 3, Some("new")), Ok(("new".to_owned(), true)), "one is no majority");
    }

    #[test]
    fn at_the_start_the_sentinels_that_reply_are_enough_if_they_agree() {
        assert_eq!(elected(&[vote("s1", "a", 1)], 3, None), Ok(("a".to_owned(), false)));
        assert_eq!(elected(&[vote("s1", "a", 1)], 3, Some("a")), Ok(("a".to_owned(), false)));
        assert_eq!(elected(&[], 3, None), Err(None));
    }
}
