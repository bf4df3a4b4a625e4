//! The JSON of results: a version and a kind in front of each, and their schemas.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};

use super::text::json_escaped;
use crate::cli::failure::Failure;

/// The version of the JSON of every command. Members are added to it, never changed.
pub const API_VERSION: &str = "cli.runtime.veralux.io/v1";

/// A result that is written as JSON.
pub trait Document: Serialize + JsonSchema {
    /// Its kind, as in `Trace`.
    const KIND: &'static str;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, D> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    document: &'a D,
}

/// Returns the JSON of a result, as it is written to standard output.
pub fn json_of<D: Document>(document: &D) -> Result<String, Failure> {
    let envelope = Envelope { api_version: API_VERSION, kind: D::KIND, document };
    Ok(format!("{}\n", json_escaped(&serde_json::to_string_pretty(&envelope)?)))
}

/// Returns the JSON schema of a result.
#[must_use]
pub fn schema_of<D: Document>() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<D>();
    let mut schema = schema.to_value();
    schema["title"] = D::KIND.into();
    schema["properties"]["apiVersion"] = json!({ "const": API_VERSION });
    schema["properties"]["kind"] = json!({ "const": D::KIND });
    if let Some(required) = schema["required"].as_array_mut() {
        required.splice(0..0, ["apiVersion".into(), "kind".into()]);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Small {
        member: u32,
    }

    impl Document for Small {
        const KIND: &'static str = "Small";
    }

    #[test]
    fn a_result_begins_with_its_version_and_kind_and_has_its_schema() {
        let text = json_of(&Small { member: 1 }).unwrap();
        assert!(
            text.starts_with("{\n  \"apiVersion\": \"cli.runtime.veralux.io/v1\",\n  \"kind\": \"Small\""),
            "{text}"
        );
        let schema = schema_of::<Small>();
        assert_eq!(schema["required"], json!(["apiVersion", "kind", "member"]));
        assert_eq!(schema["properties"]["kind"]["const"], "Small");
    }
}
