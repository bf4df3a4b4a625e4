//! `validate` says of a manifest what a real API server says, at the same field, and says it for all files together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use futures::StreamExt;
use kube::Resource;
use kube::api::PostParams;
use kube::core::Request;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use runtime_operator::api::RuntimeTenant;
use serde_json::{Value, json};
use test_support::specs::{accepted, base, generated_cases, refused, with};
use test_support::{World, generator, operator_binary};

/// Runs the command without a cluster.
fn validate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(operator_binary());
    command.arg("validate").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("KUBECONFIG").env("NO_COLOR", "1").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn resource(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "runtime.veralux.io/v1",
        "kind": "RuntimeTenant",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// The errors of each file by its path, after one run over a folder with these specs.
fn errors_of(specs: &[Value]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (index, spec) in specs.iter().enumerate() {
        // Numbers and ids that are claimed twice are another matter.
        let resource = resource(&format!("t{index}"), spec);
        fs::create_dir(folder.path().join(format!("{index:05}"))).unwrap();
        fs::write(folder.path().join(format!("{index:05}/t.json")), resource.to_string()).unwrap();
    }
    let output = validate(folder.path(), &["--secrets", "ignore", "-o", "json", "."]);
    let report: Value = serde_json::from_str(&text(&output)).unwrap();
    let mut errors = vec![Vec::new(); specs.len()];
    for finding in report["findings"].as_array().unwrap() {
        let message = finding["message"].as_str().unwrap();
        if finding["level"] == "error" && !message.contains("is also claimed") {
            let file = finding["file"].as_str().unwrap();
            let index: usize = file.split('/').rev().nth(1).unwrap().parse().unwrap();
            errors[index].push(finding["path"].as_str().unwrap().to_owned());
        }
    }
    errors
}

/// What a real API server says of a spec: the fields that it refuses.
#[derive(Debug)]
enum Answer {
    Accepted,
    /// All faults are named.
    Refused(Vec<String>),
    /// The structure is wrong, so that the rules were not checked.
    Unstructured(Vec<String>),
}

async fn ask(client: &kube::Client, namespace: &str, spec: &Value) -> Answer {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let body = serde_json::to_vec(&resource("any", spec)).unwrap();
    let request = Request::new(RuntimeTenant::url_path(&(), Some(namespace)));
    let mut request = request.create(&params, body).unwrap();
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri()).parse().unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => Answer::Accepted,
        Err(kube::Error::Api(status)) => {
            let unknown = status.message.split("unknown field \"").skip(1);
            let unknown: Vec<_> = unknown.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
            if !unknown.is_empty() {
                return Answer::Unstructured(unknown);
            }
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let fields: Vec<_> =
                causes.map(|cause| cause.field.clone()).filter(|field| field != "<nil>").collect();
            assert!(!fields.is_empty(), "{}", status.message);
            if status.message.contains("some validation rules were not checked") {
                Answer::Unstructured(fields)
            } else {
                Answer::Refused(fields)
            }
        }
        Err(error) => panic!("{error}"),
    }
}

