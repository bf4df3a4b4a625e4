//! Odd values files, generated from the values' schema with fixed seeds: each renders to objects that the API server accepts, or is
//! refused by a sentence. `CASES` sets their number.

use std::collections::BTreeSet;

use rand::prelude::*;
use rand::rngs::StdRng;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::dry_run::Site;
use super::helm::run;
use super::odd::set;
use super::schema::{resolved, schema};

/// Texts that YAML, a template or a shell can misread.
const TEXTS: [&str; 52] = [
    "",
    " x",
    "x ",
    "y",
    "no",
    "on",
    "null",
    "true",
    "~",
    "42",
    "1e3",
    "0x1f",
    "0o7",
    "1_000",
    "2001-01-01",
    "-",
    "- a",
    "a",
    "a.b",
    "name-1",
    "é🏠",
    "a: b # c",
    "{{ .Values }}",
    "'",
    "\"",
    "\\",
    "line\nline",
    "%x",
    "@",
    "`",
    "[a",
    "*a",
    "&a",
    "!!int 1",
    "x:",
    "example.com",
    "*.example.com",
    "/",
    "/api",
    "redis://r",
    "rediss://[2001:db8::1]:6380/0",
    "1h",
    "10ms",
    "+15550100001",
    "http://c:4318",
    "::",
    "[::1]",
    "10.0.0.1",
    "host:1",
    "100%",
    "7.4",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];
/// Names of Namespaces that exist in the cluster.
const NAMESPACES: [&str; 7] = [
    "space",
    "42",
    "null",
    "true",
    "y",
    "1e3",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];
const RELEASES: [&str; 8] = [
    "release",
    "42",
    "y",
    "null",
    "1e3",
    "my.release",
    "1voice",
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefff",
];
/// Words of errors that speak of templates and YAML, and not of a value.
const NO_SENTENCE: [&str; 9] = [
    "nil pointer",
    "error calling",
    "wrong type",
    "YAML",
    "unable to",
    "can't evaluate",
    "interface conversion",
    "panic",
    "<no value>",
];

/// One case: a release and its values.
struct Case {
    name: &'static str,
    namespace: &'static str,
    values: Value,
}

struct Generator {
    random: StdRng,
    root: Value,
}

