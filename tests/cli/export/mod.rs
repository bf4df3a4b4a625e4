//! `export` writes what an older publisher left in Redis as resources that validate, change nothing, and are adopted.

mod left;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use local_cluster::RedisOptions;
use redis::AsyncCommands;
use serde_json::{Value, json};
use test_support::specs::generated_cases;
use test_support::{World, operator_binary, tenant};

use left::{Fate, KINDS, Left, config, did, left};

/// The rights of docs/migration.md: nothing can be written with them.
const RIGHTS: &str = ">exporters-own resetkeys ~tenantcfg:* ~tenantmap:did:* -@all +scan +get +mget +type";
const CANARY: &str = "whsec_canary";

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(operator_binary());
    command.args(arguments).env("KUBECONFIG", world.kubeconfig()).env("NO_COLOR", "1").stdin(Stdio::null());
    command.env("REDIS_PASSWORD_FILE", world.write_file("password", "exporters-own"));
    command.env("REDIS_USERNAME_FILE", world.write_file("user", "exporter")).output().unwrap()
}

/// Runs diff as an administrator of Redis: it reads ownership records too.
fn diff(world: &World, out: &Path) -> Output {
    let mut command = Command::new(operator_binary());
    command
        .args(["diff", "-o", "json", "--watch-namespaces", world.namespace()])
        .arg(out)
        .env("KUBECONFIG", world.kubeconfig());
    command.env("REDIS_URL", world.redis().url()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn world() -> World {
    World::with_redis(RedisOptions::default().user("exporter", RIGHTS)).await
}

/// The resource of each file, by its tenant id, and the file's text.
fn written(folder: &Path) -> BTreeMap<String, (Value, String)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder.join("tenants")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let resource: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let id = resource["spec"]["tenantId"].as_str().unwrap().to_owned();
        assert_eq!(path.file_stem().unwrap().to_str(), resource["metadata"]["name"].as_str());
        found.insert(id, (resource, text));
    }
    found
}

/// True if both values are the same to the runtime.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names.into_iter().all(|name| match (one.get(name), other.get(name)) {
                (Some(one), Some(other)) => same(one, other),
                // A null of the old config.
                (Some(Value::Null), None) => true,
                _ => false,
            })
        }
        _ => one == other,
    }
}

