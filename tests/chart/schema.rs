//! The schema of the values.

use std::fs;

use serde_json::Value;

use super::generated::described;
use super::helm::{chart, refusal};

pub fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap()
}

/// Follows references.
pub fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => resolved(root, root.pointer(reference.strip_prefix('#').unwrap()).unwrap()),
        None => schema,
    }
}

fn open_objects(root: &Value, path: &str, schema: &Value, open: &mut Vec<String>) {
    let schema = resolved(root, schema);
    let types = schema["type"].to_string();
    if types.contains("object") && schema.get("additionalProperties").is_none() {
        assert!(schema["$comment"].is_string(), "{path} is open without a reason");
        open.push(path.to_owned());
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        open_objects(root, &format!("{path}.{name}"), member, open);
    }
    if let Some(items) = schema.get("items") {
        open_objects(root, &format!("{path}[]"), items, open);
    }
}

#[test]
fn the_schema_is_strict_except_for_kubernetes_objects() {
    let root = schema();
    let mut open = Vec::new();
    open_objects(&root, "", &root, &mut open);
    open.sort();
    let passed_through = [
        ".affinity",
        ".claimsPolicy.namespaceSelector",
        ".dnsConfig",
        ".extraContainers[]",
        ".extraEnv[]",
        ".extraObjects[]",
        ".extraVolumeMounts[]",
        ".extraVolumes[]",
        ".global",
        ".global.compatibility",
        ".global.compatibility.openshift",
        ".hostAliases[]",
        ".httpRoute.parentRefs[]",
        ".initContainers[]",
        ".networkPolicy.adminFrom[]",
        ".networkPolicy.apiServerTo[]",
        ".networkPolicy.extraEgress[]",
        ".networkPolicy.redisTo[]",
        ".networkPolicy.telemetryFrom[]",
        ".podMonitor.metricRelabelings[]",
        ".podMonitor.relabelings[]",
        ".podSecurityContext",
        ".redis.embedded.resources.claims[]",
        ".resources.claims[]",
        ".securityContext",
        ".serviceMonitor.metricRelabelings[]",
        ".serviceMonitor.relabelings[]",
        ".strategy",
        ".tolerations[]",
        ".topologySpreadConstraints[]",
    ];
    assert_eq!(open, passed_through);
}

/// Returns every single property of the schema, with `.` between names.
fn leaves(root: &Value, path: &str, schema: &Value, found: &mut Vec<String>) {
    let schema = resolved(root, schema);
    match schema["properties"].as_object() {
        Some(members) if !path.ends_with("esources") => {
            for (name, member) in members {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(root, &inner, member, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn the_schema_and_the_values_agree_and_are_described() {
    let root = schema();
    let (mut in_schema, text) = (Vec::new(), fs::read_to_string(chart().join("values.yaml")).unwrap());
    leaves(&root, "", &root, &mut in_schema);
    let in_values = described(&text).into_iter().filter(|path| path != "global");
    let mut in_values: Vec<_> = in_values.collect();
    in_schema.sort();
    in_values.sort();
    assert_eq!(in_values, in_schema);
}

/// Helm prints the pattern that a text does not match, and nothing else about it.
#[test]
fn every_pattern_says_in_words_what_fits() {
    let text = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let patterns: Vec<_> = text.lines().filter(|line| line.contains("\"pattern\": ")).collect();
    assert!(patterns.len() > 20);
    for line in patterns {
        assert!(line.contains("\"pattern\": \"^(?<"), "{line}");
    }
    let refused = refusal("redis: { url: 'http://r' }");
    assert!(refused.contains("redis_or_rediss_URL_without_user_and_password"), "{refused}");
}

#[test]
fn a_misspelt_value_is_rejected() {
    for (values, named) in [
        ("redis: { url: 'redis://r', passwort: x }", "passwort"),
        ("replicas: 3", "replicas"),
        ("redis: { url: 'http://r' }", "/redis/url"),
        ("redis: { url: 'redis://:secret@r' }", "/redis/url"),
        ("admin: { auth: unknown }", "/admin/auth"),
        ("admin: { port: 80 }", "/admin/port"),
        ("watchNamespaces: [Not_ok]", "/watchNamespaces/0"),
        ("test: { did: '555' }", "/test/did"),
        ("admin: { auth: token }", "/admin/auth"),
        ("admin: { corsOrigins: ['*'] }", "/admin/corsOrigins/0"),
        ("admin: { corsOrigins: ['https://panel.example.com/'] }", "/admin/corsOrigins/0"),
    ] {
        let refusal = refusal(values);
        assert!(refusal.contains(named), "{values}: {refusal}");
    }
}

#[test]
fn impossible_values_are_rejected_with_a_reason() {
    let redis = "redis: { url: 'redis://r' }";
    for (values, why) in [
        (String::new(), "give exactly one of redis.url"),
        ("redis: { url: 'redis://r', embedded: { enabled: true } }".into(), "give exactly one of redis.url"),
        ("redis: { existingSecret: { urlKey: url } }".into(), "redis.existingSecret.name must be given"),
        ("redis: { url: 'rediss://r', existingSecret: { name: s, certKey: c } }".into(), "given together"),
        ("redis: { url: 'redis://r', sentinel: { service: m } }".into(), "given together"),
        (format!("{redis}\nwatchNamespaces: [voice]"), "clusterId must be given"),
        (format!("{redis}\nleaderElection: false"), "leaderElection must be true"),
        (format!("{redis}\nadmin: {{ enabled: true, auth: none }}"), "admin.insecure"),
        (format!("{redis}\nadmin: {{ enabled: true, auth: key }}"), "admin.keySecret.name must be given"),
        (
            format!("{redis}\nadmin: {{ enabled: true, auth: key, keySecret: {{ name: k }} }}"),
            "admin.auth key needs admin.tls, or admin.insecure",
        ),
        (format!("{redis}\nadmin: {{ tls: {{ certManager: {{ enabled: true }} }} }}"), "issuerRef.name"),
        (format!("{redis}\nhttpRoute: {{ enabled: true }}"), "httpRoute.parentRefs"),
        (format!("{redis}\ndnsPolicy: None"), "dnsConfig.nameservers must be given"),
        ("redis: { url: 'redis://r:70000' }".into(), "the port of redis://r:70000 is above 65535"),
    ] {
        let refusal = refusal(&values);
        assert!(refusal.contains(why), "{values}: {refusal}");
    }
}
