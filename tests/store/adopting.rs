//! The adoption of an older publisher's config: what it changes is named, and neither numbers nor a webhook secret are
//! replaced silently.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::store::{Adoption, Applied, Conflict};
use serde_json::{Map, Value, json};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const CANARY: &str = "whsec-canary-old";
const NEW_CANARY: &str = "whsec-canary-new";

/// Adopts `old` by a tenant with the config `new`.
async fn adopt(world: &World, old: &str, new: &Value) -> Applied {
    let () = world.run("FLUSHALL").await;
    world.restore_epoch().await;
    world.set("tenantcfg:acme", old).await;
    world.apply_one(tenant("acme", &[A]).with_json(&new.to_string())).await
}

fn adoption(applied: Applied) -> Adoption {
    let Applied::Published { adopted: Some(adoption), .. } = applied else { panic!("{applied:?}") };
    adoption
}

#[tokio::test]
async fn the_places_that_change_are_named_without_a_value() {
    let world = World::new().await;
    let old = json!({
        "tenantId": "acme", "dids": [A], "webhookSecret": CANARY, "caps": { "a": 1, "b": 2 }, "stt": { "mode": "disabled" },
        "quickReplies": [{ "match": ["hello"], "reply": "hi" }, { "match": ["bye!"], "reply": "bye" }],
        "assistantContext": { "opening hours": "8 to 5", "wi\nfi": "x" }, "gone": null, "transferProfiles": [1],
    });
    let new = json!({
        "tenantId": "acme", "dids": [A], "webhookSecret": format!(" {CANARY}\n"), "caps": { "a": 1, "b": 3 },
        "stt": { "mode": "disabled", "config": {} },
        "quickReplies": [{ "match": ["hello"], "reply": "hi" }, { "match": ["bye."], "reply": "bye" }],
        "assistantContext": { "opening hours": "9 to 5" }, "transferProfiles": [1, 2],
    });
    let adoption = adoption(adopt(&world, &old.to_string(), &new).await);
    let expected = [
        r#"assistantContext["opening hours"]"#,
        r#"assistantContext["wi\nfi"]"#,
        "caps.b",
        "gone",
        "quickReplies[1].match[0]",
        "stt.config",
        "transferProfiles",
        "webhookSecret",
    ];
    assert_eq!(adoption.changed, expected);
    assert_eq!(adoption.total, expected.len());
    assert!(adoption.to_string().starts_with("changed: assistantContext"), "{adoption}");
}

#[tokio::test]
async fn a_config_that_is_no_object_changes_as_a_whole() {
    let world = World::new().await;
    for old in ["{", "7", "[1]", "null", "\"x\""] {
        let adoption = adoption(adopt(&world, old, &json!({ "dids": [A] })).await);
        assert!(adoption.whole, "{old}");
        assert_eq!(adoption.to_string(), "all of it changes: it was no JSON object");
    }
    let same = json!({ "dids": [A] });
    assert_eq!(adoption(adopt(&world, &same.to_string(), &same).await).to_string(), "nothing of it changes");
    let spaced = adoption(adopt(&world, "{ \"dids\": [\"+15550000001\"] }", &same).await);
    assert_eq!(spaced.to_string(), "nothing of it changes");
    let many: Map<String, Value> = (0..1000).map(|n| (format!("m{n}"), json!(n))).collect();
    let adoption = adoption(adopt(&world, "{}", &Value::Object(many)).await);
    assert_eq!((adoption.changed.len(), adoption.total), (100, 1000));
    assert!(adoption.to_string().ends_with(" and 980 more"), "{adoption}");
}

