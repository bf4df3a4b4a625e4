//! The contract report: what this publisher holds to, in the parts and under the labels by which tooling compares it
//! with the runtime's own report.

use std::fmt::Write;

use serde_json::{Value, json};

use super::routes::{ADMIN_PREFIX, ErrorCode, ROUTES, Route};
use super::schema::{CONTRACT_VERSION, SttMode, TtsMode, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};
use super::{CONFIG_PREFIX, DID_PREFIX};

/// Stands for any number in the report.
const DID: &str = "{{DID_E164}}";
/// Stands for any tenant id in the report.
const TENANT_ID: &str = "{{TENANT_ID}}";

/// Where the statements of the report come from.
const SOURCE_MODULES: &[&str] = &[
    "src/contract/schema.rs",
    "src/contract/config.rs",
    "src/contract/keys.rs",
    "src/contract/e164.rs",
    "src/contract/routes.rs",
    "src/store/mod.rs",
    "src/admin/mod.rs",
];

/// The "Runtime Integration Report" (Markdown, ends with a newline), made of the same tables and functions that the
/// operator runs on.
#[must_use]
pub fn report() -> String {
    let parts = [
        "# Runtime Integration Report".to_owned(),
        "What runtime-operator keeps in Redis for the voice runtime, and what its admin routes answer. \
         `runtime-operator contract report` prints this from the code that does it; tooling compares it with the \
         runtime's report part by part."
            .to_owned(),
        list("Source modules:", SOURCE_MODULES.iter().map(|module| (*module).to_owned())),
        list("Redis keys:", redis_keys()),
        format!("RuntimeTenantConfig (representative JSON, secrets redacted):\n```json\n{:#}\n```", example()),
        list("Notes:", notes()),
        list("Env vars:", env_vars()),
        list("Normalization:", normalization()),
        list("Failure behavior:", failure_behavior()),
    ];
    parts.join("\n\n") + "\n"
}

/// A label with its list directly under it: tooling takes a list to end at the first blank line.
fn list(label: &str, items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().fold(label.to_owned(), |mut part, item| {
        // Writing to a String can't fail.
        let _ = write!(part, "\n- {item}");
        part
    })
}

fn redis_keys() -> [String; 3] {
    [
        format!("DID mapping key format: `{DID_PREFIX}{DID}`"),
        format!("Tenant config key format: `{CONFIG_PREFIX}{TENANT_ID}`"),
        format!("Prefixes: `{DID_PREFIX}`, `{CONFIG_PREFIX}` (fixed in the code; no setting changes them)"),
    ]
}

/// A config with every member that is always there, and both of the secret's. It is one that the contract accepts.
fn example() -> Value {
    json!({
        "contractVersion": CONTRACT_VERSION,
        "tenantId": TENANT_ID,
        "dids": ["+15551234567"],
        WEBHOOK_SECRET_REF: "secret://acme-webhook/webhookSecret",
        WEBHOOK_SECRET: "REDACTED",
        "caps": {"maxConcurrentCallsTenant": 20, "maxCallsPerMinuteTenant": 120, "maxConcurrentCallsGlobal": 400},
        "stt": {
            "mode": SttMode::WhisperHttp.as_str(),
            "whisperUrl": "https://whisper.example.com/transcribe",
            "chunkMs": 400,
            "language": "en",
        },
        "tts": {
            "mode": TtsMode::KokoroHttp.as_str(),
            "kokoroUrl": "https://kokoro.example.com/tts",
            "voice": "default",
            "format": "wav",
            "sampleRate": 24000,
        },
        "audio": {
            "publicBaseUrl": "https://media.example.com/audio",
            "storageDir": "/var/lib/runtime/audio",
            "runtimeManaged": true,
        },
    })
}

fn notes() -> [String; 4] {
    [
        format!(
            "`contractVersion` is currently `{CONTRACT_VERSION}`, and a config with any other value is refused."
        ),
        format!(
            "`{WEBHOOK_SECRET_REF}` or `{WEBHOOK_SECRET}` is required: a config with neither is refused, one with both \
             is fine. `{WEBHOOK_SECRET}` is never logged."
        ),
        "Members that the contract does not know are kept as they were given, at every level.".to_owned(),
        "The JSON is compact UTF-8, and the same config always gives the same bytes.".to_owned(),
    ]
}