/// True if one field is the other, or lies in it.
fn is_at(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The difference between both verdicts, if there is one.
fn difference(verdict: &Answer, errors: &[String]) -> Option<String> {
    let (fields, is_all) = match verdict {
        Answer::Accepted if errors.is_empty() => return None,
        Answer::Accepted => return Some(format!("the API server accepts it, validate finds {errors:?}")),
        Answer::Refused(fields) => (fields, true),
        Answer::Unstructured(fields) => (fields, false),
    };
    let missed: Vec<_> =
        fields.iter().filter(|field| !errors.iter().any(|path| is_at(path, field))).collect();
    let beyond: Vec<_> =
        errors.iter().filter(|path| is_all && !fields.iter().any(|field| is_at(path, field))).collect();
    let same = missed.is_empty() && beyond.is_empty();
    (!same).then(|| format!("validate misses {missed:?} and adds {beyond:?}; the API server names {fields:?}, validate {errors:?}"))
}

/// Compares both verdicts on specs, each with its name.
async fn compare(specs: Vec<(String, Value)>) -> BTreeMap<&'static str, usize> {
    let world = World::new().await;
    let errors = errors_of(&specs.iter().map(|(_, spec)| spec.clone()).collect::<Vec<_>>());
    let (client, namespace) = (world.client(), world.namespace().to_owned());
    let verdicts = futures::stream::iter(&specs).map(|(_, spec)| ask(&client, &namespace, spec));
    let verdicts: Vec<_> = verdicts.buffered(8).collect().await;
    let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (((name, spec), verdict), errors) in specs.iter().zip(&verdicts).zip(&errors) {
        let kind = match verdict {
            Answer::Accepted => "accepted",
            Answer::Refused(_) => "refused",
            Answer::Unstructured(_) => "unstructured",
        };
        *counts.entry(kind).or_default() += 1;
        if let Some(difference) = difference(verdict, errors) {
            let spec: String = spec.to_string().chars().take(600).collect();
            wrong.push(format!("{name}: {difference}\n    {spec}"));
        }
    }
    world.finish().await;
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    counts
}

#[tokio::test]
async fn validate_and_the_api_server_agree_on_every_listed_spec() {
    let refused = refused::table().into_iter().map(|(name, patch, _)| (name.to_owned(), with(&patch)));
    let accepted = accepted::table().into_iter().map(|(name, patch)| (name.to_owned(), with(&patch)));
    let counts = compare(refused.chain(accepted).collect()).await;
    assert!(
        counts["accepted"] >= 50 && counts["refused"] >= 40 && counts["unstructured"] >= 50,
        "{counts:?}"
    );
}

#[tokio::test]
async fn validate_and_the_api_server_agree_on_generated_specs() {
    let cases = generated_cases();
    let (mut runner, strategy) = (TestRunner::deterministic(), generator::spec());
    let specs = (0..cases).map(|index| {
        let spec = strategy.new_tree(&mut runner).unwrap().current();
        (format!("generated {index}"), spec)
    });
    let counts = compare(specs.collect()).await;
    assert!(counts["accepted"] > 0 && counts["refused"] > 0, "{counts:?}");
}

const THREE: &str = "\
# Three tenants in one file.
apiVersion: runtime.veralux.io/v1
kind: RuntimeTenant
metadata:
  name: acme
spec:
  tenantId: acme
  dids:
    - '+1 555 010 0001'
    - \"5550100999\"
  webhookSecretRef: { name: acme-webhook }
  caps:
    maxConcurrentCallsTenant: 2
    maxCallsPerMinuteTenant: 10
    maxCallsPerMinute: 5
  stt: { mode: disabled, chunkMs: 500 }
  tts:
    mode: kokoro_http
    kokoroUrl: kokoro
---
apiVersion: runtime.veralux.io/v1
kind: RuntimeTenant
metadata:
  name: b
spec:
  tenantId: &id b
  webhookSecretRef: { name: acme-webhook }
  stt: &stt { mode: disabled, chunkMs: 500 }
  dids: ['+15550100001', +15550100002]
  tts: { mode: kokoro_http, kokoroUrl: 'http://kokoro:7002' }
  caps: { maxConcurrentCallsTenant: 2, maxCallsPerMinuteTenant: 10 }
  caps: { maxConcurrentCallsTenant: 2, maxCallsPerMinuteTenant: yes }
---
apiVersion: v1
kind: Secret
metadata: { name: acme-webhook }
stringData: { webhookSecret: whsec_canary }
";

