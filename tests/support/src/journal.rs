//! Every write to Redis, as its keyspace notifications report it (<https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/>).

use futures::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubStream};

use super::World;

const CHANNEL: &str = "__keyspace@0__:";
/// A channel that belongs to no key: its message comes after those of all earlier writes.
const MARK: &str = "__keyspace@0__:\nmark";

/// Records every write since it was opened, of any client.
pub struct Journal {
    messages: PubSubStream,
    connection: MultiplexedConnection,
}

impl World {
    /// Opens a journal that records every write from now on.
    pub async fn journal(&self) -> Journal {
        let mut connection = self.connection().await;
        let mut notify = redis::cmd("CONFIG");
        notify.arg("SET").arg("notify-keyspace-events").arg("KA");
        notify.exec_async(&mut connection).await.unwrap();
        let mut subscriber = self.redis().client().unwrap().get_async_pubsub().await.unwrap();
        subscriber.psubscribe(format!("{CHANNEL}*")).await.unwrap();
        Journal { messages: subscriber.into_on_message(), connection }
    }
}

impl Journal {
    /// Returns the writes since the journal was opened or last read, in order: the key and the command, as in
    /// `("tenantcfg:acme", "set")`.
    pub async fn writes(&mut self) -> Vec<(String, String)> {
        let mut mark = redis::cmd("PUBLISH");
        mark.arg(MARK).arg("").exec_async(&mut self.connection).await.unwrap();
        let mut writes = Vec::new();
        loop {
            let message = self.messages.next().await.expect("Redis keeps the subscription open");
            if message.get_channel_name() == MARK {
                return writes;
            }
            let key = message.get_channel_name().strip_prefix(CHANNEL).unwrap_or_default();
            writes.push((key.to_owned(), message.get_payload().unwrap()));
        }
    }

    /// Returns the commands that wrote one key since then, in order.
    pub async fn writes_of(&mut self, key: &str) -> Vec<String> {
        self.writes().await.into_iter().filter(|(of, _)| of == key).map(|(_, done)| done).collect()
    }
}