impl Generator {
    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), root: schema() }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_ratio(1, count)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.random).unwrap().clone()
    }

    fn case(&mut self) -> Case {
        let root = self.root.clone();
        let mut values = self.value("", &root);
        self.reachable_redis(&mut values);
        if self.one_in(4) {
            let mut paths = Vec::new();
            leaves("", &values, &mut paths);
            // What is passed on is the API server's to check.
            paths.retain(|path| path.match_indices('.').all(|(end, _)| examples(&path[..end]).is_none()));
            let wrong = [
                json!({ "a": 1 }),
                json!([1]),
                json!("text"),
                json!(-1),
                json!(1e9),
                json!(true),
                Value::Null,
            ];
            let (path, wrong) = (self.pick(&paths), self.pick(&wrong));
            set(&mut values, &path, wrong);
        }
        Case { name: self.pick(&RELEASES), namespace: self.pick(&NAMESPACES), values }
    }

    /// Sets exactly one address of Redis in most cases: otherwise almost all would be refused for the same reason.
    fn reachable_redis(&mut self, values: &mut Value) {
        if self.one_in(10) {
            return;
        }
        let redis = values["redis"].as_object().cloned().unwrap_or_default();
        let mut redis = Value::Object(redis);
        let way = self.random.random_range(0..3);
        let url = if way == 0 { self.pick(&["redis://r", "rediss://[2001:db8::1]:6380/0"]) } else { "" };
        set(&mut redis, "url", json!(url));
        let keys = [("urlKey", way == 1), ("passwordKey", way != 2 && self.one_in(2))];
        let named = keys.iter().any(|(_, given)| *given);
        let keys = keys.map(|(key, given)| (key, if given { self.pick(&["y", "42", "a.b"]) } else { "" }));
        let mut secret: Map<_, _> =
            keys.into_iter().map(|(key, name)| (key.to_owned(), json!(name))).collect();
        secret.insert("name".into(), json!(if named { self.pick(&["42", "null", "a.b"]) } else { "" }));
        set(&mut redis, "existingSecret", secret.into());
        let mut embedded = redis["embedded"].as_object().cloned().unwrap_or_default();
        embedded.insert("enabled".into(), json!(way == 2));
        set(&mut redis, "embedded", embedded.into());
        if self.one_in(2) {
            set(&mut redis, "sentinel", Value::Null);
        }
        set(values, "redis", redis);
    }

    fn value(&mut self, path: &str, schema: &Value) -> Value {
        let schema = &resolved(&self.root.clone(), schema).clone();
        if let Some(examples) = examples(path) {
            return self.pick(&examples);
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.pick(values);
        }
        if let Some(alternatives) = schema["oneOf"].as_array() {
            let one = self.pick(alternatives);
            return self.value(path, &one);
        }
        let types: Vec<_> = match &schema["type"] {
            Value::Array(types) => types.iter().map(|one| one.as_str().unwrap()).collect(),
            one => vec![one.as_str().unwrap()],
        };
        if types.contains(&"null") && self.one_in(8) {
            return Value::Null;
        }
        let types: Vec<_> = types.into_iter().filter(|one| *one != "null").collect();
        match self.pick(&types) {
            "boolean" => json!(self.random.random::<bool>()),
            "integer" | "number" => {
                let least = schema["minimum"].as_i64().unwrap_or(0);
                let most = schema["maximum"].as_i64().unwrap_or(i64::from(i32::MAX));
                json!(self.pick(&[least, least + 1, most]))
            }
            "string" => json!(self.text(schema)),
            "array" => self.list(path, schema),
            "object" => self.members(path, schema),
            other => panic!("{path} has the type {other}"),
        }
    }

    fn text(&mut self, schema: &Value) -> &'static str {
        let pattern = Regex::new(schema["pattern"].as_str().unwrap_or("")).unwrap();
        let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap();
        let fit = TEXTS.into_iter().filter(|text| text.len() >= least && pattern.is_match(text));
        self.pick(&fit.collect::<Vec<_>>())
    }

    fn list(&mut self, path: &str, schema: &Value) -> Value {
        let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).unwrap();
        let count = self.random.random_range(least..least + 3);
        let mut items: Vec<_> =
            (0..count).map(|_| self.value(&format!("{path}[]"), &schema["items"])).collect();
        if schema["uniqueItems"] == true {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert(item.to_string()));
        }
        items.into()
    }

    fn members(&mut self, path: &str, schema: &Value) -> Value {
        let Some(properties) = schema["properties"].as_object().cloned() else {
            return self.map(path, schema);
        };
        let mut members = Map::new();
        for (name, member) in properties {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if self.one_in(3) {
                members.insert(name, self.value(&inner, &member));
            }
        }
        members.into()
    }

    /// A map of labels, annotations or quantities.
    fn map(&mut self, path: &str, schema: &Value) -> Value {
        let (names, values) = if path.ends_with("requests") {
            (["cpu", "memory"].to_vec(), vec![json!("1m"), json!(0), json!(0.001), Value::Null])
        } else if path.ends_with("limits") {
            let values = vec![json!("8Gi"), json!("1e10"), json!(10_000_000_000_u64), Value::Null];
            (["cpu", "memory"].to_vec(), values)
        } else {
            let names = [
                "a",
                "build",
                "y",
                "app.kubernetes.io/part-of",
                "app.kubernetes.io/name",
                "example.com/true",
            ];
            let mut values = ["y", "null", "42", "1e3", "a-b_c.D", ""].map(|text| json!(text)).to_vec();
            values.extend([json!(1), json!(1e3), json!(2_000_000), json!(1.5), json!(true), Value::Null]);
            if !schema["additionalProperties"]["pattern"].is_string() {
                values.extend(TEXTS.map(|text| json!(text)));
            }
            (names.to_vec(), values)
        };
        let count = self.random.random_range(0..3);
        (0..count).map(|_| (self.pick(&names).to_owned(), self.pick(&values))).collect::<Map<_, _>>().into()
    }
}

