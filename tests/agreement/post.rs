//! A document as a body of `POST …/config`, with a real Redis.

use std::time::Duration;

use runtime_operator::contract::{RuntimeTenantConfig, is_white_space, submitted_violations};
use serde_json::{Value, json};
use test_support::World;

use super::cases::Case;
use super::predict::violations;

pub struct Admin {
    url: String,
    http: reqwest::Client,
}

impl Admin {
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { url, http }
    }

    /// Stores the document, and reads it back. No two documents with the same `lane` are in work at a time. An error describes
    /// what the route does otherwise than the contract.
    pub async fn judge(&self, world: &World, case: &Case, lane: usize) -> Result<(), String> {
        let mut document = case.document.clone();
        if document["tenantId"] == "acme" {
            document["tenantId"] = json!(format!("acme-{lane}"));
        }
        let tenant =
            document["tenantId"].as_str().filter(|tenant| !tenant.trim_matches(is_white_space).is_empty());
        let url =
            format!("{}/api/admin/runtime/tenants/{}/config", self.url, encoded(tenant.unwrap_or("acme")));
        let body = document.to_string();
        let request = self.http.post(&url).header("content-type", "application/json").body(body.clone());
        let response = request.send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        let answer: Value = serde_json::from_str(&text).unwrap();

        let expected = expected(&document);
        let is = match status {
            200 => Expected::Stored,
            400 => Expected::Refused(answer["error"].as_str().unwrap().to_owned(), answer["details"].clone()),
            _ => return Err(format!("POST answers {status} {text}")),
        };
        if is != expected {
            return Err(format!("POST answers {status} {}; expected {expected:?}", cut(&text)));
        }
        if is == Expected::Stored {
            let tenant = tenant.unwrap();
            let stored = world.config_text(tenant).await.unwrap_or_default();
            if stored != body {
                return Err(format!("it is stored as {}", cut(&stored)));
            }
            let shown = RuntimeTenantConfig::parse(&body).unwrap().without_secret();
            // Text, not values: numbers and the order of members count.
            let (is, expected) = (answer["config"].to_string(), Value::from(shown).to_string());
            if is != expected {
                return Err(format!("POST answers {}", cut(&text)));
            }
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
enum Expected {
    Stored,
    Refused(String, Value),
}

fn expected(document: &Value) -> Expected {
    let refused = |code: &str, details| Expected::Refused(code.to_owned(), details);
    let found = violations(document);
    if !found.is_empty() {
        return refused("invalid_runtime_config", serde_json::to_value(found).unwrap());
    }
    let unfit = submitted_violations(document.as_object().unwrap());
    if !unfit.is_empty() {
        return refused("invalid_runtime_config", serde_json::to_value(unfit).unwrap());
    }
    let tenant = document["tenantId"].as_str().unwrap();
    if tenant.len() > 1024 || tenant.trim_matches(is_white_space).is_empty() {
        return refused(
            if tenant.len() > 1024 { "tenant_id_required" } else { "tenant_id_mismatch" },
            Value::Null,
        );
    }
    if tenant.trim_matches(is_white_space) == tenant {
        Expected::Stored
    } else {
        refused("tenant_id_mismatch", Value::Null)
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}
