//! A Redis that replies with errors: each error has a name, on the probe, in the event and in the metric; published keys stay;
//! pending changes are published once it is resolved, without a restart.

use std::time::{Duration, Instant};

use local_cluster::RedisOptions;
use serde_json::json;
use test_support::{Operator, World, tenant};

use super::{DID, OTHER};

/// Returns the number of reconciles that failed for a reason.
pub async fn failed(operator: &Operator, reason: &str) -> f64 {
    let name = format!("runtime_operator_reconcile_errors_total{{reason=\"{reason}\"}} ");
    let metrics = operator.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

/// Edits `acme`, which is published with [`DID`], while Redis returns errors; the event must contain `words`.
pub async fn edit_meanwhile(
    world: &World,
    operator: &Operator,
    (reason, words): (&str, &[&str]),
    mend: impl AsyncFnOnce(),
) {
    world.patch("acme", json!({ "spec": { "dids": [OTHER] } })).await;

    let why = world.wait_not_ready(operator, words[0]).await;
    let message = world.wait_event("acme", "PublishDelayed").await;
    for word in words {
        assert!(why.contains(word), "/readyz does not say {word}: {why}");
        assert!(message.contains(word), "the event does not say {word}: {message}");
    }
    assert_eq!(operator.probe("livez").await.unwrap().0, 200, "a restart would change nothing");
    assert!(failed(operator, reason).await > 0.0, "{}", operator.metrics().await);

    mend().await;

    world.wait_operator_ready(operator).await;
    world.wait_ready("acme").await;
    assert_eq!(world.event_count("acme", "PublishDelayed").await, 1);
}

async fn live_acme(options: RedisOptions) -> (World, Operator) {
    let world = World::with_redis(options).await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    (world, operator)
}

async fn assert_moved(world: World) {
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    assert_eq!(world.live(DID).await, None);
    world.finish().await;
}

#[tokio::test]
async fn out_of_memory_is_reported_until_resolved() {
    let (world, operator) = live_acme(RedisOptions::default()).await;
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "1"]).await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisOutOfMemory", &["out of memory", "raise maxmemory"]),
        async || {
            assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
            world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
        },
    )
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_demoted_primary_is_reported_until_it_is_promoted() {
    let (world, operator) = live_acme(RedisOptions::default()).await;
    world.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]).await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisReadOnly", &["read-only replica", "use Sentinel"]),
        async || {
            assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
            world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
        },
    )
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_failed_save_is_reported_until_resolved() {
    // A folder has the name of the dump file: each save fails at its end.
    let (world, operator) = live_acme(RedisOptions::default().set("dbfilename", "occupied")).await;
    let occupied = world.redis().log_path().with_file_name("occupied");
    std::fs::create_dir(&occupied).unwrap();
    world.redis_cli(&["CONFIG", "SET", "save", "3600 1"]).await;
    let save = async |status: &str| {
        world.redis_cli(&["BGSAVE"]).await;
        let status = format!("rdb_last_bgsave_status:{status}");
        world
            .wait("the save has ended", || async {
                let mut info = redis::cmd("INFO");
                let info: String =
                    info.arg("persistence").query_async(&mut world.connection().await).await.unwrap();
                let ended = info.contains("rdb_bgsave_in_progress:0") && info.contains(&status);
                if ended { Ok(()) } else { Err(info) }
            })
            .await;
    };
    save("err").await;

    edit_meanwhile(&world, &operator, ("RedisRefusesWrites", &["MISCONF", "own problem"]), async || {
        assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
        std::fs::remove_dir(&occupied).unwrap();
        save("ok").await;
    })
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn missing_replicas_are_reported_until_none_are_required() {
    let (world, operator) = live_acme(RedisOptions::default()).await;
    world.redis_cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;

    edit_meanwhile(&world, &operator, ("RedisRefusesWrites", &["NOREPLICAS", "own problem"]), async || {
        assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
        world.redis_cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    })
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_loading_redis_is_awaited() {
    // Loads slowly, and serves other clients meanwhile.
    let options = RedisOptions::default().in_memory().set("loading-process-events-interval-bytes", "1024");
    let (world, operator) = live_acme(options).await;
    world.redis_cli(&["DEBUG", "POPULATE", "100000", "key", "100"]).await;
    world.redis_cli(&["CONFIG", "SET", "key-load-delay", "1000"]).await;
    let mut connection = world.connection().await;
    let reload = tokio::spawn(async move {
        // Longer than a command waits for its reply.
        let _ = redis::cmd("DEBUG").arg("RELOAD").exec_async(&mut connection).await;
    });
    world.wait_not_ready(&operator, "loading").await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisLoading", &["loading its data set", "serves no requests until it has finished"]),
        async || {
            world.redis_cli(&["CONFIG", "SET", "key-load-delay", "0"]).await;
            reload.await.unwrap();
        },
    )
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_revoked_permission_is_reported_until_it_is_granted() {
    let world = World::with_redis(RedisOptions::default().user("operator", ">secret ~* &* +@all")).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis_cli(&["ACL", "SETUSER", "operator", "-set"]).await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisNoPermission", &["NOPERM", "The user needs ~tenantmap:did:*"]),
        async || {
            assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
            world.redis_cli(&["ACL", "SETUSER", "operator", "+set"]).await;
        },
    )
    .await;
    assert_moved(world).await;
}

/// The permissions that docs/security.md listed for the first versions.
const OLDER_ACL: &str = "~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* -@all +hello +auth +ping +info +select \
    +client|setname +client|tracking +client|trackinginfo +script|load +evalsha +get +mget +set +del +incr +hget +hmget \
    +hvals +hset +hdel +sadd +srem +sismember +smembers";

#[tokio::test]
async fn commands_that_an_older_acl_denies_are_named_and_all_else_goes_on() {
    let world =
        World::with_redis(RedisOptions::default().user("operator", &format!(">secret {OLDER_ACL}"))).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    let denied = "runtime_operator_redis_denied_commands{command=\"PTTL\"}";
    let (status, body) = operator.probe("readyz").await.unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with("ok\n") && body.contains("PTTL") && body.contains("PERSIST"), "{body}");
    assert!(operator.metrics().await.contains(&format!("{denied} 1")));
    let logs = operator.logs();
    let line = logs.lines().find(|line| line.contains("denies optional commands")).unwrap();
    assert!(line.contains("WARN") && line.contains("PTTL, PERSIST"), "{line}");

    // Edited, rotated, repaired, deleted.
    world.set_dids("acme", [DID, OTHER]).await;
    world.wait_ready("acme").await;
    world.delete_key(&format!("tenantmap:did:{OTHER}")).await;
    world.exempt([OTHER]);
    world.wait_live(OTHER, Some("acme")).await;

    world.redis_cli(&["ACL", "SETUSER", "operator", "+pttl", "+persist", "+getrange"]).await;
    operator.restart().await.unwrap();
    world
        .wait("nothing is denied any more", || async {
            let (_, body) = operator.probe("readyz").await.unwrap();
            if body.contains("denies") { Err(body) } else { Ok(()) }
        })
        .await;
    assert!(operator.metrics().await.contains(&format!("{denied} 0")));
    world.delete("acme").await;
    world.wait_deleted("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_rejected_tenant_backs_off_and_delays_no_other() {
    let rules = ">secret ~tenantmap:did:* ~tenantcfg:b* ~runtime-operator:* &* +@all";
    let world = World::with_redis(RedisOptions::default().user("operator", rules)).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).start().await;
    let began = Instant::now();
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_event("acme", "PublishDelayed").await;

    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;

    world
        .wait("there were six attempts", || async {
            let times = failed(&operator, "RedisNoPermission").await;
            if times >= 6.0 { Ok(()) } else { Err(format!("{times} times")) }
        })
        .await;
    // At least half of 200, 400, 800, 1600 and 2000 ms.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2500), "six attempts within {took:?} are no backoff");
    assert_eq!(world.event_count("acme", "PublishDelayed").await, 1);
    world.redis_cli(&["ACL", "SETUSER", "operator", "~*"]).await;
    world.wait_ready("acme").await;
    world.finish().await;
}
