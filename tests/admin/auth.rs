//! Authentication and authorization: by the API server, and rejected in doubt.

use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{Api, DeleteParams, PostParams};
use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::Access;
use runtime_operator::admin::limits::Limits;
use runtime_operator::telemetry::{Format, LabelValues, Metrics};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use test_support::{Operator, World};

use crate::client::{Admin, Response, config};
use crate::limits::serve;

const DID: &str = "+15551234567";
const LOOKUP: &str = "/dids/+15551234567";
const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/rbac/admin-http.yaml");

async fn guarded(world: &World) -> Operator {
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true");
    operator.env("ALLOW_RUNTIME_SECRET_READ", "true").start().await
}

/// A token of a `ServiceAccount` with these documented roles.
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
        // The API server applies a binding a moment later, and a denial is cached.
        let (verb, path) = match *role {
            "reader" => ("get", "/runtime-operator/admin/x"),
            "editor" => ("post", "/runtime-operator/admin/x"),
            _ => ("get", "/runtime-operator/secrets"),
        };
        world.wait("the role is effective", || may(world, name, verb, path)).await;
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
fn unauthorized(response: &Response) {
    response.rejected(401, "unauthorized");
    assert_eq!(response.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn only_health_needs_no_token_and_says_little_without_one() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);

    let health = admin.get("/health").await.ok();
    assert!(health["ok"] == true && health["latencyMs"].is_u64(), "{health}");
    assert_eq!(health.as_object().unwrap().len(), 2, "{health}");
    unauthorized(&admin.with_token("nonsense").get("/health").await);
    let caller = admin.with_token(account(&world, "monitor", &[]).await);
    let health = caller.get("/health").await.ok();
    assert!(health["status"] == "ok" && health["redis"]["connected"] == true, "{health}");
    world.redis().kill().await.unwrap();
    world
        .wait("the next probe fails", || async {
            let health = admin.get("/health").await;
            if health.status == 200 {
                return Err(format!("{health:?}"));
            }
            assert_eq!(health.body(), json!({ "ok": false, "error": "RedisUnreachable" }));
            Ok(())
        })
        .await;
    world.redis().restart().await.unwrap();

    unauthorized(&admin.get(LOOKUP).await);
    unauthorized(&admin.get("/tenants/acme/config").await);
    unauthorized(&admin.get("/openapi.json").await);
    unauthorized(&admin.map(DID, "acme").await);
    unauthorized(&admin.unmap(DID).await);
    unauthorized(&admin.publish(&config("acme", &[DID])).await);
    // An unauthenticated client learns nothing about errors of its request.
    unauthorized(&admin.post_text("/dids/map", "{").await);
    unauthorized(&admin.get("/dids/nonsense").await);
    world.close().await;
}

#[tokio::test]
async fn only_tokens_for_the_api_server_or_the_operator_are_accepted() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&guarded(&world).await);
    let own = account(&world, "reader", &["reader"]).await;
    let token = async |audiences: &[&str]| {
        world.cluster().service_account_token(world.namespace(), "reader", audiences).await.unwrap()
    };

    let product = token(&["runtime-operator"]).await;
    for good in [&own, &product, &token(&["vault", "runtime-operator"]).await] {
        admin.with_token(good).get(LOOKUP).await.rejected(404, "did_unmapped");
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
async fn an_expired_token_is_rejected() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);
    let token = account(&world, "reader", &["reader"]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();

    let good = resign(&world, &token, now + 600);
    admin.with_token(good).get(LOOKUP).await.rejected(404, "did_unmapped");
    let expired = resign(&world, &token, now - 60);
    unauthorized(&admin.with_token(expired).get(LOOKUP).await);
    world.finish().await;
}

