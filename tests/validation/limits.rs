//! The largest possible tenant, and the cost of its CEL rules.

use serde_json::{Value, json};
use test_support::specs::{llm, merge, with};

use crate::cluster::{client, create, namespace, object};

const URL_LENGTH: usize = 2048;

fn long_url() -> String {
    let start = "https://media.example.com/";
    format!("{start}{}", "a".repeat(URL_LENGTH - start.len()))
}

/// Returns 500 numbers of 15 digits with white space between all of them, the most expensive case for CEL.
fn numbers() -> Vec<String> {
    let spaced =
        |n: u32| format!("+90000000{n:07}").split("").collect::<Vec<_>>().join(" ").trim().to_owned();
    (0..500).map(spaced).collect()
}

/// Returns a spec in which every list and URL that a rule reads has its greatest length, with 200 replies of 4,000
/// characters.
fn largest() -> Value {
    let url = long_url();
    let mut spec = with(&json!({
        "tenantId": "t".repeat(253),
        "dids": numbers(),
        "stt": { "mode": "whisper_http", "whisperUrl": url },
        "tts": { "kokoroUrl": url },
        "callForwarding": { "enabled": true, "destination": format!("sip:{}@example.com", "a".repeat(496)), "audioUrl": url },
        "transferProfiles": (0..100).map(|n| json!({
            "id": format!("p{n}"), "name": "Desk", "responsibilities": ["all"], "destination": "+15550002222", "audioUrl": url,
        })).collect::<Vec<_>>(),
        "assistantContext": (0..100).map(|n| (format!("{n:0>253}"), json!("x"))).collect::<serde_json::Map<_, _>>(),
        "quickReplies": (0..200).map(|n| json!({
            "id": format!("r{n}"), "match": [format!("question {n}")], "reply": "r".repeat(4000),
        })).collect::<Vec<_>>(),
        "extensions": (0..64).map(|n| (format!("x{n}"), json!({ "n": n }))).collect::<serde_json::Map<_, _>>(),
    }));
    merge(&mut spec, &llm(json!({ "prompts": { "systemPreamble": "p".repeat(65536) } })));
    spec
}

#[tokio::test]
async fn the_largest_tenant_is_within_the_budget_of_cel() {
    let client = client().await;
    namespace(&client, "limits").await;
    let created = create(&client, "limits", &object("largest", &largest()), false).await.unwrap();
    assert_eq!(created["spec"]["dids"].as_array().map(Vec::len), Some(500));
}

#[tokio::test]
async fn a_duplicate_among_five_hundred_numbers_is_refused() {
    let client = client().await;
    let mut dids = numbers();
    dids[499] = dids[0].replace(' ', "\t");
    let spec = with(&json!({ "dids": dids }));
    let refusal = create(&client, "default", &object("a", &spec), true).await.unwrap_err();
    assert!(refusal.contains("numbers must be unique once their white space is removed"), "{refusal}");
}
