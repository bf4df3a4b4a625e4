//! A Redis that answers and refuses: each way has its name, on the probe, in the event and in the metric; what is live
//! stays; and once it is mended, what waited is live without a restart.

use std::time::{Duration, Instant};

use local_cluster::RedisOptions;
use serde_json::json;

use super::support::{Operator, World, tenant};
use super::{DID, OTHER};

/// How often looks failed for a reason.
pub async fn failed(operator: &Operator, reason: &str) -> f64 {
    let name = format!("runtime_operator_reconcile_errors_total{{reason=\"{reason}\"}} ");
    let metrics = operator.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

/// Edits `acme`, which is live with [`DID`], while Redis is in trouble; `words` say what it is and what to do.
pub async fn edit_meanwhile(
    world: &World,
    operator: &Operator,
    (reason, words): (&str, &[&str]),
    mend: impl AsyncFnOnce(),
) {
    world.patch("acme", json!({ "spec": { "dids": [OTHER] } })).await;

    let why = world.wait_not_ready(operator, words[0]).await;
    let told = world.wait_event("acme", "PublishWaits").await;
    for word in words {
        assert!(why.contains(word), "/readyz does not say {word}: {why}");
        assert!(told.contains(word), "the event does not say {word}: {told}");
    }
    assert_eq!(operator.probe("livez").await.unwrap().0, 200, "a restart would not help");
    assert!(failed(operator, reason).await > 0.0, "{}", operator.metrics().await);

    mend().await;

    world.wait_operator_ready(operator).await;
    world.wait_ready("acme").await;
    assert_eq!(world.told("acme", "PublishWaits").await, 1);
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
async fn a_full_memory_is_told_everywhere_until_there_is_room() {
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
async fn a_primary_that_becomes_a_replica_is_told_everywhere_until_it_is_one_again() {
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
async fn a_redis_that_can_not_save_is_told_everywhere_until_it_can() {
    // Where the file is to be there is a folder: each save fails at its end.
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

    edit_meanwhile(&world, &operator, ("RedisRefusesWrites", &["MISCONF", "own trouble"]), async || {
        assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
        std::fs::remove_dir(&occupied).unwrap();
        save("ok").await;
    })
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_redis_that_lacks_replicas_is_told_everywhere_until_it_asks_for_none() {
    let (world, operator) = live_acme(RedisOptions::default()).await;
    world.redis_cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;

    edit_meanwhile(&world, &operator, ("RedisRefusesWrites", &["NOREPLICAS", "own trouble"]), async || {
        assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
        world.redis_cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    })
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_waited_for() {
    // Slow, and looking after other clients all the time.
    let options = RedisOptions::default().in_memory().set("loading-process-events-interval-bytes", "1024");
    let (world, operator) = live_acme(options).await;
    world.redis_cli(&["DEBUG", "POPULATE", "100000", "key", "100"]).await;
    world.redis_cli(&["CONFIG", "SET", "key-load-delay", "1000"]).await;
    let mut connection = world.connection().await;
    let reload = tokio::spawn(async move {
        // Longer than this waits for an answer.
        let _ = redis::cmd("DEBUG").arg("RELOAD").exec_async(&mut connection).await;
    });
    world.wait_not_ready(&operator, "loading").await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisLoading", &["loading its data set", "will answer when it has"]),
        async || {
            world.redis_cli(&["CONFIG", "SET", "key-load-delay", "0"]).await;
            reload.await.unwrap();
        },
    )
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_told_everywhere_until_it_is_given_back() {
    let world = World::with_redis(RedisOptions::default().user("operator", ">secret ~* &* +@all")).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis_cli(&["ACL", "SETUSER", "operator", "-set"]).await;

    edit_meanwhile(
        &world,
        &operator,
        ("RedisNoPermission", &["NOPERM", "It needs ~tenantmap:did:*"]),
        async || {
            assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
            world.redis_cli(&["ACL", "SETUSER", "operator", "+set"]).await;
        },
    )
    .await;
    assert_moved(world).await;
}

#[tokio::test]
async fn one_tenant_that_redis_refuses_is_tried_ever_more_rarely_and_holds_up_no_other() {
    let rules = ">secret ~tenantmap:did:* ~tenantcfg:b* ~runtime-operator:* &* +@all";
    let world = World::with_redis(RedisOptions::default().user("operator", rules)).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).start().await;
    let began = Instant::now();
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_event("acme", "PublishWaits").await;

    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;

    world
        .wait("it was tried six times", || async {
            let times = failed(&operator, "RedisNoPermission").await;
            if times >= 6.0 { Ok(()) } else { Err(format!("{times} times")) }
        })
        .await;
    // The half of 200, 400, 800, 1600 and 2000 ms at least.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2500), "six times within {took:?} is a storm");
    assert_eq!(world.told("acme", "PublishWaits").await, 1);
    world.redis_cli(&["ACL", "SETUSER", "operator", "~*"]).await;
    world.wait_ready("acme").await;
    world.finish().await;
}
