//! Each failure of Redis has a name, leaves nothing half-done, and quotes no secret.

use local_cluster::{Redis, RedisOptions};
use runtime_operator::store::{Operation, PERMISSIONS, RedisSettings, Store, StoreError};

use test_support::store_fixture::*;

const A: &str = "+15550000001";

async fn error(world: &World, new: Tenant) -> StoreError {
    let error = world.try_apply([new]).await.unwrap_err();
    assert!(error.reason().is_failure());
    error
}

#[tokio::test]
async fn a_stopped_redis_is_reported_as_unreachable() {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let store = Store::new(settings(&redis.url())).unwrap();
    redis.stop().await.unwrap();
    let StoreError::Unreachable { address, .. } = store.ping().await.unwrap_err() else { panic!() };
    assert_eq!(address, redis.address());
}

#[tokio::test]
async fn a_frozen_redis_times_out() {
    let world = World::new().await;
    world.redis.freeze().await.unwrap();
    assert_eq!(world.store.ping().await, Err(StoreError::TimedOut));
    world.redis.thaw().unwrap();
    // A failed connect is the result of the calls right after it, too.
    eventually(async || world.store.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_reported_and_never_quoted() {
    let redis = Redis::start(RedisOptions::default().in_memory().password("s3cret")).await.unwrap();
    let with = |user: &str| format!("redis://{user}{}", redis.address());
    for url in [with(":wr0ng@"), with("stranger:wr0ng@"), redis.bare_url()] {
        let error = Store::new(settings(&url)).unwrap().ping().await.unwrap_err();
        assert_eq!(error, StoreError::WrongPassword, "{url}");
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
    Store::new(settings(&redis.url())).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_missing_permission_is_named_and_nothing_is_written() {
    for (rules, named) in [
        (">p ~* +@all -evalsha", ["evalsha"; 2]),
        // Redis 7.0 does not name the command; later versions and Valkey do.
        (">p ~* +@all -set", ["can't run this command", "no permissions to run the 'set' command"]),
        (">p ~tenantcfg:* ~runtime-operator:* +@all", ["key"; 2]),
        (">p ~tenantmap:did:* ~tenantcfg:* ~runtime-operator:epoch +@all", ["key"; 2]),
    ] {
        let world = World::with(RedisOptions::default().in_memory().user("operator", rules)).await;
        let url = format!("redis://operator:p@{}", world.redis.address());
        let store = Store::new(settings(&url)).unwrap();
        let before = world.everything().await;
        let failed = store
            .apply(world.epoch, &world.cluster, &[Operation::from(tenant("acme", &[A]))])
            .await
            .unwrap_err();
        let StoreError::NoPermission { detail } = &failed else { panic!("{rules}: {failed:?}") };
        assert!(named.iter().any(|name| detail.contains(name)), "{rules}: {detail}");
        assert!(!detail.contains(", on @user_script"), "the place in the script is of no use: {detail}");
        assert_eq!(world.everything().await, before, "{rules}");
    }
}

#[tokio::test]
async fn the_documented_permissions_suffice() {
    let world =
        World::with(RedisOptions::default().in_memory().user("operator", &format!(">p {PERMISSIONS}"))).await;
    let store = Store::new(settings(&format!("redis://operator:p@{}/0", world.redis.address()))).unwrap();
    let mut tracking = store.track(&world.cluster);
    tracking.next().await.unwrap();
    let () = world.run("DEL runtime-operator:epoch").await;
    let epoch = store.acquire_epoch().await.unwrap();
    let acme = tenant("acme", &[A]);
    assert_eq!(
        store.apply(epoch, &world.cluster, &[Operation::from(acme.clone())]).await.unwrap(),
        [published()]
    );
    assert!(store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact);
    assert_eq!(store.records(&world.cluster).await.unwrap().len(), 1);
    let removal = Operation::Remove(acme.removal());
    store.apply(epoch, &world.cluster, &[removal]).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn an_aborted_script_leaves_no_did_without_its_config() {
    // Without the right to delete mappings, the script fails after it has begun to write.
    let rules = ">p ~* +@all -del";
    let world = World::with(RedisOptions::default().in_memory().user("operator", rules)).await;
    world.apply_one(tenant("acme", &[A, "+15550000002"])).await;
    let store = Store::new(settings(&format!("redis://operator:p@{}", world.redis.address()))).unwrap();
    let operation = Operation::from(tenant("acme", &[A]));
    let failed = store.apply(world.epoch, &world.cluster, &[operation]).await.unwrap_err();
    assert_eq!(failed.reason().as_str(), "RedisNoPermission");
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
    assert_eq!(world.config("acme").await, Some(tenant("acme", &[A]).json()));
    let applied = world.apply_one(tenant("acme", &[A])).await;
    assert_ne!(applied, runtime_operator::store::Applied::Unchanged, "the next attempt finishes it");
    assert_eq!(world.tenant_of("+15550000002").await, None);
}

#[tokio::test]
async fn out_of_memory_is_reported_and_nothing_is_written() {
    let world = World::new().await;
    let () = world.run("CONFIG SET maxmemory 1").await;
    let before = world.everything().await;
    assert_eq!(error(&world, tenant("acme", &[A])).await, StoreError::OutOfMemory);
    assert_eq!(world.everything().await, before);
    let () = world.run("CONFIG SET maxmemory 0").await;
    assert_eq!(world.apply_one(tenant("acme", &[A])).await, published());
}

#[tokio::test]
async fn a_replica_serves_reads_and_rejects_writes() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let replica = Redis::start(RedisOptions::default().in_memory().replica_of(&world.redis)).await.unwrap();
    let store = Store::new(settings(&replica.url())).unwrap();
    eventually(async || store.lookup(&parse_did(A)).await.ok().flatten().as_deref() == Some("acme")).await;
    let operation = Operation::from(tenant("acme", &[A]).with_text("more"));
    assert_eq!(store.apply(world.epoch, &world.cluster, &[operation]).await, Err(StoreError::ReadOnly));
    assert_eq!(store.acquire_epoch().await, Err(StoreError::ReadOnly));
    let same = store.apply(world.epoch, &world.cluster, &[Operation::from(tenant("acme", &[A]))]).await;
    assert_eq!(same, Ok(vec![runtime_operator::store::Applied::Unchanged]), "a comparison is no write");
}

#[tokio::test]
async fn missing_replicas_are_reported_as_refused_writes() {
    let world = World::new().await;
    let () = world.run("CONFIG SET min-replicas-to-write 1").await;
    assert_eq!(error(&world, tenant("acme", &[A])).await.reason().as_str(), "RedisRefusesWrites");
}

#[tokio::test]
async fn a_failed_save_is_reported_as_refused_writes() {
    let world = World::new().await;
    // While saving is enabled, Redis refuses writes after a failed background save.
    let mut save = redis::cmd("CONFIG");
    save.arg("SET").arg("save").arg("3600 1").arg("rdb-key-save-delay").arg(10_000_000);
    let () = save.query_async(&mut world.raw.clone()).await.unwrap();
    let () = world.run("SET some key").await;
    let _: String = world.run("BGSAVE").await;
    let child = eventually_some(async || child_of(world.redis.id().unwrap())).await;
    kill(child);
    eventually(async || world.run::<String>("INFO persistence").await.contains("rdb_last_bgsave_status:err"))
        .await;
    let StoreError::Misconfigured { detail } = error(&world, tenant("acme", &[A])).await else { panic!() };
    assert!(detail.starts_with("MISCONF"), "{detail}");
}

/// Returns the process that Redis forked for saving.
fn child_of(parent: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn kill(child: u32) {
    let status = std::process::Command::new("kill").args(["-KILL", &child.to_string()]).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_loading_redis_is_reported() {
    // Load slowly, and serve clients in between.
    let options = RedisOptions::default().in_memory().set("loading-process-events-interval-bytes", "1024");
    let world = World::with(options).await;
    let () = world.run("DEBUG POPULATE 20000 key 100").await;
    let () = world.run("CONFIG SET key-load-delay 500").await;
    let store = world.store.clone();
    let mut raw = world.raw.clone();
    let reload =
        tokio::spawn(
            async move { redis::cmd("DEBUG").arg("RELOAD").query_async::<redis::Value>(&mut raw).await },
        );
    eventually(async || store.lookup(&parse_did(A)).await == Err(StoreError::Loading)).await;
    reload.abort();
}

#[tokio::test]
async fn cluster_mode_is_rejected() {
    let options = RedisOptions::default().in_memory().set("cluster-enabled", "yes");
    let redis = Redis::start(options).await.unwrap();
    let store = Store::new(settings(&redis.bare_url().replace("/0", ""))).unwrap();
    let failed = store.ping().await.unwrap_err();
    assert_eq!(failed, StoreError::ClusterMode);
    assert!(failed.to_string().contains("cluster-enabled no"), "the error says what to do");
}

#[tokio::test]
async fn a_server_that_is_not_redis_is_reported() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let failed = Store::new(settings(&url)).unwrap().ping().await.unwrap_err();
    assert!(matches!(failed.reason().as_str(), "RedisUnexpected" | "RedisUnreachable"), "{failed:?}");
}

#[tokio::test]
async fn a_renamed_command_is_reported_without_its_arguments() {
    let options = RedisOptions::default().in_memory().password("s3cret").set("rename-command", "EVALSHA X");
    let redis = Redis::start(options).await.unwrap();
    let store = Store::new(settings(&redis.url())).unwrap();
    let failed = store.acquire_epoch().await.unwrap_err();
    assert_eq!(failed.to_string(), "unexpected reply from Redis: ERR unknown command 'EVALSHA'");
}

#[tokio::test]
async fn unreadable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let redis = Redis::start(RedisOptions::default().in_memory().password("s3cret")).await.unwrap();
    let with = RedisSettings { password_file: Some(file.clone()), ..settings(&redis.bare_url()) };
    let store = Store::new(with.clone()).unwrap();
    std::fs::remove_file(&file).unwrap();
    let StoreError::File { file: named, .. } = store.ping().await.unwrap_err() else { panic!() };
    assert_eq!(named, file);
    let errors = Store::new(with).unwrap_err().0;
    assert!(errors[0].contains("password file"), "{errors:?}");
}
