//! Who may call: whom the API server knows and lets, and nobody in doubt.

use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{Api, DeleteParams, PostParams};
use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::{Access, Limits};
use runtime_operator::telemetry::{Format, Metrics};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::client::{Admin, Answer, config};
use crate::limits::serve;
use crate::support::{Operator, World};

const DID: &str = "+15551234567";
const LOOKUP: &str = "/dids/+15551234567";
const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/rbac/admin-http.yaml");

async fn guarded(world: &World) -> Operator {
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true");
    operator.env("ALLOW_RUNTIME_SECRET_READ", "true").start().await
}

/// A token of a `ServiceAccount` that has these of the documented roles.
pub async fn account(world: &World, name: &str, roles: &[&str]) -> String {
    world.cluster().apply_file(ROLES).await.unwrap();
    let namespace = world.namespace();
    let token = world.cluster().service_account_token(namespace, name, &[]).await.unwrap();
    for role in roles {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": format!("{namespace}-{name}-{role}") },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": format!("runtime-operator-admin-{role}"),
            },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        });
        world.cluster().apply_yaml(&binding.to_string()).await.unwrap();
        // The API server itself takes a moment to heed a binding, and a no is remembered.
        let (verb, path) = match *role {
            "reader" => ("get", "/runtime-operator/admin/x"),
            "editor" => ("post", "/runtime-operator/admin/x"),
            _ => ("get", "/runtime-operator/secrets"),
        };
        world.wait("the role is heeded", || may(world, name, verb, path)).await;
    }
    token
}

async fn may(world: &World, name: &str, verb: &str, path: &str) -> Result<(), String> {
    let review = json!({
        "metadata": {},
        "spec": {
            "user": format!("system:serviceaccount:{}:{name}", world.namespace()),
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "nonResourceAttributes": { "verb": verb, "path": path },
        },
    });
    let reviews: Api<SubjectAccessReview> = Api::all(world.client());
    let review =
        reviews.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    if review.status.unwrap().allowed { Ok(()) } else { Err(format!("{name} may not {verb} {path}")) }
}

#[track_caller]
fn unauthorized(answer: &Answer) {
    answer.refused(401, "unauthorized");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn health_is_for_everybody_and_nothing_else_is() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);

    assert_eq!(admin.get("/health").await.ok()["ok"], true);
    assert_eq!(admin.with_token("nonsense").get("/health").await.ok()["ok"], true);
    world.redis().kill().await.unwrap();
    let health = admin.get("/health").await;
    assert_eq!((health.status, health.body()), (503, json!({ "ok": false, "error": "redis_unavailable" })));
    world.redis().restart().await.unwrap();

    unauthorized(&admin.get(LOOKUP).await);
    unauthorized(&admin.get("/tenants/acme/config").await);
    unauthorized(&admin.get("/openapi.json").await);
    unauthorized(&admin.map(DID, "acme").await);
    unauthorized(&admin.unmap(DID).await);
    unauthorized(&admin.publish(&config("acme", &[DID])).await);
    // Who is not known hears nothing of what is wrong with the request.
    unauthorized(&admin.post_text("/dids/map", "{").await);
    unauthorized(&admin.get("/dids/nonsense").await);
    world.close().await;
}

#[tokio::test]
async fn a_token_is_good_for_the_api_server_or_this_product_and_no_other() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&guarded(&world).await);
    let own = account(&world, "reader", &["reader"]).await;
    let token = async |audiences: &[&str]| {
        world.cluster().service_account_token(world.namespace(), "reader", audiences).await.unwrap()
    };

    let product = token(&["runtime-operator"]).await;
    for good in [&own, &product, &token(&["vault", "runtime-operator"]).await] {
        admin.with_token(good).get(LOOKUP).await.refused(404, "did_unmapped");
    }
    let other = token(&["vault"]).await;
    let (head, signature) = own.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for bad in [other.as_str(), &forged, "nonsense", "a.b.c"] {
        unauthorized(&admin.with_token(bad).get(LOOKUP).await);
    }
    world.close().await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);
    let token = account(&world, "reader", &["reader"]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();

    let good = signed_anew(&world, &token, now + 600);
    admin.with_token(good).get(LOOKUP).await.refused(404, "did_unmapped");
    let expired = signed_anew(&world, &token, now - 60);
    unauthorized(&admin.with_token(expired).get(LOOKUP).await);
    world.finish().await;
}

