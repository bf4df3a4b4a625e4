//! Checks every second whether this replica could lead (its watches have listed, and Redis accepts a dry run of a publish),
//! and reports it to the writer state, on which the election decides.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use super::watch::WatchFailure;
use crate::domain::index::Readiness;
use crate::leader::Ability;
use crate::store::StoreError;

/// The interval at which the answer is looked for again.
const INTERVAL: Duration = Duration::from_secs(1);
/// A Redis that was fine is asked again after this many of them.
const FINE_FOR: u32 = 5;

/// Reports it where there is an election. Never ends.
pub async fn report(ctx: &Context, elects: bool) {
    if !elects {
        return std::future::pending().await;
    }
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut synced = ctx.health.synced();
    let (mut redis, mut age) = (Err(StoreError::TimedOut), FINE_FOR);
    loop {
        tokio::select! {
            _ = ticks.tick() => age += 1,
            Ok(()) = synced.changed() => {}
        }
        if redis.is_err() || age >= FINE_FOR {
            (redis, age) = (ask_redis(ctx).await, 0);
        }
        ctx.writer.set_ability(ability(ctx, *synced.borrow(), redis.clone()));
    }
}

/// Asks Redis whether it would let this replica publish. A leader whose writes succeed need not rehearse them.
async fn ask_redis(ctx: &Context) -> Result<(), StoreError> {
    if ctx.writer.epoch().is_ok() && ctx.health.readiness() == Readiness::Ready {
        return Ok(());
    }
    ctx.store.rehearse().await
}

fn ability(ctx: &Context, synced: bool, redis: Result<(), StoreError>) -> Ability {
    let watches = ctx.health.watches().all();
    let tenants = || watches.iter().filter(|watch| watch.resource == "runtimetenants");
    let refusal = |failure: &Option<WatchFailure>| failure.clone().filter(WatchFailure::is_refusal);
    if !tenants().any(|watch| watch.listed && refusal(&watch.failure).is_none()) {
        let refused = tenants().find_map(|watch| Some((watch, refusal(&watch.failure)?)));
        return refused.map_or(Ability::Unknown, |(watch, failure)| {
            Ability::Unable(format!("{watch}: {}", failure.message))
        });
    }
    match redis {
        _ if !synced => Ability::Unknown,
        Ok(()) => Ability::Able,
        Err(error) => Ability::WithoutRedis(error),
    }
}