#[test]
fn every_finding_has_its_line_and_column_and_all_are_found_together() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tenants")).unwrap();
    fs::write(folder.path().join("tenants/three.yaml"), THREE).unwrap();
    let mut other = resource("acme", &base());
    other["spec"]["tenantId"] = json!("acme");
    other["spec"]["dids"] = json!(["+15550100001"]);
    fs::write(folder.path().join("tenants/zother.json"), format!("{other:#}")).unwrap();
    let output = validate(folder.path(), &["tenants"]);
    let expected = "\
tenants/three.yaml:10:7 error spec.dids[1]: must be an E.164 number, white space aside: a plus sign, then 2 to 15 digits of which the first is not 0, as in +15551234567
tenants/three.yaml:15:5 error spec.caps.maxCallsPerMinute: unknown field (did you mean maxCallsPerMinuteTenant?)
tenants/three.yaml:19:16 error spec.tts.kokoroUrl: must be an absolute http or https URL, as in https://example.com/path
tenants/three.yaml:29:10 error spec.dids[0]: +15550100001 is also claimed in tenants/three.yaml:9:7 (default/acme)
tenants/three.yaml:29:26 error spec.dids[1]: must be a text: put it in quotes
tenants/three.yaml:32:3 error spec.caps: stands twice in its object
tenants/three.yaml:32:65 error spec.caps.maxCallsPerMinuteTenant: must be an integer
";
    let found = text(&output);
    let lines: String = found
        .lines()
        .filter(|line| line.contains("three.yaml:"))
        .map(|line| {
            let mut words = line.split_whitespace();
            let place = words.next().unwrap();
            format!("{place} {}\n", words.collect::<Vec<_>>().join(" "))
        })
        .take(7)
        .collect();
    assert_eq!(lines, expected, "{found}");
    assert!(
        found.contains("metadata.name: default/acme is also defined in tenants/three.yaml:5:9"),
        "{found}"
    );
    assert!(
        found.contains("spec.tenantId: acme is also claimed in tenants/three.yaml:7:13 (default/acme)"),
        "{found}"
    );
    assert!(
        found.contains("warn  spec.webhookSecretRef.name: Secret default/webhook is not among these files"),
        "{found}"
    );
    assert!(found.ends_with(" in 2 files\n"), "{found}");
    assert_eq!(code(&output), 1);
    assert!(!found.contains("whsec_canary"));
}