/// The places at which two values differ. An empty list is as good as an empty object.
fn differences(old: &Value, new: &Value, at: &str, places: &mut BTreeSet<String>) {
    let is_empty = |value: &Value| *value == json!([]) || *value == json!({});
    let none = Map::new();
    match (old, new) {
        _ if is_empty(old) && is_empty(new) => {}
        (Value::Object(old), Value::Object(new)) => members(old, new, at, places),
        (Value::Object(old), new) if is_empty(new) => members(old, &none, at, places),
        (old, Value::Object(new)) if is_empty(old) => members(&none, new, at, places),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(old, new, &format!("{at}[{index}]"), places);
            }
        }
        (Value::Number(old), Value::Number(new)) if old.as_f64() == new.as_f64() => {}
        _ if old == new => {}
        _ => drop(places.insert(at.to_owned())),
    }
}

fn members(old: &Map<String, Value>, new: &Map<String, Value>, at: &str, places: &mut BTreeSet<String>) {
    for name in old.keys().chain(new.keys()) {
        let dot = if at.is_empty() { "" } else { "." };
        let place = format!("{at}{dot}{name}");
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => differences(old, new, &place, places),
            _ => drop(places.insert(place)),
        }
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3).prop_map(Value::from),
        proptest::sample::select(vec![0.5, 5.0, 1e300]).prop_map(Value::from),
        proptest::sample::select(vec!["", "a", "\u{e4}\u{1f4de}", "\"\\"]).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[a-e]", value, 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

#[test]
fn the_named_places_are_those_at_which_any_two_documents_differ() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    // Pairs of which the second is often a small edit of the first.
    let pair = (document(), document(), any::<bool>()).prop_map(|(old, other, edit)| {
        let mut new = other.clone();
        if edit {
            new = old.clone();
            new.as_object_mut().unwrap().extend(other.as_object().unwrap().clone().into_iter().take(1));
        }
        (old, new)
    });
    TestRunner::new(config)
        .run(&pair, |(old, new)| {
            let adoption = adoption(runtime.block_on(adopt(&world, &old.to_string(), &new)));
            let mut expected = BTreeSet::new();
            differences(&old, &new, "", &mut expected);
            prop_assert_eq!(&adoption.changed, &expected.iter().cloned().collect::<Vec<_>>());
            prop_assert_eq!(adoption.total, expected.len());
            Ok(())
        })
        .unwrap();
}

/// An older publisher's config with these secrets.
fn with_secrets(value: Option<&str>, reference: Option<&str>) -> Value {
    let mut config = json!({ "tenantId": "acme", "dids": [A] });
    let members = [("webhookSecret", value), ("webhookSecretRef", reference)];
    for (name, value) in members {
        if let Some(value) = value {
            config[name] = json!(value);
        }
    }
    config
}

#[tokio::test]
async fn a_webhook_secret_is_replaced_by_no_other() {
    let world = World::new().await;
    let secret = "whsec";
    let new = with_secrets(Some(secret), Some("secret://hook/webhookSecret"));
    let blanks =
        "\t\n\u{b}\u{c}\r \u{a0}\u{1680}\u{2000}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
    let padded = format!("{blanks}{secret}{blanks}");
    for (value, reference, waits) in [
        (Some(secret), None, false),
        (Some(&*padded), Some("env:HOOK"), false),
        (Some("other"), None, true),
        (Some("whsec\u{200b}"), None, true),
        (Some("whse"), Some(secret), true),
        // Without a value, the reference counts: a literal is the secret, a variable of the runtime can't be compared.
        (None, Some(secret), false),
        (Some(blanks), Some(&*padded), false),
        (None, Some("other"), true),
        (None, Some("env:HOOK"), true),
        (Some(""), Some("env:HOOK"), true),
        (None, Some("secret://hook/webhookSecret"), true),
        // No value is there.
        (None, None, false),
        (Some(blanks), Some(" "), false),
    ] {
        let old = with_secrets(value, reference);
        let applied = adopt(&world, &old.to_string(), &new).await;
        let expected = if waits { Some(&Conflict::WouldChangeSecret) } else { None };
        let conflict = if let Applied::Rejected(conflict) = &applied { Some(conflict) } else { None };
        assert_eq!(conflict, expected, "{old}: {applied:?}");
        if waits {
            assert_eq!(world.config("acme").await, Some(old.to_string()), "nothing is written");
            let forced = world.apply_one(tenant("acme", &[A]).with_json(&new.to_string()).take_over()).await;
            assert!(matches!(forced, Applied::Published { adopted: Some(_), .. }), "{forced:?}");
        }
    }
    // A reference without its value is what such a runtime takes literally, too.
    let reference = with_secrets(None, Some("secret://hook/webhookSecret"));
    assert!(matches!(adopt(&world, &reference.to_string(), &reference).await, Applied::Published { .. }));
    let with_value = with_secrets(Some(secret), None).to_string();
    assert_eq!(adopt(&world, &with_value, &reference).await, Applied::Rejected(Conflict::WouldChangeSecret));
}