/// Checks that a config differs from the one before in what a comment of the file names, and in nothing else.
fn check_change(before: &Value, now: &Value, file: &str) {
    let (mut before, mut now) = (before.clone(), now.clone());
    let secret = |config: &Value| config["webhookSecret"].as_str().map(str::to_owned);
    match secret(&before) {
        Some(value) => assert_eq!(secret(&now), Some(value)),
        None if before["webhookSecretRef"] == "env:KNOWN" => {
            assert_eq!(secret(&now).unwrap(), format!("{CANARY}_env=known"));
        }
        None => assert_eq!(secret(&now).as_deref(), before["webhookSecretRef"].as_str()),
    }
    let dids = |config: &Value| {
        config["dids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|did| did.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (old, new) = (dids(&before), dids(&now));
    let unnamed =
        |did: &&String| !file.lines().any(|line| line.starts_with("# ") && line.contains(did.as_str()));
    assert!(old.iter().filter(|did| !new.contains(did)).find(unnamed).is_none(), "{file}");
    assert!(new.iter().filter(|did| !old.contains(did)).find(unnamed).is_none(), "{file}");
    for config in [&mut before, &mut now] {
        for name in ["webhookSecret", "webhookSecretRef", "dids"] {
            config.as_object_mut().unwrap().remove(name);
        }
    }
    assert!(same(&before, &now), "{before}\n{now}");
}

fn assert_no_secret(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} holds a secret: {text}");
    assert!(!text.contains("exporters-own"), "{what} holds the password");
}

/// Polls all numbers as callers do, and returns how often one was not mapped to its tenant.
async fn poll(
    world: &World,
    mapped: Vec<(String, String)>,
) -> (Arc<AtomicBool>, tokio::task::JoinHandle<(u64, Vec<String>)>) {
    let (mut connection, stop) = (world.connection().await, Arc::new(AtomicBool::default()));
    let stopped = Arc::clone(&stop);
    let keys: Vec<_> = mapped.iter().map(|(did, _)| format!("tenantmap:did:{did}")).collect();
    let task = tokio::spawn(async move {
        let (mut rounds, mut wrong) = (0, Vec::new());
        while !stopped.load(Ordering::SeqCst) {
            let values: Vec<Option<String>> = connection.mget(&keys).await.unwrap();
            for ((did, tenant), value) in mapped.iter().zip(values) {
                if value.as_ref() != Some(tenant) {
                    wrong.push(format!("{did} is mapped to {value:?} and not to {tenant}"));
                }
            }
            rounds += 1;
            tokio::task::yield_now().await;
        }
        (rounds, wrong)
    });
    (stop, task)
}

/// Collects the writes to mappings that MONITOR shows.
async fn monitor(world: &World) -> tokio::task::JoinHandle<Vec<String>> {
    let monitor = world.redis().client().unwrap().get_async_monitor().await.unwrap();
    tokio::spawn(async move {
        let mut lines = monitor.into_on_message::<String>();
        let mut writes = Vec::new();
        while let Some(line) = lines.next().await {
            if line.contains("the-end-of-the-test") {
                break;
            }
            let writes_something =
                ["\"set\"", "\"del\"", "\"unlink\"", "\"getdel\"", "\"rename\"", "\"persist\"", "\"expire\""];
            let lower = line.to_lowercase();
            if lower.contains("tenantmap:did:")
                && writes_something.iter().any(|command| lower.contains(command))
            {
                writes.push(line);
            }
        }
        writes
    })
}

#[tokio::test]
async fn what_an_older_publisher_left_is_exported_validated_and_adopted() {
    let world = world().await;
    let operator = world.operator().start().await;
    let cases = usize::try_from(generated_cases()).unwrap().max(KINDS + 10);
    let tenants: Vec<Left> = (0..cases).map(left).collect();
    // The reader of the world would find the configs that are broken on purpose.
    world.exempt_all();
    for (index, owned) in tenants.iter().enumerate().filter(|(_, left)| left.fate == Fate::Owned) {
        let dids: Vec<&str> = owned.mapped.iter().map(String::as_str).collect();
        world.apply(&tenant(&owned.id).named(&format!("owned-{index}")).dids(dids)).await;
        world.wait_ready(&format!("owned-{index}")).await;
    }
    let unowned: Vec<Left> = (0..cases).map(left).collect();
    fill_unowned(&world, &unowned).await;

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let env = world.write_file("values.env", &format!("# the runtime's\nKNOWN={CANARY}_env=known\n"));
    let arguments = [
        "export",
        "--redis-url",
        &world.redis().bare_url(),
        "--output",
        out.to_str().unwrap(),
        "--namespace",
        world.namespace(),
        "--secrets",
        "files",
        "--env-values",
        env.to_str().unwrap(),
    ];
    let output = run(&world, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_no_secret("the output", &format!("{output:?}"));

    let exported = written(&out);
    let summary = fs::read_to_string(out.join("summary.json")).unwrap();
    let page = fs::read_to_string(out.join("NOT-EXPORTED.md")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    for (name, text) in [("summary.json", summary.to_string()), ("NOT-EXPORTED.md", page.clone())] {
        assert_no_secret(name, &text);
    }
    check_fates(&unowned, &exported, &summary, &page);
    let owned = unowned.iter().filter(|left| left.fate == Fate::Owned).count();
    assert_eq!(summary["tenants"]["owned"], owned);
    assert_eq!(fs::read_to_string(out.join("secrets/.gitignore")).unwrap(), "*\n");

    let validated = run(&world, &["validate", out.to_str().unwrap()]);
    assert_eq!(validated.status.code(), Some(0), "{}", text(&validated));

    let diffed = diff(&world, &out);
    let plan: Value = serde_json::from_str(&text(&diffed)).unwrap();
    assert_eq!((&plan["numbers"], &plan["conflicts"]), (&json!([]), &json!([])), "{diffed:?}");
    assert_eq!(diffed.status.code(), Some(1), "resources appear");

    let before: BTreeMap<&String, Value> = unowned
        .iter()
        .filter(|left| left.fate == Fate::Exported)
        .map(|left| (&left.id, serde_json::from_str(left.config.as_ref().unwrap()).unwrap()))
        .collect();
    let of_exported = unowned.iter().filter(|left| left.fate == Fate::Exported);
    let mapped =
        of_exported.flat_map(|left| left.mapped.iter().map(|did| (did.clone(), left.id.clone()))).collect();
    let (stop, polled) = poll(&world, mapped).await;
    let monitored = monitor(&world).await;
    world.kubectl_text(&["apply", "-f", out.join("secrets").to_str().unwrap()]);
    world.kubectl_text(&["apply", "-f", out.join("tenants").to_str().unwrap()]);
    for (resource, _) in exported.values() {
        world.wait_ready(resource["metadata"]["name"].as_str().unwrap()).await;
    }
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    for (resource, _) in exported.values() {
        world.wait_event(resource["metadata"]["name"].as_str().unwrap(), "Adopted").await;
    }
    drop(events.list(&ListParams::default()).await.unwrap());
    for (id, before) in before {
        let (_, file) = &exported[id];
        check_change(&before, &world.config(id).await.unwrap(), file);
    }
    world.set_key("the-end-of-the-test", "1").await;
    stop.store(true, Ordering::SeqCst);
    let (rounds, wrong) = polled.await.unwrap();
    assert!(rounds > 0 && wrong.is_empty(), "{rounds} rounds: {wrong:?}");
    let writes = monitored.await.unwrap();
    assert_eq!(writes, Vec::<String>::new());
    assert_no_secret("the operator's log", &operator.logs());
    world.close().await;
}

/// Fails unless each tenant is exported, with these notes, or named with the path that can't be expressed.
fn check_fates(tenants: &[Left], exported: &BTreeMap<String, (Value, String)>, summary: &Value, page: &str) {
    for left in tenants {
        let file = exported.get(&left.id);
        match left.fate {
            Fate::Exported => {
                let (_, text) = file.unwrap_or_else(|| panic!("{} is not exported: {page}", left.id));
                assert_no_secret(&left.id, text);
                let of_it = summary["exported"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|one| one["tenantId"] == left.id.as_str())
                    .unwrap();
                let kinds: Vec<_> = of_it["notes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|note| note["kind"].as_str().unwrap())
                    .collect();
                assert_eq!(kinds, left.note.into_iter().collect::<Vec<_>>(), "{}", left.id);
            }
            Fate::Refused("mapping") => {
                assert!(page.contains(&format!("| {} | {} |", left.mapped[0], left.id)), "{page}");
            }
            Fate::Refused(path) => {
                assert!(file.is_none(), "{}", left.id);
                let of_it = summary["notExported"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|one| one["tenantId"] == left.id.as_str());
                let problems = &of_it.unwrap_or_else(|| panic!("{}", left.id))["problems"];
                let at: Vec<_> = problems
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|problem| problem["path"].as_str().unwrap())
                    .collect();
                assert_eq!(at, [path], "{}: {problems}", left.id);
            }
            Fate::Owned => assert!(file.is_none(), "{}", left.id),
        }
    }
}

async fn fill_unowned(world: &World, tenants: &[Left]) {
    let of_owned = |left: &Left| left.fate == Fate::Owned;
    let mut connection = world.connection().await;
    for (index, left) in tenants.iter().enumerate().filter(|(_, left)| !of_owned(left)) {
        let key = format!("tenantcfg:{}", left.id);
        if let Some(config) = &left.config {
            if index % KINDS == 23 {
                connection.hset::<_, _, _, ()>(&key, "a", "b").await.unwrap();
            } else {
                connection.set::<_, _, ()>(&key, config).await.unwrap();
            }
        }
        for did in &left.mapped {
            connection.set::<_, _, ()>(format!("tenantmap:did:{did}"), &left.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn secrets_are_written_in_the_form_that_was_asked_for() {
    let world = world().await;
    world.exempt_all();
    world.set_key("tenantcfg:acme", config("acme", &[did(0, 0)], CANARY).to_string()).await;
    world.set_key(&format!("tenantmap:did:{}", did(0, 0)), "acme").await;
    let folder = tempfile::tempdir().unwrap();
    let url = world.redis().bare_url();
    let export = |form: &str| {
        let out = folder.path().join(form);
        let output = run(
            &world,
            &["export", "--redis-url", &url, "--output", out.to_str().unwrap(), "--secrets", form],
        );
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        out
    };
    let none = export("none");
    assert!(!none.join("secrets").exists() && !none.join("NOT-EXPORTED.md").exists());
    for (form, kind, has_value) in [
        ("files", "Secret", true),
        ("external-secrets", "ExternalSecret", false),
        ("sealed", "SealedSecret", false),
    ] {
        let file = export(form).join("secrets/acme-webhook.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("kind: {kind}\n")), "{text}");
        assert_eq!(text.contains("d2hzZWNfY2FuYXJ5"), has_value, "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    world.close().await;
}

#[tokio::test]
async fn an_export_overwrites_nothing_and_says_what_it_could_not_do() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "1").unwrap();
    let url = world.redis().bare_url();
    let output = run(&world, &["export", "--redis-url", &url, "--output", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("must be a new or an empty folder"),
        "{output:?}"
    );
    let out = folder.path().join("out");
    let unreachable = ["export", "--redis-url", "redis://127.0.0.1:1", "--output", out.to_str().unwrap()];
    assert_eq!(run(&world, &unreachable).status.code(), Some(2));
    let out = folder.path().join("other");
    let absent = ["export", "--redis-url", &url, "--output", out.to_str().unwrap(), "--only", "no-one"];
    let output = run(&world, &absent);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-one"), "{output:?}");
    world.close().await;
}
