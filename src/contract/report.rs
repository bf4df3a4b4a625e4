//! The contract report: this publisher's side of the contract, in the parts and under the labels by which tooling compares
//! it with the runtime's own report.

use std::fmt::Write;

use serde_json::{Value, json};

use super::keys::{CONFIG_PREFIX, DID_PREFIX};
use super::routes::{ADMIN_PREFIX, ErrorCode, ROUTES, Route};
use super::schema::{CONTRACT_VERSION, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};
use super::schema::{SttMode, TtsMode};

/// The placeholder for a phone number.
const DID: &str = "{{DID_E164}}";
/// The placeholder for a tenant id.
const TENANT_ID: &str = "{{TENANT_ID}}";

/// The files from which the report's statements come.
const SOURCE_MODULES: &[&str] = &[
    "src/contract/schema/tables.rs",
    "src/contract/config.rs",
    "src/contract/keys.rs",
    "src/contract/e164.rs",
    "src/contract/routes.rs",
    "src/store/mod.rs",
    "src/admin/mod.rs",
];

/// Returns the "Runtime Integration Report" (Markdown, ends with a newline), made from the tables and functions that the
/// operator itself uses.
#[must_use]
pub fn report() -> String {
    let parts = [
        "# Runtime Integration Report".to_owned(),
        "The keys that runtime-operator keeps in Redis for the voice runtime, and the responses of its admin routes. \
         `runtime-operator contract report` prints this report from the operator's own tables; tooling compares it with the \
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

/// Returns a label with its list directly under it: tooling ends a list at the first blank line.
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

/// Returns a config that the contract accepts, with every required member and both members for the secret.
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
            "`{WEBHOOK_SECRET_REF}` or `{WEBHOOK_SECRET}` is required: a config with neither is refused, a config with both \
             is accepted. `{WEBHOOK_SECRET}` is never logged."
        ),
        "Members that the contract does not know are kept as they were given, at every level; those that it knows are checked \
         wherever they stand."
            .to_owned(),
        "The JSON is compact UTF-8, and the same config always gives the same bytes.".to_owned(),
    ]
}

fn env_vars() -> [String; 3] {
    [
        // Tooling takes two names joined by "or" for a group of which one is required.
        "`REDIS_URL`: the address of Redis (`redis://`, or with TLS `rediss://`); must be set.".to_owned(),
        format!(
            "`ENABLE_RUNTIME_ADMIN`: true enables the routes under `{ADMIN_PREFIX}` (default false); true without \
             `REDIS_URL` ends the process at startup."
        ),
        format!(
            "`ALLOW_RUNTIME_SECRET_READ`: true lets a true `includeSecrets` in the query leave `{WEBHOOK_SECRET}` in a \
             response (default false)."
        ),
    ]
}

fn normalization() -> [String; 4] {
    [
        r"Numbers of admin routes and of resources: trim, then remove all inner whitespace (every character that a JavaScript `\s` matches), then check E.164 as `/^\+[1-9]\d{1,14}$/`.".to_owned(),
        "Numbers are published and looked up normalised; keys hold only normalised numbers.".to_owned(),
        "`dids` of a config posted to an admin route must be normalised already: whitespace in a number is refused."
            .to_owned(),
        "`:tenantId` of admin routes is percent-decoded, then trimmed; elsewhere a tenant id is used unchanged."
            .to_owned(),
    ]
}

fn failure_behavior() -> Vec<String> {
    let disabled = ErrorCode::RuntimeAdminDisabled;
    let mut lines = vec![
        "Redis down or unreachable: published keys stay, failed writes are retried, and the admin routes respond as \
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
                " on an unexpected error; {status} `{{ ok: false, error }}` when a ping or a get fails"
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
    use crate::contract::config::RuntimeTenantConfig;
    use crate::contract::e164::Did;
    use crate::contract::keys::{TenantId, config_key, did_key};

    #[test]
    fn the_key_formats_agree_with_the_key_functions() {
        let [did, tenant] = ["+15551234567", "acme"];
        let [did_line, tenant_line, _] = redis_keys();
        let did_line = did_line.replace(DID, did);
        let tenant_line = tenant_line.replace(TENANT_ID, tenant);
        assert!(did_line.contains(&format!("`{}`", did_key(&Did::parse(did).unwrap()))), "{did_line}");
        assert!(tenant_line.contains(&format!("`{}`", config_key(&TenantId::parse(tenant).unwrap()))));
    }

    #[test]
    fn the_representative_config_is_accepted_by_the_contract() {
        let Value::Object(document) = example() else { panic!("no object") };
        assert_eq!(RuntimeTenantConfig::from_document(document).unwrap().tenant_id().as_str(), TENANT_ID);
    }

    #[test]
    fn the_source_modules_exist_in_every_existing_room() {
        for module in SOURCE_MODULES {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(module);
            let room = path.parent().unwrap();
            let empty = std::fs::read_dir(room).map_or(true, |mut files| files.next().is_none());
            assert!(path.is_file() || empty, "{module}");
        }
    }
}