#[tokio::test]
async fn a_known_tenants_secret_is_rotated_as_ever() {
    let world = World::new().await;
    let (old, new) = (with_secrets(Some("old"), None), with_secrets(Some("new"), None));
    let acme = |config: &Value| tenant("acme", &[A]).with_json(&config.to_string());
    world.apply_one(acme(&old)).await;
    assert_eq!(world.apply_one(acme(&new)).await, published());
    // Its record is lost, and its status lists it: that is a loss and no adoption.
    world.set("tenantcfg:acme", &old.to_string()).await;
    let _: i64 = world.run("DEL runtime-operator:tenant:acme").await;
    assert_eq!(world.apply_one(acme(&new).previously_listed(&[A])).await, published());
}

#[tokio::test]
async fn a_config_above_a_mebibyte_is_not_adopted() {
    let world = World::new().await;
    let config = |size: usize| {
        let mut config = json!({ "tenantId": "acme", "dids": [A], "x": "" });
        let rest = size - config.to_string().len();
        config["x"] = json!("x".repeat(rest));
        config.to_string()
    };
    let new = json!({ "tenantId": "acme", "dids": [A] });
    let largest = config(1 << 20);
    assert!(matches!(adopt(&world, &largest, &new).await, Applied::Published { adopted: Some(_), .. }));
    let larger = config((1 << 20) + 1);
    assert_eq!(adopt(&world, &larger, &new).await, Applied::Rejected(Conflict::TooLarge));
    let forced = tenant("acme", &[A]).with_json(&new.to_string()).take_over();
    assert_eq!(world.apply_one(forced).await, Applied::Rejected(Conflict::TooLarge));
    assert_eq!(world.config("acme").await, Some(larger));
}

/// Everything that Redis' slow log has of the calls: commands with all their arguments.
async fn slow_log(world: &World) -> String {
    let entries: redis::Value = world.run("SLOWLOG GET -1").await;
    format!("{entries:?}")
}

#[tokio::test]
async fn no_secret_is_an_argument_an_answer_or_an_error_of_its_own() {
    let world = World::new().await;
    // The slow log cuts arguments above 128 bytes: the config itself is one, and longer.
    let padding = "p".repeat(200);
    let config = |secret: &str| json!({ "a": padding, "dids": [A], "webhookSecret": secret });
    let () = world.run("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 10000").await;
    world.set("tenantcfg:acme", &config(CANARY).to_string()).await;
    let () = world.run("SLOWLOG RESET").await;
    let acme = tenant("acme", &[A]).with_json(&config(NEW_CANARY).to_string());
    let waits = world.apply_one(acme.clone()).await;
    let adopted = world.apply_one(acme.clone().take_over()).await;
    let repaired = world.apply_one(acme).await;
    let log = slow_log(&world).await;
    let hash = |secret: &str| {
        use sha1::{Digest, Sha1};
        format!("{:x}", Sha1::digest(secret))
    };
    let everything = format!("{log} {waits:?} {adopted:?} {repaired:?}");
    assert!(log.to_lowercase().contains("evalsha"), "{log}");
    for canary in [CANARY, NEW_CANARY] {
        assert!(!everything.contains(canary), "{everything}");
        assert!(!everything.contains(&hash(canary)) && !everything.contains(&hash(canary).to_uppercase()));
    }
}