/// The same token with another expiry, signed with the API server's key.
fn resign(world: &World, token: &str, expires: u64) -> String {
    let [head, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT") };
    let mut claims: Value = serde_json::from_slice(&base64_decode(claims)).unwrap();
    claims["exp"] = json!(expires);
    claims["iat"] = json!(expires - 3600);
    claims["nbf"] = json!(expires - 3600);
    let claimed = format!("{head}.{}", base64_encode(claims.to_string().as_bytes()));
    let key = PrivateKeyDer::from_pem_file(world.cluster().account_key()).unwrap();
    let key = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let signature = jws_signature(&signer.sign(claimed.as_bytes()).unwrap());
    format!("{claimed}.{}", base64_encode(&signature))
}

/// Converts a P-256 signature from DER (SEQUENCE { INTEGER r, INTEGER s }) to the form of JWS (RFC 7518, 3.4).
fn jws_signature(der: &[u8]) -> Vec<u8> {
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
async fn a_service_account_without_roles_is_forbidden_every_route() {
    let world = World::new().await;
    let admin = Admin::of(&guarded(&world).await);
    let token = account(&world, "plain", &[]).await;
    // `system:discovery` of every cluster allows the routes' own paths.
    may(&world, "plain", "get", "/api/admin/runtime/dids/+15551234567").await.unwrap();

    let admin = admin.with_token(token);
    for path in [LOOKUP, "/tenants/acme/config", "/openapi.json"] {
        let rejected = admin.get(path).await.rejected(403, "forbidden");
        let message = rejected["message"].as_str().unwrap();
        assert!(message.contains("must be allowed to get /runtime-operator/admin/"), "{message}");
    }
    admin.map(DID, "acme").await.rejected(403, "forbidden");
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_documented_roles_grant_exactly_what_they_document() {
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
    editor.post(with_secrets, stored.clone()).await.rejected(403, "forbidden");

    assert_eq!(reader.get(LOOKUP).await.ok()["tenantId"], "acme");
    assert_eq!(reader.get("/tenants/acme/config").await.ok()["config"]["webhookSecret"], Value::Null);
    reader.unmap(DID).await.rejected(403, "forbidden");
    reader.publish(&stored).await.rejected(403, "forbidden");
    let rejected = reader.get(with_secrets).await.rejected(403, "forbidden");
    assert!(rejected["message"].as_str().unwrap().ends_with("get /runtime-operator/secrets"), "{rejected}");

    assert_eq!(seer.get(with_secrets).await.ok()["config"]["webhookSecret"], *secret);
    secrets_only.get(with_secrets).await.rejected(403, "forbidden");

    editor.unmap(DID).await.ok();
    // The audit line has the user.
    let user = format!("system:serviceaccount:{}:editor", world.namespace());
    let logs = operator.logs();
    assert!(logs.lines().any(|line| line.contains("audit") && line.contains(&user)), "{logs}");
    world.close().await;
}

#[tokio::test]
async fn a_role_for_one_path_covers_every_spelling_of_it() {
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
    world.wait("the role is effective", || may(&world, "narrow", "get", path)).await;
    let admin = admin.with_token(token);

    for path in ["/tenants/acme/config", "/tenants/%61cme%20/config", "/tenants/acme/config/"] {
        admin.get(path).await.rejected(404, "runtime_config_not_found");
    }
    for path in [LOOKUP, "/dids/%2B1%20555%20123%204567"] {
        admin.get(path).await.rejected(404, "did_unmapped");
    }
    for path in ["/tenants/acme%2Fx/config", "/tenants/acme2/config", "/dids/+15551234568"] {
        admin.get(path).await.rejected(403, "forbidden");
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
async fn a_review_is_cached_for_ten_seconds_allowed_or_denied() {
    let world = World::new().await;
    let metrics = Metrics::new(&LabelValues::default());
    let access = Access::Kubernetes(world.client());
    let served = serve(world.redis(), access, metrics.clone(), Limits::default()).await;
    let good = served.admin.with_token(account(&world, "cached", &["reader"]).await);
    let bad = served.admin.with_token("nonsense");
    let began = Instant::now();
    for _ in 0..5 {
        good.get(LOOKUP).await.rejected(404, "did_unmapped");
        good.map(DID, "acme").await.rejected(403, "forbidden");
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

    // A deleted binding is effective once the cached review has expired.
    let binding = format!("{}-cached-reader", world.namespace());
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(world.client());
    bindings.delete(&binding, &DeleteParams::default()).await.unwrap();
    world
        .wait("the caller is rejected", || async {
            let response = good.get(LOOKUP).await;
            if response.status == 403 { Ok(()) } else { Err(format!("{response:?}")) }
        })
        .await;
    let took = began.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(60)).contains(&took), "{took:?}");
    assert_eq!(reviews(&metrics, "token", "allowed"), 2);
    served.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn long_tokens_and_arguments_are_rejected_without_a_review() {
    let world = World::new().await;
    let metrics = Metrics::new(&LabelValues::default());
    let access = Access::Kubernetes(world.client());
    let served = serve(world.redis(), access, metrics.clone(), Limits::default()).await;
    unauthorized(&served.admin.with_token("x".repeat(17_000)).get(LOOKUP).await);
    assert_eq!(reviews(&metrics, "token", "denied"), 0);

    let caller = served.admin.with_token(account(&world, "long", &[]).await);
    for number in 0..50 {
        let long = format!("{}{number}", "!".repeat(30_000));
        let response = caller.get(&format!("/tenants/{long}/config")).await;
        response.rejected(400, "tenant_id_required");
        caller.get(&format!("/dids/{long}")).await.rejected(400, "invalid_did_e164");
    }
    assert_eq!(reviews(&metrics, "access", "denied"), 0);
    served.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn a_request_is_rejected_when_its_review_fails_or_times_out() {
    let world = World::new().await;
    let token = account(&world, "reader", &["reader"]).await;
    // A client without the permission to create reviews.
    let powerless = world.cluster().service_account_kubeconfig(world.namespace(), "powerless").await.unwrap();
    let powerless = world.cluster().client_for(&powerless).await.unwrap();
    // An API server that accepts connections and never responds.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let silent_client = kube::Client::try_from(kube::Config::new(url)).unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();

    for client in [powerless, silent_client] {
        let metrics = Metrics::new(&LabelValues::default());
        let limits = Limits { review: Duration::from_millis(200), ..Default::default() };
        let served = serve(&redis, Access::Kubernetes(client), metrics.clone(), limits).await;
        let admin = served.admin.with_token(&token);

        unauthorized(&admin.get(LOOKUP).await);
        unauthorized(&admin.map(DID, "acme").await);

        // A failed review is not cached.
        assert_eq!(reviews(&metrics, "token", "failed"), 2);
        served.stop().await;
    }
    world.finish().await;
}

#[tokio::test]
async fn requests_are_rejected_while_the_api_server_hangs() {
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
        .wait("known callers are served again", || async {
            let response = known.get(LOOKUP).await;
            if response.status == 404 { Ok(()) } else { Err(format!("{response:?}")) }
        })
        .await;
    world.finish().await;
}
