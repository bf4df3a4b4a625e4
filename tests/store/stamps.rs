//! `lastRuntimePublishedAt`, with which a control plane stamps what it publishes: tolerated where nothing else differs.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::store::Applied;
use serde_json::Value;

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const STAMP: &str = r#""lastRuntimePublishedAt":"2026-09-01T12:34:56.789Z""#;

fn first(json: &str) -> String {
    format!("{{{STAMP},{}", json.strip_prefix('{').unwrap())
}

fn last(json: &str) -> String {
    format!("{},{STAMP}}}", json.strip_suffix('}').unwrap())
}

async fn intact(world: &World) -> bool {
    world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact
}

#[tokio::test]
async fn a_stamp_is_tolerated_and_recorded_once() {
    for stamped in [first, last] {
        let world = World::new().await;
        let acme = tenant("acme", &[A]);
        world.apply_one(acme.clone()).await;
        let stamped = stamped(&acme.json());
        world.set("tenantcfg:acme", &stamped).await;
        assert!(!intact(&world).await);
        assert_eq!(world.apply_one(acme.clone()).await, Applied::Recorded);
        assert_eq!(world.config("acme").await, Some(stamped), "it stays");
        assert!(intact(&world).await);
        assert_eq!(world.apply_one(acme.clone()).await, Applied::Unchanged);
        // The next stamp is another value, and what it replaced is tolerated no more.
        let newer = last(&acme.json()).replace("2026", "2027");
        world.set("tenantcfg:acme", &newer).await;
        assert!(!intact(&world).await);
        assert_eq!(world.apply_one(acme.clone()).await, Applied::Recorded);
        assert!(intact(&world).await);
        world.set("tenantcfg:acme", &acme.json()).await;
        assert!(intact(&world).await, "so are our own bytes");
        let records = world.store.records(&world.cluster).await.unwrap();
        assert!(records[0].1);
    }
}

#[tokio::test]
async fn a_stamp_ends_with_the_next_change_and_with_the_removal() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.apply_one(acme.clone()).await;
    world.set("tenantcfg:acme", &last(&acme.json())).await;
    world.apply_one(acme.clone()).await;
    let edited = acme.clone().with_text("edited").generation(2);
    assert_eq!(world.apply_one(edited.clone()).await, published());
    assert_eq!(world.config("acme").await, Some(edited.json()));
    assert!(intact(&world).await);
    world.set("tenantcfg:acme", &last(&edited.json())).await;
    world.apply_one(edited.clone()).await;
    let removal = runtime_operator::store::Operation::Remove(edited.removal());
    assert_eq!(world.apply_one(removal).await, Applied::Removed { keys: true });
    assert_eq!(world.config("acme").await, None);
}

#[tokio::test]
async fn all_else_is_drift() {
    let acme = tenant("acme", &[A]);
    let ours = acme.json();
    let stamp = |date: &str| last(&ours).replace("2026-09-01T12:34:56.789Z", date);
    let mut broken = vec![
        first(&last(&ours)),
        last(&ours).replace("acme", "acmf"),
        last(&ours).replace(",\"last", ", \"last"),
        last(&ours).replace("Z\"}", "Z\" }"),
        last(&ours).replace("lastRuntime", "LastRuntime"),
        last(&ours) + "\n",
        format!("{{{STAMP}}}"),
        ours.replacen(',', &format!(",{STAMP},"), 1),
    ];
    for date in [
        "2026-09-01T12:34:56Z",
        "2026-09-01T12:34:56.7890Z",
        "2026-13-01T12:34:56.789Z",
        "2026-00-01T12:34:56.789Z",
        "2026-02-29T12:34:56.789Z",
        "2026-04-31T12:34:56.789Z",
        "2026-09-00T12:34:56.789Z",
        "2100-02-29T12:34:56.789Z",
        "2026-09-01T24:00:00.000Z",
        "2026-09-01T12:60:56.789Z",
        "2026-09-01T12:34:60.789Z",
        "2026-09-01T12:34:56.789+",
        "2026-09-01 12:34:56.789Z",
        "never",
    ] {
        broken.push(stamp(date));
    }
    let world = World::new().await;
    world.apply_one(acme.clone()).await;
    for value in broken {
        world.set("tenantcfg:acme", &value).await;
        assert_eq!(world.apply_one(acme.clone()).await, published(), "{value}");
        assert_eq!(world.config("acme").await.as_ref(), Some(&ours), "{value}");
    }
    for date in ["2024-02-29T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2026-12-31T12:34:56.789Z"] {
        world.set("tenantcfg:acme", &stamp(date)).await;
        assert_eq!(world.apply_one(acme.clone()).await, Applied::Recorded, "{date}");
    }
}

/// Any two documents: what is tolerated is, but for the stamp, the same JSON; and whatever is tolerated has one stamp.
#[test]
fn only_documents_that_are_equal_but_for_one_stamp_are_tolerated() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let part = || {
        proptest::sample::select(vec![
            STAMP,
            r#""lastRuntimePublishedAt":"2026-09-01T12:34:56Z""#,
            r#""a":{"lastRuntimePublishedAt":"2026-09-01T12:34:56.789Z"}"#,
            r#""a":1"#,
            r#""b":"x,\"lastRuntimePublishedAt\":\"2026-09-01T12:34:56.789Z\"""#,
            r#""c":[]"#,
        ])
    };
    let document =
        || proptest::collection::vec(part(), 1..4).prop_map(|parts| format!("{{{}}}", parts.join(",")));
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    let run = |ours: String, stored: String| -> Result<(), TestCaseError> {
        runtime.block_on(async {
            let () = world.run("FLUSHALL").await;
            world.restore_epoch().await;
            let acme = tenant("acme", &[A]).with_json(&ours);
            world.apply_one(acme.clone()).await;
            world.set("tenantcfg:acme", &stored).await;
            let applied = world.apply_one(acme).await;
            let left = world.config("acme").await.unwrap();
            prop_assert_eq!(&left, if applied == Applied::Recorded { &stored } else { &ours });
            if applied == Applied::Recorded {
                let without = |json: &str| {
                    let mut value: Value = serde_json::from_str(json).unwrap();
                    value.as_object_mut().unwrap().remove("lastRuntimePublishedAt");
                    value
                };
                prop_assert_eq!(without(&ours), without(&stored));
                prop_assert!(stored.contains(STAMP));
            }
            Ok(())
        })
    };
    TestRunner::new(config.clone())
        .run(&(document(), document()), |(ours, stored)| run(ours, stored))
        .unwrap();
    TestRunner::new(config)
        .run(&(document(), any::<bool>()), |(ours, at_end)| {
            let stored = if at_end { last(&ours) } else { first(&ours) };
            run(ours, stored)
        })
        .unwrap();
}
