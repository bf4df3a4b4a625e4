//! Generates specs from the CRD's own schema: valid ones, of which a few members get arbitrary values around every bound.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use proptest::prelude::*;
use proptest::sample::select;
use runtime_operator::api::crd;
use serde_json::{Map, Value, json};

use crate::specs::{chatterbox, coqui, forwarding, kokoro, llm, qwen3, reply, transfer, with};

fn schema() -> JSONSchemaProps {
    let crd = crd();
    let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    schema.properties.as_ref().unwrap()["spec"].clone()
}

/// Generates values that the structure allows, at its bounds and around them, without regard to the rules.
fn value(schema: &JSONSchemaProps) -> BoxedStrategy<Value> {
    if let Some(values) = &schema.enum_ {
        let values: Vec<Value> = values.iter().map(|value| value.0.clone()).collect();
        return select(values).boxed();
    }
    match schema.type_.as_deref() {
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("integer") => {
            let (least, most) = (schema.minimum.unwrap_or(-1.0), schema.maximum.unwrap_or(2_147_483_647.0));
            let whole = |number: f64| serde_json::from_str::<Value>(&format!("{number:.0}")).unwrap();
            select([least - 1.0, least, least + 1.0, most, most + 1.0].map(whole).to_vec()).boxed()
        }
        Some("number") => {
            let (least, most) = (schema.minimum.unwrap_or(-2.0), schema.maximum.unwrap_or(9e15));
            select(vec![json!(least), json!(most), json!(1), json!(1.0), json!(1.15), json!(least - 0.1)])
                .boxed()
        }
        Some("string") => text(schema),
        Some("array") => {
            let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items else { unreachable!() };
            prop::collection::vec(value(item), 0..3).prop_map(Value::from).boxed()
        }
        _ => members(schema),
    }
}

fn text(schema: &JSONSchemaProps) -> BoxedStrategy<Value> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "a",
        "abcd",
        "ü🏠",
        "\u{a0}",
        "\u{feff}x",
        "a\u{b}b",
        "\n",
        "+15550001111",
        " +1 555\t000\u{a0}2222",
        "+0",
        "sip:desk@example.com",
        "SIPS:a@[::1]:5061;transport=tls",
        "sip:",
        "tel:+1555",
        "http://a",
        "https://A.b:8443/c?d=ä#e",
        "http:a",
        "http://",
        "http://a b",
        "HTTP://1.2.3.4",
        "http://1.2.3",
        "http://[::1]:80/",
        "ftp://a",
        "//a",
        "http://a:99999",
        "http://user:secret@host/",
        "\u{0}",
        "\u{85}",
    ]
    .map(str::to_owned)
    .to_vec();
    // The longest texts in ASCII: the runtime counts other characters differently, which the controller checks and not the schema.
    if let Some(most) = schema.max_length.filter(|most| *most <= 4100) {
        let most = usize::try_from(most).unwrap();
        texts.extend([most, most + 1].map(|length| "x".repeat(length)));
    }
    select(texts).prop_map(Value::from).boxed()
}

fn members(schema: &JSONSchemaProps) -> BoxedStrategy<Value> {
    let required = schema.required.clone().unwrap_or_default();
    let known: Vec<BoxedStrategy<Option<(String, Value)>>> = schema
        .properties
        .iter()
        .flatten()
        .map(|(name, of)| {
            let (name, there) = (name.clone(), if required.contains(name) { 0.95 } else { 0.25 });
            prop::option::weighted(there, value(of))
                .prop_map(move |value| Some((name.clone(), value?)))
                .boxed()
        })
        .collect();
    let free = select(vec!["a", "webhook", "tenantId", "x-y", "2", " "]);
    let more =
        if schema.x_kubernetes_preserve_unknown_fields.is_some() || schema.additional_properties.is_some() {
            prop::collection::vec(
                (free, select(vec![json!("v"), json!({ "b": [1], "a": null }), json!(1.5)])),
                0..3,
            )
            .boxed()
        } else {
            Just(Vec::new()).boxed()
        };
    (known, more)
        .prop_map(|(known, more)| {
            let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(known.into_iter().flatten().chain(more).collect::<Map<_, _>>())
        })
        .boxed()
}

/// Generates a valid spec of each kind, of which up to three members get arbitrary values.
pub fn spec() -> impl Strategy<Value = Value> {
    let valid = vec![
        with(&json!({})),
        with(&json!({ "stt": { "mode": "whisper_http", "whisperUrl": "http://w" } })),
        with(&json!({ "stt": { "mode": "http_wav_json", "config": { "url": "http://w" } } })),
        with(&kokoro(json!({ "rate": 1 }))),
        with(&coqui(json!({ "rate": 1 }))),
        with(&chatterbox(json!({ "voice": "a" }))),
        with(&qwen3(json!({ "instruct": "" }))),
        with(&forwarding(json!({ "timeoutSecs": 5 }))),
        with(&transfer(json!({ "audioUrl": "http://a" }))),
        with(&reply(json!({ "id": "a" }))),
        with(&llm(json!({}))),
        with(
            &json!({ "extensions": { "b": 1, "a": { "d": 1, "c": [] } }, "assistantContext": { "hours": "9-5" } }),
        ),
    ];
    let changes = pointers("", &schema(), 0);
    let changes =
        prop::collection::vec(select(changes).prop_flat_map(|(path, of)| (Just(path), value(&of))), 0..=3);
    (select(valid), changes).prop_map(|(mut spec, changes)| {
        for (path, value) in changes {
            set(&mut spec, &path, value);
        }
        spec
    })
}

/// Returns every path of a spec, with its schema.
fn pointers(at: &str, schema: &JSONSchemaProps, depth: usize) -> Vec<(String, JSONSchemaProps)> {
    let mut found = Vec::new();
    for (name, of) in schema.properties.iter().flatten() {
        let path = format!("{at}/{name}");
        if depth < 3 {
            found.extend(pointers(&path, of, depth + 1));
        }
        found.push((path, of.clone()));
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        found.extend(pointers(&format!("{at}/0"), item, depth + 1));
    }
    found
}

/// Sets a member if its parent object exists.
fn set(spec: &mut Value, path: &str, value: Value) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    if let Some(Value::Object(members)) = spec.pointer_mut(parent) {
        members.insert(name.to_owned(), value);
    }
}