#[test]
fn warnings_are_errors_only_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let spec = with(&json!({ "stt": { "model": "whisper-1" } }));
    fs::write(folder.path().join("a.yaml"), resource("a", &spec).to_string()).unwrap();
    let output = validate(folder.path(), &["a.yaml"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(text(&output).contains("warn  spec.stt.model: is read by no known runtime"), "{}", text(&output));
    assert!(text(&output).contains("0 errors, 2 warnings; 1 resource in 1 file"), "{}", text(&output));
    assert_eq!(code(&validate(folder.path(), &["a.yaml", "--strict"])), 1);
    assert_eq!(code(&validate(folder.path(), &["a.yaml", "--secrets", "require"])), 1);
    assert!(!text(&validate(folder.path(), &["a.yaml", "--secrets", "ignore"])).contains("Secret"));
}

#[test]
fn findings_are_written_for_programs_and_for_github() {
    let folder = tempfile::tempdir().unwrap();
    let mut tenant = resource("a", &base());
    tenant["spec"]["a\n::error::%injected"] = json!(1);
    fs::write(folder.path().join("a,b.yaml"), tenant.to_string()).unwrap();
    let run = |form: &str| validate(folder.path(), &["--secrets", "ignore", "-o", form, "a,b.yaml"]);
    let github = text(&run("github"));
    assert!(github.starts_with("::error file=a%2Cb.yaml,line=1,col="), "{github}");
    assert_eq!(github.lines().count(), 2, "{github}");
    let json: Value = serde_json::from_str(&text(&run("json"))).unwrap();
    assert_eq!(json["kind"], "Findings");
    assert_eq!((&json["errors"], &json["findings"][0]["file"]), (&json!(1), &json!("a,b.yaml")));
    let sarif: Value = serde_json::from_str(&text(&run("sarif"))).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%2Cb.yaml");
    assert_eq!(place["region"]["startLine"], 1);
    let plain = text(&run("text"));
    assert_eq!(plain.lines().count(), 2, "{plain:?}");
}

#[test]
fn a_hostile_text_is_a_finding_or_an_error_and_never_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let head = "apiVersion: runtime.veralux.io/v1\nkind: RuntimeTenant\nmetadata: {name: a}\nspec: ";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("bomb", bomb.into()),
        ("bomb in a spec", format!("{head}\n  {}", bomb.replace('\n', "\n  ")).into()),
        ("a circular alias", format!("{head}&a [*a]").into()),
        ("an unknown alias", format!("{head}*a").into()),
        ("deep", format!("{head}{}", "[".repeat(100_000)).into()),
        ("deep and closed", format!("{head}{}{}", "[".repeat(10_000), "]".repeat(10_000)).into()),
        ("deep maps", format!("{head}{}", "{a: ".repeat(10_000)).into()),
        ("tabs", b"a:\n\tb: 1\n".to_vec()),
        ("not UTF-8", b"a: \xff\xfe".to_vec()),
        ("NUL", b"a: \0".to_vec()),
        ("a list", b"- a\n- b\n".to_vec()),
        ("a text", b"just a text".to_vec()),
        ("a tag", format!("{head}!!binary aGk=").into()),
        ("an unclosed quote", format!("{head}{{tenantId: \"a").into()),
        ("a directive", b"%YAML 9.9\n---\na: 1\n".to_vec()),
        ("keys that are no text", format!("{head}{{[a]: b, {{c: d}}: e, ~: f, 1: g}}").into()),
        ("separators", b"---\n---\n...\n---\n".repeat(1000)),
        ("a huge number", format!("{head}{{tenantId: 1e999999, dids: [{}]}}", "9".repeat(10_000)).into()),
        ("a spec of null", format!("{head}~").into()),
        (
            "metadata of another type",
            b"apiVersion: runtime.veralux.io/v1\nkind: RuntimeTenant\nmetadata: [a]\nspec: 7\n".to_vec(),
        ),
        (
            "a list whose items are none",
            b"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: 7}]\n".to_vec(),
        ),
        ("merge of a text", format!("{head}{{<<: a}}").into()),
    ];
    for (name, bytes) in cases {
        fs::write(folder.path().join("t.yaml"), &bytes).unwrap();
        let output = validate(folder.path(), &["--secrets", "ignore", "t.yaml"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("panicked"), "{name}: {errors}");
        let expected = if name == "separators" {
            0
        } else if name == "not UTF-8" {
            2
        } else {
            1
        };
        assert_eq!(output.status.code(), Some(expected), "{name}: {}{errors}", text(&output));
    }
}

#[test]
fn what_cant_be_read_is_an_error_of_use() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["nope.yaml"][..], &[], &["--output", "nope", "."]] {
        let output = validate(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    fs::write(folder.path().join("large.yaml"), "# \n".repeat(3 << 20)).unwrap();
    let output = validate(folder.path(), &["large.yaml"]);
    assert_eq!(code(&output), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is longer than 8 MiB"), "{output:?}");
}

#[tokio::test]
async fn the_api_server_is_asked_too() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let tenant = test_support::tenant("acme").dids(["+15550100001"]);
    world.apply(&tenant).await;
    // Only the API server knows the tenant id that the resource has already.
    let mut spec = base();
    spec["tenantId"] = json!("other");
    fs::write(folder.path().join("a.yaml"), resource("acme", &spec).to_string()).unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(operator_binary());
        command
            .args(["validate", "--secrets", "ignore", "--namespace", world.namespace()])
            .args(more)
            .arg("a.yaml");
        command.current_dir(folder.path()).env("KUBECONFIG", world.kubeconfig()).output().unwrap()
    };
    assert_eq!(code(&run(&[])), 0);
    let output = run(&["--server"]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(text(&output).contains("spec.tenantId: the API server: "), "{}", text(&output));
    world.finish().await;
}
