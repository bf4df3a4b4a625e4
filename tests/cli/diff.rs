//! `diff` says before an apply what it brings: to numbers, to resources, to conflicts.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};

use redis::AsyncCommands;
use serde_json::{Value, json};
use test_support::specs::{base, generated_cases};
use test_support::{World, operator_binary, tenant};

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(operator_binary());
    // The tests share a cluster, and each has a Redis of its own.
    command.args(["diff", "--watch-namespaces", world.namespace()]).args(arguments).stdin(Stdio::null());
    command.env("KUBECONFIG", world.kubeconfig()).env("NO_COLOR", "1");
    command.env("REDIS_URL", world.redis().url()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn resource(name: &str, tenant: &str, dids: &[String], more: &Value) -> Value {
    let mut spec = base();
    spec["tenantId"] = json!(tenant);
    spec["dids"] = json!(dids);
    spec["webhookSecretRef"] = json!({ "name": "webhook" });
    test_support::specs::merge(&mut spec, more);
    json!({
        "apiVersion": "runtime.veralux.io/v1", "kind": "RuntimeTenant", "metadata": { "name": name }, "spec": spec,
    })
}

fn did(index: u64) -> String {
    format!("+1555{index:07}")
}

async fn mappings(world: &World) -> BTreeMap<String, String> {
    let mut connection = world.connection().await;
    let keys: Vec<String> = connection.keys("tenantmap:did:*").await.unwrap();
    let mut found = BTreeMap::new();
    for key in keys {
        if let Some(tenant) = connection.get::<_, Option<String>>(&key).await.unwrap() {
            found.insert(key.strip_prefix("tenantmap:did:").unwrap().to_owned(), tenant);
        }
    }
    found
}

/// The mappings after the changes that a plan names.
fn foretold(before: &BTreeMap<String, String>, plan: &Value) -> BTreeMap<String, String> {
    let mut after = before.clone();
    for number in plan["numbers"].as_array().unwrap() {
        let did = number["number"].as_str().unwrap();
        assert_eq!(number["from"].as_str(), before.get(did).map(String::as_str), "{number}");
        match number["to"].as_str() {
            Some(tenant) => drop(after.insert(did.to_owned(), tenant.to_owned())),
            None => drop(after.remove(did)),
        }
    }
    after
}

/// Numbers that seem random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Resources that share tenant ids and numbers: some are left out, suspended, or have no Secret.
fn state(dice: &mut Dice, claims: &mut BTreeMap<&'static str, Vec<String>>) -> Vec<Value> {
    let mut resources = Vec::new();
    let mut newly_claimed: Vec<String> = Vec::new();
    for (place, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        if dice.roll(5) == 0 {
            continue;
        }
        // Each number has two possible claimants, and one of them claims it newly: which of two new claims comes first is chance.
        let before = claims.get(name).cloned().unwrap_or_default();
        let place = u64::try_from(place).unwrap();
        let mut dids: Vec<String> = (0..10)
            .filter(|number| [number % 5, (number + 1) % 5].contains(&place) && dice.roll(2) == 0)
            .map(did)
            .filter(|did| before.contains(did) || !newly_claimed.contains(did))
            .collect();
        newly_claimed.extend(dids.iter().filter(|did| !before.contains(did)).cloned());
        if dids.is_empty() {
            dids.push(did(100 + dice.roll(1_000_000)));
        }
        let mut more = json!({ "caps": { "maxCallsPerMinuteTenant": 1 + dice.roll(3) } });
        if dice.roll(6) == 0 {
            more["suspend"] = json!(true);
        }
        if dice.roll(8) == 0 {
            more["webhookSecretRef"] = json!({ "name": "missing" });
        }
        resources.push(resource(name, name, &dids, &more));
        claims.insert(name, dids);
    }
    resources
}

#[tokio::test]
async fn what_diff_foretells_is_what_an_apply_brings() {
    let world = World::new().await;
    world.exempt_all();
    let _operator = world.operator().start().await;
    world.apply_secret("webhook", "whsec").await;
    let folder = tempfile::tempdir().unwrap();
    let (mut dice, mut claims) = (Dice(17), BTreeMap::new());
    let pairs = (generated_cases() / 4).max(6);
    for pair in 0..pairs {
        let resources = state(&mut dice, &mut claims);
        let file = folder.path().join(format!("{pair}.json"));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": resources });
        fs::write(&file, list.to_string()).unwrap();
        // Of two that are created within one second, neither is the older, and chance decides.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let before = mappings(&world).await;
        let output = run(&world, &["-o", "json", file.to_str().unwrap()]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{pair}: {output:?}");
        let plan: Value = serde_json::from_str(&text(&output)).unwrap();
        let expected = foretold(&before, &plan);
        world.kubectl_text(&["apply", "-f", file.to_str().unwrap()]);
        world
            .wait(
                &format!("pair {pair}: the mappings are as foretold; the plan was {plan}, the state {list}"),
                || async {
                    let now = mappings(&world).await;
                    if now == expected {
                        Ok(())
                    } else {
                        Err(format!("they are {now:?} and not {expected:?}"))
                    }
                },
            )
            .await;
        // Each resource says what was foretold of it.
        for change in plan["resources"].as_array().unwrap() {
            let (name, verdict) = (change["name"].as_str().unwrap(), &change["verdict"]);
            let ready = if verdict["ready"] == true { "True" } else { "False" };
            world.wait_condition(name, "Ready", ready, verdict["reason"].as_str().unwrap()).await;
        }
        assert_eq!(mappings(&world).await, expected, "pair {pair}: {plan}");
        // Nothing is left to change.
        let again = run(&world, &[file.to_str().unwrap()]);
        assert_eq!(again.status.code(), Some(0), "{pair}: {}", text(&again));
    }
    world.close().await;
}

#[tokio::test]
async fn numbers_that_move_appear_and_disappear_are_named() {
    let world = World::new().await;
    world.exempt_all();
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids(["+15551234567"])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("north").dids(["+15550000001", "+15551234567"])).await;
    world.wait_condition("north", "Ready", "False", "DidConflict").await;
    world.apply(&tenant("harbor").dids(["+15557654321"])).await;
    world.wait_ready("harbor").await;
    let folder = tempfile::tempdir().unwrap();
    let live = world.get("acme").await.unwrap().data["spec"].clone();
    let mut spec = live.clone();
    spec["dids"] = json!(["+15550100777"]);
    spec["caps"]["maxCallsPerMinuteTenant"] = json!(7);
    let mut items = vec![json!({
        "apiVersion": "runtime.veralux.io/v1", "kind": "RuntimeTenant", "metadata": { "name": "acme" }, "spec": spec,
    })];
    items.push(json!({
        "apiVersion": "runtime.veralux.io/v1", "kind": "RuntimeTenant", "metadata": { "name": "north" },
        "spec": world.get("north").await.unwrap().data["spec"],
    }));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    fs::write(folder.path().join("a.json"), list.to_string()).unwrap();
    let output = run(&world, &["--prune", folder.path().to_str().unwrap()]);
    let (found, ns) = (text(&output), world.namespace());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for line in [
        format!("~ {ns}/acme\n"),
        format!("    - +15551234567   goes from {ns}/acme to {ns}/north\n"),
        "    + +15550100777   becomes live\n".to_owned(),
        "→ 7\n".to_owned(),
        format!("- {ns}/harbor   (--prune)\n"),
        "    - +15557654321   becomes unmapped: callers hear \"not configured\"\n".to_owned(),
        "2 resources change; 1 number appears, 1 moves, 1 disappears; 0 conflicts arise\n".to_owned(),
    ] {
        assert!(found.contains(&line), "{line:?} is not in {found}");
    }
    world.close().await;
}

#[tokio::test]
async fn without_redis_or_rights_no_number_is_said_to_become_live() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    fs::write(&file, resource("acme", "acme", &["+15551234567".to_owned()], &json!({})).to_string()).unwrap();
    let mut command = Command::new(operator_binary());
    let output = command
        .args(["diff", "--watch-namespaces", world.namespace(), file.to_str().unwrap()])
        .env("KUBECONFIG", world.kubeconfig())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not read: Redis"), "{output:?}");
    assert!(text(&output).contains("not certain"), "{}", text(&output));
    let output = run(&world, &["--as", "someone", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    world.finish().await;
}