/// Returns values for what the chart passes on unchecked, and for names of what must exist.
fn examples(path: &str) -> Option<Vec<Value>> {
    let container = json!([{ "name": "y", "image": "1e3", "args": ["no", "42"] }]);
    let peers = json!([{ "podSelector": {} }, { "ipBlock": { "cidr": "192.0.2.0/24" } }]);
    let more = match path {
        "watchNamespaces[]" => return Some(NAMESPACES.map(|name| json!(name)).to_vec()),
        "dashboard.namespace" | "serviceMonitor.namespace" | "podMonitor.namespace" => {
            return Some(NAMESPACES.iter().chain(&[""]).map(|name| json!(name)).collect());
        }
        "affinity" => {
            json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": "y", "operator": "In", "values": ["no", "42"] }] },
        ] } } })
        }
        "claimsPolicy.namespaceSelector" => json!({ "matchLabels": { "y": "no" } }),
        "dnsConfig" => {
            json!({ "nameservers": ["192.0.2.53"], "options": [{ "name": "ndots", "value": "1" }] })
        }
        "extraContainers" => container,
        "initContainers" => json!([{ "name": "null", "image": "y" }]),
        "extraEnv" => {
            json!([{ "name": "A", "value": 1 }, { "name": "B", "value": true }, { "name": "C", "value": null },
            { "name": "D", "value": "{{ x" }, { "name": "LOG_FORMAT", "value": "text" }])
        }
        "extraObjects" => {
            json!([{ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "odd" }, "data": { "y": "no" } },
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: '{{ .Release.Namespace }}-x' }"])
        }
        "extraVolumes" => json!([{ "name": "42", "emptyDir": {} }]),
        "extraVolumeMounts" => json!([{ "name": "kubernetes", "mountPath": "/odd", "readOnly": true }]),
        "hostAliases" => json!([{ "ip": "192.0.2.1", "hostnames": ["y", "42"] }]),
        "httpRoute.parentRefs" => json!([{ "name": "42" }, { "name": "y", "namespace": "null" }]),
        "networkPolicy.adminFrom"
        | "networkPolicy.telemetryFrom"
        | "networkPolicy.redisTo"
        | "networkPolicy.apiServerTo" => peers,
        "networkPolicy.extraEgress" => json!([{}, { "to": peers, "ports": [{ "port": 65535 }] }]),
        "serviceMonitor.relabelings"
        | "serviceMonitor.metricRelabelings"
        | "podMonitor.relabelings"
        | "podMonitor.metricRelabelings" => {
            json!([{ "action": "replace", "targetLabel": "y", "replacement": "42" }])
        }
        "podSecurityContext" => json!({ "runAsNonRoot": true, "runAsUser": 1_000_680_000, "fsGroup": null }),
        "securityContext" => json!({ "capabilities": { "drop": ["ALL"] }, "runAsGroup": 2_147_483_647 }),
        "strategy" => json!({ "type": "Recreate" }),
        "tolerations" => {
            json!([{ "operator": "Exists" }, { "key": "y", "operator": "Equal", "value": "42" }])
        }
        "topologySpreadConstraints" => {
            json!([{ "maxSkew": 1, "topologyKey": "y", "whenUnsatisfiable": "DoNotSchedule" }])
        }
        "resources.claims" | "redis.embedded.resources.claims" => return Some(vec![Value::Null, json!([])]),
        _ => return None,
    };
    let empty = if more.is_array() { json!([]) } else { json!({}) };
    Some(vec![more, empty, Value::Null])
}

/// Collects the paths of single values.
fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value.as_object().filter(|members| !members.is_empty()) {
        // A name with a dot is no path.
        Some(members) if members.keys().all(|name| !name.contains('.')) => {
            for (name, member) in members {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&inner, member, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// What became of a case.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted,
    Refused,
}

/// Renders a case and asks the API server; an error is a fault of the chart.
async fn outcome(site: &Site, case: &Case) -> Result<Outcome, String> {
    let args = ["template", case.name, "--namespace", case.namespace, "--kube-version", "1.37.0"];
    let output = run("helm", &args, &case.values.to_string());
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr)
            .replace("Use --debug flag to render out invalid YAML", "");
        return if is_sentence(&said) { Ok(Outcome::Refused) } else { Err(said) };
    }
    site.accepts(case.namespace, &output.stdout).await?;
    Ok(Outcome::Accepted)
}

/// Returns whether Helm's error names a value, or is one of the chart's own.
fn is_sentence(said: &str) -> bool {
    let own = Regex::new(r"execution error at \([^)]*\): (\S+ ){4}").unwrap();
    let bare = Regex::new(r"does not match pattern '\^[^(]|does not match pattern '\^\([^?]").unwrap();
    let schema = said.contains("\n- at '") && !bare.is_match(said);
    (own.is_match(said) || schema) && !NO_SENTENCE.iter().any(|words| said.contains(words))
}

#[tokio::test]
async fn odd_values_render_and_are_accepted_or_are_refused_by_a_sentence() {
    let cases = std::env::var("CASES").map_or(40, |cases| cases.parse().unwrap());
    let site = Site::start(&NAMESPACES).await;
    let (mut accepted, mut faults) = (0, Vec::new());
    for seed in 0..cases {
        let case = Generator::new(seed).case();
        match outcome(&site, &case).await {
            Ok(Outcome::Accepted) => accepted += 1,
            Ok(Outcome::Refused) => {}
            Err(fault) => {
                faults.push(format!("{seed}: {} in {}: {}\n{fault}", case.name, case.namespace, case.values));
            }
        }
    }
    println!("{accepted} of {cases} accepted, {} faults", faults.len());
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(accepted * 4 > cases, "only {accepted} of {cases} values files are accepted");
}
