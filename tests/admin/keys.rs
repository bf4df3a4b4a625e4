//! Authentication by the keys of a file.

use std::process::Command;

use local_cluster::Error;
use serde_json::{Value, json};
use test_support::{Operator, World, operator_binary};

use crate::client::{Admin, Response, config, send};

const DID: &str = "+15551234567";
const LOOKUP: &str = "/dids/+15551234567";
const CONFIG: &str = "/tenants/acme/config";

/// Makes a key with the command line; returns it and its line.
fn new_key(name: &str, role: &str) -> (String, String) {
    let output = Command::new(operator_binary()).args(["admin-key", name, role]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap())
}

async fn keyed(world: &World, lines: &[&str]) -> Operator {
    let file = world.write_file("keys", &lines.join("\n"));
    world
        .operator()
        .env("ENABLE_RUNTIME_ADMIN", "true")
        .env("ALLOW_RUNTIME_SECRET_READ", "true")
        .env("RUNTIME_ADMIN_AUTH", "key")
        .env("RUNTIME_ADMIN_KEY_FILE", file.to_str().unwrap())
        .start()
        .await
}

#[track_caller]
fn unauthorized(response: &Response, code: &str) {
    response.rejected(401, code);
    assert_eq!(response.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn each_role_may_do_what_it_says_and_the_audit_names_the_key() {
    let world = World::new().await;
    world.exempt_all();
    let [reader, editor, secrets] = ["reader", "editor", "secret-reader"].map(|role| new_key(role, role));
    let operator = keyed(&world, &["# keys of panels", "", &reader.1, &editor.1, &secrets.1]).await;
    let admin = Admin::of(&operator);
    let [reader_key, editor_key, secrets_key] = [&reader.0, &editor.0, &secrets.0];
    let [reader, editor, secrets] = [reader_key, editor_key, secrets_key].map(|key| admin.with_token(key));
    let stored = config("acme", &[DID]);

    unauthorized(&admin.get(LOOKUP).await, "admin_auth_required");
    unauthorized(&admin.with_token("x".repeat(64)).get(LOOKUP).await, "admin_auth_invalid");
    unauthorized(&admin.with_token("x".repeat(64)).get("/health").await, "admin_auth_invalid");

    editor.publish(&stored).await.ok();
    editor.map(DID, "acme").await.ok();
    editor.put("/tenants/acme/quick-replies", json!({ "quickReplies": [] })).await.ok();
    for caller in [&reader, &secrets] {
        caller.publish(&stored).await.rejected(403, "admin_forbidden");
        caller.map(DID, "acme").await.rejected(403, "admin_forbidden");
        let none = json!({ "quickReplies": [] });
        caller.put("/tenants/acme/quick-replies", none).await.rejected(403, "admin_forbidden");
    }
    for caller in [&reader, &editor, &secrets] {
        assert_eq!(caller.get(LOOKUP).await.ok()["tenantId"], "acme");
        assert_eq!(caller.get(CONFIG).await.ok()["config"]["webhookSecret"], Value::Null);
        caller.get("/openapi.json").await.ok();
        assert_eq!(caller.get("/health").await.ok()["status"], "ok");
    }
    let with_secrets = format!("{CONFIG}?includeSecrets=1");
    assert_eq!(secrets.get(&with_secrets).await.ok()["config"]["webhookSecret"], stored["webhookSecret"]);
    for caller in [&reader, &editor] {
        caller.get(&with_secrets).await.rejected(403, "admin_forbidden");
        caller.post(&with_secrets, stored.clone()).await.rejected(403, "admin_forbidden");
    }
    let by_header = admin.request("GET", LOOKUP).header("x-admin-key", reader_key);
    assert_eq!(send(by_header).await.ok()["tenantId"], "acme");
    let both = reader.request("GET", LOOKUP).header("x-admin-key", reader_key);
    unauthorized(&send(both).await, "admin_auth_required");

    let logs = operator.logs();
    let audited = |user: &str| logs.lines().any(|line| line.contains("audit") && line.contains(user));
    assert!(audited("key:editor") && audited("key:reader"), "{logs}");
    for key in [reader_key, editor_key, secrets_key] {
        assert!(!logs.contains(key.as_str()));
    }
    world.close().await;
}

#[tokio::test]
async fn a_changed_file_counts_and_a_broken_one_leaves_the_earlier_keys() {
    let world = World::new().await;
    let (first, first_line) = new_key("first", "reader");
    let (second, second_line) = new_key("second", "reader");
    let operator = keyed(&world, &[&first_line]).await;
    let admin = Admin::of(&operator);
    let status = async |key: &str| admin.with_token(key).get(LOOKUP).await.status;
    assert_eq!((status(&first).await, status(&second).await), (404, 401));
    assert_eq!(operator.probe("readyz").await.unwrap(), (200, "ok\n".to_owned()));

    world.write_file("keys", "canary-of-a-broken-file");
    world
        .wait("readyz says so", || async {
            let (status, text) = operator.probe("readyz").await.unwrap();
            let says = status == 200 && text.contains("line 1: must be name:role:hash");
            if says { Ok(()) } else { Err(text) }
        })
        .await;
    assert_eq!((status(&first).await, status(&second).await), (404, 401));
    assert!(operator.metric("runtime_operator_admin_key_file_usable").await < 0.5);
    assert!(operator.logs().contains("failed to reload admin keys"));
    assert!(!operator.logs().contains("canary-of-a-broken-file"));

    world.write_file("keys", &second_line);
    world
        .wait("the new key counts", || async {
            let both = (status(&first).await, status(&second).await);
            if both == (401, 404) { Ok(()) } else { Err(format!("{both:?}")) }
        })
        .await;
    assert_eq!(operator.probe("readyz").await.unwrap(), (200, "ok\n".to_owned()));
    assert!(operator.metric("runtime_operator_admin_key_file_usable").await > 0.5);
    world.finish().await;
}

#[tokio::test]
async fn a_broken_file_is_an_error_at_start() {
    let world = World::new().await;
    let file = world.write_file("keys", "canary");
    let start = world
        .operator()
        .env("RUNTIME_ADMIN_AUTH", "key")
        .env("RUNTIME_ADMIN_KEY_FILE", file.to_str().unwrap());
    let Err(error) = start.try_start().await else { panic!("it started") };
    assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("--runtime-admin-key-file") && error.contains("line 1"), "{error}");
    assert!(!error.contains("canary"), "{error}");
    world.finish().await;
}

#[test]
fn a_wrong_name_or_role_makes_no_key() {
    for arguments in [["a b", "reader"], ["a", "owner"], ["", "reader"]] {
        let output = Command::new(operator_binary()).arg("admin-key").args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
}
