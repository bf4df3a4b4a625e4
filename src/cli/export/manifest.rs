//! The files of an export.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::common::escaped;
use super::super::failure::Failure;
use super::convert::Converted;
use super::problem::Note;
use crate::api::DEFAULT_SECRET_KEY;
use crate::contract::TenantId;

/// The form in which secrets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SecretForm {
    /// Not at all
    None,
    /// As Secrets, with their values
    Files,
    /// As objects of the External Secrets Operator without values, to be completed
    ExternalSecrets,
    /// As objects of Sealed Secrets without values, to be completed
    Sealed,
}

/// Returns the file of a tenant's resource.
pub fn tenant(tenant: &TenantId, converted: &Converted, form: SecretForm) -> Result<String, Failure> {
    let mut lines = vec![format!("Exported from the key tenantcfg:{tenant}.")];
    if form == SecretForm::None {
        let name = &converted.secret_name;
        lines.push(format!("The Secret {name} must hold the webhook secret under {DEFAULT_SECRET_KEY}."));
    }
    lines.extend(converted.notes.iter().map(Note::text));
    Ok(comments(&lines) + &yaml(&converted.resource)?)
}

/// Returns the file of a tenant's Secret; none where secrets are not written.
pub fn secret(tenant: &TenantId, converted: &Converted, form: SecretForm) -> Result<Option<String>, Failure> {
    let metadata = secret_metadata(converted);
    let (lines, resource) = match form {
        SecretForm::None => return Ok(None),
        SecretForm::Files => {
            let value = STANDARD.encode(converted.secret.expose_secret());
            let resource = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": "Opaque",
                "data": { DEFAULT_SECRET_KEY: value },
            });
            (vec![format!("The webhook secret of the tenant {tenant}. Never commit this file.")], resource)
        }
        SecretForm::ExternalSecrets => {
            let resource = json!({
                "apiVersion": "external-secrets.io/v1",
                "kind": "ExternalSecret",
                "metadata": metadata,
                "spec": {
                    "refreshInterval": "1h",
                    "secretStoreRef": { "kind": "SecretStore", "name": "set-the-name-of-the-store" },
                    "target": { "name": converted.secret_name },
                    "data": [{ "secretKey": DEFAULT_SECRET_KEY, "remoteRef": { "key": converted.secret_name } }],
                },
            });
            let line = format!(
                "The webhook secret of the tenant {tenant}: put it into your store under {}, and set the store's name.",
                converted.secret_name
            );
            (vec![line], resource)
        }
        SecretForm::Sealed => {
            let resource = json!({
                "apiVersion": "bitnami.com/v1alpha1",
                "kind": "SealedSecret",
                "metadata": metadata,
                "spec": {
                    "encryptedData": { DEFAULT_SECRET_KEY: "set-the-sealed-value" },
                    "template": { "metadata": metadata, "type": "Opaque" },
                },
            });
            let lines = vec![
                format!(
                    "The webhook secret of the tenant {tenant}. Seal its value, which this command reads, and set it below:"
                ),
                format!("kubeseal --raw --name {} --from-file=/dev/stdin", converted.secret_name),
            ];
            (lines, resource)
        }
    };
    Ok(Some(comments(&lines) + &yaml(&resource)?))
}

fn secret_metadata(converted: &Converted) -> Value {
    let mut metadata = json!({ "name": converted.secret_name });
    if let Some(namespace) = converted.resource["metadata"].get("namespace") {
        metadata["namespace"] = namespace.clone();
    }
    metadata
}

/// Comment lines, in which no external text can end a line.
fn comments(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        // Writing to memory can't fail.
        let _ = writeln!(text, "# {}", escaped(line));
    }
    text
}

/// Writes a resource as YAML that is read again as the same. Where it has characters that readers of YAML refuse or that show
/// nothing, it is written as JSON, which is YAML too, with these escaped.
fn yaml(resource: &Value) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(resource)?;
    let read: Option<Value> = serde_saphyr::from_str(&text).ok();
    let is_plain = text.split('\n').all(|line| escaped(line) == line);
    Ok(if read.as_ref() == Some(resource) && is_plain { text } else { flow(&format!("{resource:#}\n")) })
}

/// Escapes characters in texts of JSON, in the form of YAML.
fn flow(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        let (code, mut bytes) = (u32::from(c), [0; 4]);
        let alone = &*c.encode_utf8(&mut bytes);
        if c == '\n' || escaped(alone) == alone {
            text.push(c);
        } else if code <= 0xffff {
            let _ = write!(text, "\\u{code:04x}");
        } else {
            let _ = write!(text, "\\U{code:08x}");
        }
    }
    text
}
