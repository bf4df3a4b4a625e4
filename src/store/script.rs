//! Calls scripts by their SHA-1, and loads them again when Redis has forgotten them.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, Value};

/// Makes a script of files, the first of which is common to all scripts.
macro_rules! script {
    ($($file:literal),+) => {
        LazyLock::new(|| Script::new(concat!(include_str!("scripts/common.lua"), $("\n", include_str!($file)),+)))
    };
}

/// Publishes and removes tenants.
pub(super) static APPLY: LazyLock<Script> = script!("scripts/adoption.lua", "scripts/apply.lua");
/// Reads ownership records and compares the keys with them.
pub(super) static INSPECT: LazyLock<Script> = script!("scripts/inspect.lua");
/// Finds the changed keys that don't match the records of this cluster, so that its own writes are no drift.
pub(super) static DRIFTED: LazyLock<Script> = script!("scripts/drifted.lua");
/// Writes keys that no resource owns.
pub(super) static DIRECT: LazyLock<Script> = script!("scripts/direct.lua");
/// Reads a text that is not too large.
pub(super) static READ: LazyLock<Script> = script!("scripts/read.lua");
/// Acquires the next epoch.
pub(super) static ACQUIRE_EPOCH: LazyLock<Script> = script!("scripts/acquire_epoch.lua");

/// Runs every command that a publish needs, without an effect.
pub(super) static REHEARSAL: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/rehearsal.lua")));
/// Restores mappings and removes expiries by the ownership records, without the resource.
pub(super) static REPAIR: LazyLock<Script> = script!("scripts/repair.lua");

/// Begins a call of a script; the caller adds the number of keys, the keys and the arguments.
///
/// Not [`Script::prepare_invoke`], which copies every argument twice more.
pub(super) fn call(script: &Script) -> Cmd {
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script.get_hash());
    cmd
}

/// Sends the calls in one round trip and returns a reply for each.
pub(super) async fn run(
    connection: &mut MultiplexedConnection,
    script: &Script,
    calls: &[Cmd],
) -> Result<Vec<Value>, RedisError> {
    match send(connection, calls).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load_async(connection).await?;
            send(connection, calls).await
        }
        outcome => outcome,
    }
}

async fn send(connection: &mut MultiplexedConnection, calls: &[Cmd]) -> Result<Vec<Value>, RedisError> {
    if let [call] = calls {
        return Ok(vec![call.query_async(connection).await?]);
    }
    let mut pipe = redis::Pipeline::with_capacity(calls.len());
    for call in calls {
        pipe.add_command(call.clone());
    }
    let replies: Vec<Value> = pipe.ignore_errors().query_async(connection).await?;
    // Return the first error as it is: a pipeline's own error has lost its code.
    replies.into_iter().map(Value::extract_error).collect()
}
