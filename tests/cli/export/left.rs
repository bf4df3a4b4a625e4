//! Tenants as an older publisher left them, with every anomaly, and what an export must make of each.

use serde_json::{Value, json};

use super::CANARY;

pub fn did(index: usize, nth: usize) -> String {
    format!("+1555{:07}", index * 10 + nth)
}

/// A config that the runtime accepts, with a context, hours, and most sections.
pub fn config(id: &str, dids: &[String], secret: &str) -> Value {
    json!({
        "contractVersion": "v1", "tenantId": id, "dids": dids, "webhookSecret": secret,
        "caps": { "maxConcurrentCallsTenant": 2, "maxCallsPerMinuteTenant": 10 },
        "stt": { "mode": "whisper_http", "whisperUrl": "http://whisper:9000/asr", "chunkMs": 500, "language": "en" },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "http://kokoro:7002/tts", "voice": "af_bella", "rate": 1.1 },
        "audio": {},
        "llmContext": {
            "forwardingProfiles": [{ "id": "desk", "name": "Desk", "number": "", "role": "" }],
            "pricing": { "items": [{ "id": "a", "name": "A", "price": "5" }], "notes": "" },
            "prompts": { "systemPreamble": "Be kind.\nBe brief.\n", "schemaHint": "", "policyPrompt": "yes", "voicePrompt": "0777" },
        },
        "transferProfiles": [{ "id": "a", "name": "A", "responsibilities": ["x"], "destination": "+15550000001" }],
        "quickReplies": [{ "match": ["opening hours"], "reply": "12:30:45" }],
        "assistantContext": { "opening hours": "~", "on": "no" },
    })
}

/// What an export must make of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Exported,
    Refused(&'static str),
    Owned,
}

/// A tenant as an older publisher left it.
pub struct Left {
    pub id: String,
    /// The text of its config's key; none: it has none.
    pub config: Option<String>,
    /// The numbers that are mapped to it.
    pub mapped: Vec<String>,
    pub fate: Fate,
    /// The kind of the note in its file.
    pub note: Option<&'static str>,
}

/// The number of kinds of anomaly.
pub const KINDS: usize = 30;

#[rustfmt::skip] // a kind is a line
pub fn left(index: usize) -> Left {
    let mut id = format!("shop-{index}");
    let (one, two, three) = (did(index, 0), did(index, 1), did(index, 2));
    let mut listed = vec![one.clone(), two.clone()];
    let mut mapped = listed.clone();
    let secret = format!("{CANARY}_{index}");
    let (mut fate, mut note) = (Fate::Exported, None);
    let mut patch = json!({});
    let refused = Fate::Refused;
    let mut raw = None;
    match index % KINDS {
        0 | 28 => {}
        1 => { patch = json!({ "webhookSecret": null, "webhookSecretRef": secret }); note = Some("literalSecret"); }
        2 => { patch = json!({ "webhookSecret": null, "webhookSecretRef": "env:KNOWN" }); note = Some("envSecret"); }
        3 => { patch = json!({ "webhookSecret": null, "webhookSecretRef": "env:UNKNOWN" }); fate = refused("webhookSecretRef"); }
        4 => { patch = json!({ "webhookSecret": null, "webhookSecretRef": "secret://a/b" }); fate = refused("webhookSecretRef"); }
        5 => { listed.push(three); note = Some("listedUnmapped"); }
        6 => { listed.insert(0, did(index - index % KINDS, 0)); note = Some("listedElsewhere"); }
        7 => { listed.push(one); note = Some("listedTwice"); }
        8 => { mapped.push(three); note = Some("mappedUnlisted"); }
        9 => { mapped.clear(); fate = refused("dids"); }
        10 => patch = json!({ "newer": { "a": [1, 2.50, { "b": null }], "$x": "\u{2028}" }, "z": 12_345_678_901_234_567_890_u64 }),
        11 => patch = json!({ "caps": { "newer": 1 }, "llmContext": { "newer": true, "prompts": { "other": "x" } }, "audio": { "newer": {} } }),
        12 => { patch = json!({ "quickReplies": [{ "match": ["opening hours"], "reply": "a", "newer": 1 }] }); fate = refused("quickReplies[0].newer"); }
        13 => patch = json!({ "tts": { "coquiTopK": 5, "misoTopK": "x" }, "stt": { "config": { "url": "http://w" } } }),
        14 => patch = json!({ "lastRuntimePublishedAt": "2026-09-30T12:00:00.000Z" }),
        15 => { patch = json!({ "callQuality": {
                "callQualityAnalyticsEnabled": true, "transcriptStorageEnabled": true, "qualitySummaryVisibleToClient": true,
                "rawArtifactsVisibleToClient": true, "transcriptRetentionDays": 1, "rawAudioDiagnosticsMode": "off",
                "rawAudioDiagnosticsReason": "\u{0}null" } }); note = Some("null"); }
        16 => { raw = Some("{ no JSON".to_owned()); fate = refused(""); }
        17 => { patch = json!({ "tts": { "mode": null } }); fate = refused("tts.mode"); }
        18 => { patch = json!({ "tenantId": "another" }); fate = refused("tenantId"); }
        19 => { patch = json!({ "tts": { "kokoroUrl": "kokoro:7002" } }); fate = refused("spec.tts.kokoroUrl"); }
        20 => { patch = json!({ "caps": { "maxConcurrentCallsGlobal": 3_000_000_000_u64 } }); fate = refused("spec.caps.maxConcurrentCallsGlobal"); }
        21 => id = format!("Zahnärzte am Markt: a/b {index}"),
        22 => { id = format!("line\nbreak {index}"); fate = refused("spec.tenantId"); }
        23 => { fate = refused(""); raw = Some(String::new()); }
        24 => { fate = refused("mapping"); }
        25 => patch = json!({ "assistantContext": {
                "text": "  leading\n\ttab\ntrailing  \n\n\n", "#": "a: b # c", "---": "...", "controls": "\u{1}\u{7f}\u{85}\u{feff}\u{2029}x",
                "": "- a\n- b", "yes": "1_000", "quotes": "'\"\\", "emoji": "🏠\u{200b}", "long": "word ".repeat(100), "cr": "a\r\nb\r" } }),
        26 => patch = json!({ "webhookSecret": format!(" {secret}\r\n\n") }),
        27 => { patch = json!({ "webhookSecret": " \t" }); fate = refused("webhookSecret"); }
        _ => fate = Fate::Owned,
    }
    let mut document = config(&id, &listed, &secret);
    test_support::specs::merge(&mut document, &patch);
    let mut text = document.to_string();
    if index % KINDS == 15 {
        text = text.replace("\"\\u0000null\"", "null");
    }
    if index % KINDS == 28 {
        text = text.replace("\"chunkMs\":500", "\"chunkMs\":5e2").replace("Tenant\":10", "Tenant\":10.0");
    }
    let config = (index % KINDS != 24).then(|| raw.unwrap_or(text));
    Left { id, config, mapped, fate, note }
}