/// The same token as the API server would have made it with another end.
fn signed_anew(world: &World, token: &str, expires: u64) -> String {
    let [head, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT") };
    let mut claims: Value = serde_json::from_slice(&base64_decode(claims)).unwrap();
    claims["exp"] = json!(expires);
    claims["iat"] = json!(expires - 3600);
    claims["nbf"] = json!(expires - 3600);
    let claimed = format!("{head}.{}", base64_encode(claims.to_string().as_bytes()));
    let key = PrivateKeyDer::from_pem_file(world.cluster().account_key()).unwrap();
    let key = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let signature = fixed(&signer.sign(claimed.as_bytes()).unwrap());
    format!("{claimed}.{}", base64_encode(&signature))
}

/// A P-256 signature as JWS has it (RFC 7518, 3.4), of one in DER: SEQUENCE { INTEGER r, INTEGER s }.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut both = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        both.resize(both.len() + 32 - digits.len(), 0);
        both.extend(digits);
        rest = after;
    }
    both
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64_encode(bytes: &[u8]) -> String {
    let block = |block: &[u8]| {
        let bits =
            block.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - block.len()));
        let digits = (0..=block.len()).map(move |digit| BASE64URL[(bits >> (18 - 6 * digit) & 63) as usize]);
        digits.map(char::from).collect::<String>()
    };
    bytes.chunks(3).map(block).collect()
}

fn base64_decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = BASE64URL.iter().position(|known| *known == digit).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
        }
    }
    bytes
}

#[tokio::test]
async fn a_plain_service_account_may_nothing_though_every_cluster_lets_it_get_what_is_under_api() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);
    let token = account(&world, "plain", &[]).await;
    // `system:discovery` of every cluster: the routes' own paths would be open.
    may(&world, "plain", "get", "/api/admin/runtime/dids/+15551234567").await.unwrap();

    let admin = admin.with_token(token);
    for path in [LOOKUP, "/tenants/acme/config", "/openapi.json"] {
        let refused = admin.get(path).await.refused(403, "forbidden");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("must be allowed to get /runtime-operator/admin/"), "{message}");
    }
    admin.map(DID, "acme").await.refused(403, "forbidden");
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_documented_roles_are_what_they_say() {
    let world = World::new().await;
    world.exempt_all();
    let operator = guarded(&world).await;
    let admin = Admin::of(&operator);
    let stored = config("acme", &[DID]);
    let secret = &stored["webhookSecret"];
    let editor = admin.with_token(account(&world, "editor", &["editor"]).await);
    let reader = admin.with_token(account(&world, "reader", &["reader"]).await);
    let seer = admin.with_token(account(&world, "seer", &["reader", "secret-reader"]).await);
    let secrets_only = admin.with_token(account(&world, "secrets-only", &["secret-reader"]).await);
    let with_secrets = "/tenants/acme/config?includeSecrets=true";

    assert_eq!(editor.publish(&stored).await.ok()["config"]["webhookSecret"], Value::Null);
    editor.map(DID, "acme").await.ok();
    editor.get("/openapi.json").await.ok();
    editor.post(with_secrets, stored.clone()).await.refused(403, "forbidden");

    assert_eq!(reader.get(LOOKUP).await.ok()["tenantId"], "acme");
    assert_eq!(reader.get("/tenants/acme/config").await.ok()["config"]["webhookSecret"], Value::Null);
    reader.unmap(DID).await.refused(403, "forbidden");
    reader.publish(&stored).await.refused(403, "forbidden");
    let refused = reader.get(with_secrets).await.refused(403, "forbidden");
    assert!(refused["message"].as_str().unwrap().ends_with("get /runtime-operator/secrets"), "{refused}");

    assert_eq!(seer.get(with_secrets).await.ok()["config"]["webhookSecret"], *secret);
    secrets_only.get(with_secrets).await.refused(403, "forbidden");

    editor.unmap(DID).await.ok();
    // Auditors read who did it.
    let who = format!("system:serviceaccount:{}:editor", world.namespace());
    let logs = operator.logs();
    assert!(logs.lines().any(|line| line.contains("audit") && line.contains(&who)), "{logs}");
    world.close().await;
}