fn env_vars() -> [String; 3] {
    [
        "`REDIS_URL`: where Redis is, as `redis://` or `rediss://`; required.".to_owned(),
        format!(
            "`ENABLE_RUNTIME_ADMIN`: whether the routes under `{ADMIN_PREFIX}` answer (default false); true without \
             `REDIS_URL` ends the process at startup."
        ),
        format!(
            "`ALLOW_RUNTIME_SECRET_READ`: whether a true `includeSecrets` in the query leaves `{WEBHOOK_SECRET}` in an \
             answer (default false)."
        ),
    ]
}

fn normalization() -> [String; 4] {
    [
        r"Numbers of admin routes and of resources: trim, then remove all inner whitespace (what a JavaScript `\s` matches), then check E.164 as `/^\+[1-9]\d{1,14}$/`.".to_owned(),
        "Numbers are published and looked up normalised; keys hold nothing else.".to_owned(),
        "`dids` of a config posted to an admin route must be E.164 as they stand: there, whitespace is refused."
            .to_owned(),
        "`:tenantId` of admin routes is percent-decoded, then trimmed; elsewhere a tenant id is taken as it is."
            .to_owned(),
    ]
}

fn failure_behavior() -> Vec<String> {
    let disabled = ErrorCode::RuntimeAdminDisabled;
    let mut lines = vec![
        "Redis down or unreachable: what is published stays, writes are tried again, and the admin routes answer as \
         follows."
            .to_owned(),
    ];
    lines.extend(ROUTES.iter().map(route_errors));
    lines.push(format!(
        "Any route while `ENABLE_RUNTIME_ADMIN` is false: {} {}.",
        disabled.status(),
        body(disabled)
    ));
    lines
}

fn route_errors(route: &Route) -> String {
    let Route { method, path, refusals, failure, unhealthy, .. } = route;
    let mut line =
        format!("{} {ADMIN_PREFIX}{path}: {} ({})", method.as_str(), body(*failure), failure.status());
    // Writing to a String can't fail.
    let _ = match unhealthy {
        Some(status) => {
            write!(
                line,
                " on anything unexpected; {status} `{{ ok: false, error }}` when a ping or a get fails"
            )
        }
        None => write!(line, " when Redis fails"),
    };
    for (position, refusal) in refusals.iter().enumerate() {
        let separator = if position == 0 { "; refuses with " } else { ", " };
        let _ = write!(line, "{separator}{} `{}`", refusal.status(), refusal.as_str());
    }
    line + "."
}

fn body(code: ErrorCode) -> String {
    format!("`{{ error: \"{}\" }}`", code.as_str())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::contract::{Did, RuntimeTenantConfig, TenantId, config_key, did_key};

    #[test]
    fn the_key_formats_are_those_of_the_key_functions() {
        let [did, tenant] = ["+15551234567", "acme"];
        let [did_line, tenant_line, _] = redis_keys();
        let did_line = did_line.replace(DID, did);
        let tenant_line = tenant_line.replace(TENANT_ID, tenant);
        assert!(did_line.contains(&format!("`{}`", did_key(&Did::parse(did).unwrap()))), "{did_line}");
        assert!(tenant_line.contains(&format!("`{}`", config_key(&TenantId::parse(tenant).unwrap()))));
    }

    #[test]
    fn the_representative_config_is_one_that_the_contract_accepts() {
        let Value::Object(document) = example() else { panic!("no object") };
        assert_eq!(RuntimeTenantConfig::from_document(document).unwrap().tenant_id().as_str(), TENANT_ID);
    }

    #[test]
    fn the_source_modules_exist_in_every_room_that_does() {
        for module in SOURCE_MODULES {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(module);
            let room = path.parent().unwrap();
            let empty = std::fs::read_dir(room).map_or(true, |mut files| files.next().is_none());
            assert!(path.is_file() || empty, "{module}");
        }
    }
}
