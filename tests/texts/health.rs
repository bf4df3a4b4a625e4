//! The health check for Argo CD, run over every state. Redis runs it: Argo CD's interpreter and that of Redis are both of Lua
//! 5.1, and a Redis is there for every test.

use std::fs;

use local_cluster::{Redis, RedisOptions};
use runtime_operator::api::RuntimeTenantStatus;
use runtime_operator::domain::reason::Reason;
use runtime_operator::domain::status::{self, StatusDetails};
use serde_json::{Value, json};

use crate::states;

/// Runs the check on a resource; returns health and message.
async fn check(connection: &mut redis::aio::MultiplexedConnection, resource: &Value) -> (String, String) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/argocd/health.lua");
    let code = fs::read_to_string(file).unwrap();
    let script = format!(
        "local function check(obj)\n{code}\nend\nlocal health = check(cjson.decode(ARGV[1]))\n\
         return {{health.status, health.message}}"
    );
    redis::cmd("EVAL").arg(script).arg(0).arg(resource.to_string()).query_async(connection).await.unwrap()
}

fn resource(generation: i64, status: Option<&RuntimeTenantStatus>) -> Value {
    let mut resource = json!({ "metadata": { "name": "acme", "generation": generation } });
    if let Some(status) = status {
        resource["status"] = serde_json::to_value(status).unwrap();
    }
    resource
}

#[tokio::test]
async fn the_health_check_for_argo_cd_agrees_with_every_status() {
    let server = Redis::start(RedisOptions::default()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (health, message) = check(&mut connection, &resource(1, None)).await;
    assert_eq!((health.as_str(), message.as_str()), ("Progressing", "not reconciled yet"));

    for (what, assessment) in states::all() {
        let generation = assessment.generation;
        let status = status::next(None, &assessment, &StatusDetails::read(true), states::time());
        let (health, message) = check(&mut connection, &resource(generation, Some(&status))).await;
        let expected = match assessment.reason() {
            Reason::Published | Reason::Suspended => "Healthy",
            reason if reason.is_transient() => "Progressing",
            _ => "Degraded",
        };
        assert_eq!(health, expected, "{what}");
        assert_eq!(message, format!("{}: {}", assessment.reason(), assessment.message()), "{what}");
        let (health, _) = check(&mut connection, &resource(generation + 1, Some(&status))).await;
        assert_eq!(health, "Progressing", "{what}, of an earlier generation");
    }
}