#[tokio::test]
async fn a_role_for_one_path_is_good_for_that_path_however_it_is_spelt() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);
    let token = account(&world, "narrow", &[]).await;
    let (namespace, narrow) = (world.namespace(), format!("narrow-{}", world.namespace()));
    let roles = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": narrow },
        "rules": [
            { "nonResourceURLs": ["/runtime-operator/admin/tenants/acme/*"], "verbs": ["get"] },
            { "nonResourceURLs": [format!("/runtime-operator/admin/dids/{DID}")], "verbs": ["get"] },
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": narrow },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": narrow },
        "subjects": [{ "kind": "ServiceAccount", "name": "narrow", "namespace": namespace }],
    });
    world.cluster().apply_yaml(&format!("{roles}\n---\n{binding}")).await.unwrap();
    let path = "/runtime-operator/admin/tenants/acme/config";
    world.wait("the role is heeded", || may(&world, "narrow", "get", path)).await;
    let admin = admin.with_token(token);

    for path in ["/tenants/acme/config", "/tenants/%61cme%20/config", "/tenants/acme/config/"] {
        admin.get(path).await.refused(404, "runtime_config_not_found");
    }
    for path in [LOOKUP, "/dids/%2B1%20555%20123%204567"] {
        admin.get(path).await.refused(404, "did_unmapped");
    }
    for path in ["/tenants/acme%2Fx/config", "/tenants/acme2/config", "/dids/+15551234568"] {
        admin.get(path).await.refused(403, "forbidden");
    }
    world.finish().await;
}

fn reviews(metrics: &Metrics, kind: &str, result: &str) -> u64 {
    let line = format!(r#"runtime_operator_admin_reviews_total{{kind="{kind}",result="{result}"}} "#);
    let text = metrics.encode(Format::Text);
    let count = text.lines().find_map(|found| found.strip_prefix(&line));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn an_answer_of_the_api_server_counts_for_ten_seconds_yes_or_no() {
    let world = World::new().await;
    let metrics = Metrics::default();
    let access = Access::Kubernetes(world.client());
    let served = serve(world.redis(), access, metrics.clone(), Limits::default()).await;
    let good = served.admin.with_token(account(&world, "cached", &["reader"]).await);
    let bad = served.admin.with_token("nonsense");
    let began = Instant::now();
    for _ in 0..5 {
        good.get(LOOKUP).await.refused(404, "did_unmapped");
        good.map(DID, "acme").await.refused(403, "forbidden");
        unauthorized(&bad.get(LOOKUP).await);
    }
    let counts = || {
        let count = |kind, result| reviews(&metrics, kind, result);
        [
            count("token", "allowed"),
            count("access", "allowed"),
            count("access", "denied"),
            count("token", "denied"),
        ]
    };
    assert_eq!(counts(), [1, 1, 1, 1]);

    // A binding that is gone is heeded when the answer has had its time.
    let binding = format!("{}-cached-reader", world.namespace());
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(world.client());
    bindings.delete(&binding, &DeleteParams::default()).await.unwrap();
    world
        .wait("the caller is refused", || async {
            let answer = good.get(LOOKUP).await;
            if answer.status == 403 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    let took = began.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(60)).contains(&took), "{took:?}");
    assert_eq!(reviews(&metrics, "token", "allowed"), 2);
    served.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn a_review_that_fails_or_takes_too_long_refuses() {
    let world = World::new().await;
    let token = account(&world, "reader", &["reader"]).await;
    // A client that may not ask for reviews.
    let powerless = world.cluster().service_account_kubeconfig(world.namespace(), "powerless").await.unwrap();
    let powerless = world.cluster().client_for(&powerless).await.unwrap();
    // An API server that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let silent_client = kube::Client::try_from(kube::Config::new(url)).unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();

    for client in [powerless, silent_client] {
        let metrics = Metrics::default();
        let limits = Limits { review: Duration::from_millis(200), ..Default::default() };
        let served = serve(&redis, Access::Kubernetes(client), metrics.clone(), limits).await;
        let admin = served.admin.with_token(&token);

        unauthorized(&admin.get(LOOKUP).await);
        unauthorized(&admin.map(DID, "acme").await);

        // What failed is asked again.
        assert_eq!(reviews(&metrics, "token", "failed"), 2);
        served.stop().await;
    }
    world.finish().await;
}

#[tokio::test]
async fn while_the_api_server_hangs_nobody_new_gets_in() {
    let world = World::with_own_cluster().await;
    let admin = Admin::of(&guarded(&world).await);
    let known = admin.with_token(account(&world, "reader", &["reader"]).await);
    let stranger = admin.with_token(account(&world, "stranger", &["reader"]).await);
    world.cluster().api_server().freeze().await.unwrap();

    unauthorized(&stranger.get(LOOKUP).await);
    unauthorized(&known.map(DID, "acme").await);
    assert_eq!(admin.get("/health").await.ok()["ok"], true);

    world.cluster().api_server().thaw().unwrap();
    world
        .wait("those who may get in again", || async {
            let answer = known.get(LOOKUP).await;
            if answer.status == 404 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    world.finish().await;
}
