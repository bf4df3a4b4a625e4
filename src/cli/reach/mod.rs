//! The way to Redis. A laptop can rarely connect to it; a Pod of the operator can, with its own credentials.
//!
//! In this order: `--redis-url`; the admin route `inspect` by a port-forward to the leader's Pod; `pods/exec` of the hidden command
//! `inspect` in that Pod. All three give the same answer, [`Facts`].

mod answer;
mod exec;
mod forward;
pub mod inspect;
mod operator;

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

pub use operator::Operator;

use super::common::{Access, RedisArgs};
use super::failure::Failure;
use crate::store::{Facts, FactsQuery, Store};

/// The way to Redis, once one was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Route,
    Exec,
}

/// Asks Redis in one of the ways, and remembers which one works.
pub struct Reach<'a> {
    store: Option<Store>,
    access: Option<&'a Access>,
    operator: Result<&'a Operator, String>,
    timeout: Duration,
    way: Option<Way>,
}

impl<'a> Reach<'a> {
    /// Prepares the ways: Redis itself where the flags name one, else the Pod of this operator.
    pub fn new(
        redis: &RedisArgs,
        access: Option<&'a Access>,
        operator: Result<&'a Operator, String>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let store = redis.settings()?.map(Store::new).transpose()?;
        Ok(Self { store, access, operator, timeout, way: None })
    }

    /// Asks. The error is a clause that says why nothing was read.
    pub async fn ask(&mut self, query: &FactsQuery) -> Result<Facts, String> {
        if let Some(store) = &self.store {
            return self.within(async { store.facts(query).await.map_err(|error| error.report()) }).await;
        }
        let operator = self.operator.clone()?;
        let access = self.access.ok_or("there is no cluster, and no --redis-url")?;
        let pod = operator.pod.as_ref().map_err(Clone::clone)?;
        let mut failures = Vec::new();
        if self.way != Some(Way::Exec) {
            match self.within(forward::inspect(access, operator, pod, query)).await {
                Ok(facts) => {
                    self.way = Some(Way::Route);
                    return Ok(facts);
                }
                Err(why) => failures.push(format!("the admin route: {why}")),
            }
        }
        match self.within(exec::inspect(access, operator, pod, query)).await {
            Ok(facts) => {
                self.way = Some(Way::Exec);
                Ok(facts)
            }
            Err(why) => {
                failures.push(format!("pods/exec: {why}"));
                Err(failures.join("; "))
            }
        }
    }

    async fn within<T>(&self, asking: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let answer = timeout(self.timeout, asking).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)))
    }
}
