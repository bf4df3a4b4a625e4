//! Valid specs, one for each mode, which tables of tests change.
#![allow(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]

pub mod accepted;
pub mod refused;

use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Resource};
use runtime_operator::api::RuntimeTenant;
use serde_json::{Value, json};

/// Returns the number of generated cases of a test: `CASES`, or a number that takes little time.
pub fn generated_cases() -> u32 {
    std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40)
}

/// Returns a valid spec with every required field and no other.
pub fn base() -> Value {
    json!({
        "tenantId": "acme",
        "dids": ["+15550001111"],
        "webhookSecretRef": { "name": "webhook" },
        "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "http://kokoro:7002" },
    })
}

/// Returns the base with `patch` merged into it (RFC 7396: null removes a member).
pub fn with(patch: &Value) -> Value {
    let mut spec = base();
    merge(&mut spec, patch);
    spec
}

pub fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(target), Value::Object(patch)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert_with(|| json!({})), value);
        }
    }
}

pub fn kokoro(members: Value) -> Value {
    json!({ "tts": members })
}

pub fn coqui(members: Value) -> Value {
    tts("coqui_xtts", "coquiXttsUrl", members)
}

pub fn chatterbox(members: Value) -> Value {
    tts("chatterbox_http", "chatterboxUrl", members)
}

pub fn qwen3(members: Value) -> Value {
    tts("qwen3_tts_http", "qwen3TtsUrl", members)
}

fn tts(mode: &str, url: &str, members: Value) -> Value {
    let mut tts = json!({ "mode": mode, "kokoroUrl": null, url: "https://tts.example.com" });
    if let (Some(tts), Value::Object(members)) = (tts.as_object_mut(), members) {
        tts.extend(members);
    }
    json!({ "tts": tts })
}

pub fn forwarding(members: Value) -> Value {
    let mut forwarding = json!({ "enabled": true, "destination": "+15550002222" });
    merge(&mut forwarding, &members);
    json!({ "callForwarding": forwarding })
}

pub fn transfer(members: Value) -> Value {
    let mut profile =
        json!({ "id": "desk", "name": "Desk", "responsibilities": ["all"], "destination": "+15550002222" });
    merge(&mut profile, &members);
    json!({ "transferProfiles": [profile] })
}

pub fn reply(members: Value) -> Value {
    let mut reply = json!({ "match": ["opening hours"], "reply": "Nine to five." });
    merge(&mut reply, &members);
    json!({ "quickReplies": [reply] })
}

pub fn llm(members: Value) -> Value {
    let mut context = json!({
        "forwardingProfiles": [],
        "pricing": { "items": [] },
        "prompts": { "systemPreamble": "", "schemaHint": "", "policyPrompt": "", "voicePrompt": "" },
    });
    merge(&mut context, &members);
    json!({ "llmContext": context })
}

/// A `RuntimeTenant` with this name and spec.
pub fn resource(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "runtime.veralux.io/v1",
        "kind": "RuntimeTenant",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Creates a resource as kubectl does: the API server refuses unknown fields. The error is its message.
pub async fn create(
    client: &Client,
    namespace: &str,
    resource: &Value,
    dry_run: bool,
) -> Result<Value, String> {
    let params = PostParams { dry_run, ..PostParams::default() };
    let request = Request::new(RuntimeTenant::url_path(&(), Some(namespace)));
    let mut request = request.create(&params, serde_json::to_vec(resource).unwrap()).unwrap();
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri()).parse().unwrap();
    match client.request(request).await {
        Ok(created) => Ok(created),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}
