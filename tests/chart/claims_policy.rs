//! The policies of `claimsPolicy`, on API servers of the newest and the oldest Kubernetes.

use std::fmt::Debug;
use std::path::Path;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use local_cluster::{Cluster, ClusterOptions};
use serde_json::{Value, json};
use test_support::{TIMEOUT, eventually};

use super::helm::{LEAST, render};

/// The 25 characters that the runtime reads as white space.
const WHITE_SPACE: &str = "\u{9}\u{a}\u{b}\u{c}\u{d} \u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
const POLICY: &str = "ValidatingAdmissionPolicy 'space-release-runtime-operator";
const BINDING: &str = "with binding 'space-release-runtime-operator";
/// May change resources and Namespaces, and has none of the verbs that the policies ask for.
const EDITOR: &str = "editor";
/// Has these verbs too.
const OWNER: &str = "owner";

struct Site {
    cluster: Cluster,
}

impl Site {
    async fn start(options: ClusterOptions, values: &str) -> Self {
        let cluster = Cluster::with(options).await.unwrap();
        let site = Self { cluster };
        site.namespace("space", json!({})).await;
        let kinds = ["CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"];
        let rendered = render(&format!("{LEAST}\nclaimsPolicy: {values}"));
        let wanted = |document: &Value| {
            let kind = document["kind"].as_str().unwrap();
            kinds.contains(&kind) || kind.starts_with("ValidatingAdmission")
        };
        let documents: Vec<_> = rendered.into_iter().filter(wanted).map(|it| it.to_string()).collect();
        site.cluster.apply_yaml(&documents.join("\n---\n")).await.unwrap();
        for (user, verbs) in [(EDITOR, json!([])), (OWNER, json!(["takeover", "forcedelete", "grantclaims"]))]
        {
            site.grant(user, &verbs).await;
        }
        site
    }

    async fn grant(&self, user: &str, verbs: &Value) {
        let all = json!(["get", "create", "update", "patch", "delete"]);
        let mut rules = vec![
            json!({ "apiGroups": ["runtime.veralux.io"], "resources": ["runtimetenants", "runtimetenants/status"], "verbs": all }),
            json!({ "apiGroups": [""], "resources": ["namespaces"], "verbs": all }),
        ];
        if verbs != &json!([]) {
            rules.push(json!({ "apiGroups": ["runtime.veralux.io"], "resources": ["runtimetenants"], "verbs": verbs }));
        }
        let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": user }, "rules": rules });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": user },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        });
        self.cluster.apply_yaml(&format!("{role}\n---\n{binding}")).await.unwrap();
    }

    async fn namespace(&self, name: &str, annotations: Value) {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "annotations": annotations } });
        self.cluster.apply_yaml(&namespace.to_string()).await.unwrap();
    }

    async fn user(&self, name: &str) -> User {
        User(self.cluster.client_for(&self.cluster.user_kubeconfig(name, None).unwrap()).await.unwrap())
    }

    async fn administrator(&self) -> User {
        User(self.cluster.client().await.unwrap())
    }

    async fn operator(&self) -> User {
        let account = self.cluster.service_account_kubeconfig("space", "release-runtime-operator").await;
        let path: &Path = &account.unwrap();
        User(self.cluster.client_for(path).await.unwrap())
    }

    /// Waits until the API server enforces the policies, which it learns of by watches.
    async fn enforced(&self) {
        let editor = self.user(EDITOR).await;
        let takes = json!({ "runtime.veralux.io/take-over": "true" });
        let takes = with_annotations(tenant("probe", &["+15550100001"]), &takes);
        let all = json!({ "runtime.veralux.io/allowed-numbers": "+*" });
        eventually("the policies are enforced", TIMEOUT, || async {
            editor.try_create("unlisted", &tenant("probe", &["+15550199999"])).await.is_err()
                && editor.annotate_namespace("unlisted", all.clone(), true).await.is_err()
                && editor.try_create("listed", &takes).await.is_err()
        })
        .await;
    }
}

struct User(Client);

type Answer = Result<DynamicObject, String>;

impl User {
    fn tenants(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("runtime.veralux.io", "v1", "RuntimeTenant");
        Api::namespaced_with(
            self.0.clone(),
            namespace,
            &ApiResource::from_gvk_with_plural(&kind, "runtimetenants"),
        )
    }

    fn namespaces(&self) -> Api<DynamicObject> {
        Api::all_with(self.0.clone(), &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")))
    }

    async fn create(&self, namespace: &str, tenant: &Value) -> Answer {
        let object = serde_json::from_value(tenant.clone()).unwrap();
        said(self.tenants(namespace).create(&PostParams::default(), &object).await)
    }

    /// Creates without a lasting effect.
    async fn try_create(&self, namespace: &str, tenant: &Value) -> Answer {
        let object = serde_json::from_value(tenant.clone()).unwrap();
        said(
            self.tenants(namespace)
                .create(&PostParams { dry_run: true, ..Default::default() }, &object)
                .await,
        )
    }

    async fn patch(&self, namespace: &str, name: &str, patch: Value) -> Answer {
        said(self.tenants(namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    async fn patch_status(&self, namespace: &str, name: &str, status: Value) -> Answer {
        let patch = json!({ "status": status });
        said(self.tenants(namespace).patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    async fn delete(&self, namespace: &str, name: &str) {
        self.tenants(namespace).delete(name, &DeleteParams::default()).await.unwrap();
    }

    async fn annotate_namespace(&self, name: &str, annotations: Value, dry_run: bool) -> Answer {
        let patch = json!({ "metadata": { "annotations": annotations } });
        let params = PatchParams { dry_run, ..Default::default() };
        said(self.namespaces().patch(name, &params, &Patch::Merge(patch)).await)
    }

    async fn label_namespace(&self, name: &str, labels: Value) -> Answer {
        let patch = json!({ "metadata": { "labels": labels } });
        said(self.namespaces().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }
}

fn said(result: Result<DynamicObject, kube::Error>) -> Answer {
    result.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("{other}"),
    })
}

fn tenant(name: &str, dids: &[&str]) -> Value {
    json!({
        "apiVersion": "runtime.veralux.io/v1", "kind": "RuntimeTenant", "metadata": { "name": name },
        "spec": {
            "tenantId": name, "dids": dids, "webhookSecretRef": { "name": "webhook" },
            "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
            "stt": { "mode": "disabled", "chunkMs": 500 },
            "tts": { "mode": "kokoro_http", "kokoroUrl": "http://tts/" },
        },
    })
}

fn with_annotations(mut tenant: Value, annotations: &Value) -> Value {
    tenant["metadata"]["annotations"] = annotations.clone();
    tenant
}

fn refused_with<T: Debug>(answer: Result<T, String>, policy: &str, message: &str) {
    let text = answer.unwrap_err();
    let expected = format!("{POLICY}-{policy}' {BINDING}-{policy}' denied request: {message}");
    assert!(text.ends_with(&expected), "{text}\nexpected: {expected}");
}

async fn claims_are_refused_and_allowed(options: ClusterOptions) {
    let site = Site::start(options, "{ enabled: true }").await;
    site.namespace("unlisted", json!({})).await;
    let listed = json!({
        "runtime.veralux.io/allowed-numbers": "+1555010*, +44 20 7946 0000,\n+4930*",
        "runtime.veralux.io/allowed-tenant-ids": "acme\nprobe\nlisted-*\n",
    });
    site.namespace("listed", listed).await;
    let everything =
        json!({ "runtime.veralux.io/allowed-numbers": "+*", "runtime.veralux.io/allowed-tenant-ids": "*" });
    site.namespace("everything", everything).await;
    site.enforced().await;
    let (editor, owner) = (site.user(EDITOR).await, site.user(OWNER).await);

    // Numbers: an exact one, prefixes, none, and all.
    editor.create("listed", &tenant("acme", &["+15550100001", "+442079460000", "+49 30 1"])).await.unwrap();
    refused_with(
        editor
            .create("listed", &tenant("listed-a", &["+15550100002", "+4420794600001", "+15550200000"]))
            .await,
        "claims",
        "namespace listed may not claim +4420794600001, +15550200000: the annotation runtime.veralux.io/allowed-numbers of its \
         Namespace allows +1555010*, +442079460000, +4930*; who administers the Namespace can add them",
    );
    refused_with(
        editor.create("unlisted", &tenant("acme", &["+15550100001"])).await,
        "claims",
        "namespace unlisted may not claim +15550100001: its Namespace has no annotation runtime.veralux.io/allowed-numbers; who \
         administers the Namespace can add them",
    );
    editor.create("everything", &tenant("anything", &["+999"])).await.unwrap();
    // The release's own namespace is for `helm test`.
    editor.create("space", &tenant("smoke", &["+999000000001"])).await.unwrap();

    // Tenant ids.
    editor.create("listed", &tenant("listed-b", &["+15550100003"])).await.unwrap();
    refused_with(
        editor.create("listed", &tenant("other", &["+15550100004"])).await,
        "claims",
        "namespace listed may not use tenantId other: the annotation runtime.veralux.io/allowed-tenant-ids of its Namespace allows \
         acme, probe, listed-*; who administers the Namespace can add it",
    );

    // Each character of white space, in the resource.
    for (i, c) in WHITE_SPACE.chars().enumerate() {
        let spelt = format!("{c}+1555{c}0100{i:03}{c}");
        editor
            .try_create("listed", &tenant("listed-c", &[&spelt]))
            .await
            .unwrap_or_else(|e| panic!("{c:?}: {e}"));
        let spelt = format!("{c}+1555{c}0200{i:03}{c}");
        editor.try_create("listed", &tenant("listed-c", &[&spelt])).await.expect_err(&format!("{c:?}"));
    }

    // The annotations that set claims aside.
    let over = json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": "true" } } });
    refused_with(
        editor.patch("listed", "acme", over.clone()).await,
        "overrides",
        "the annotation runtime.veralux.io/take-over needs the verb \"takeover\" on runtimetenants: a role must grant it",
    );
    let explicit =
        json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": "other/team/acme" } } });
    editor.patch("listed", "acme", explicit).await.unwrap_err();
    owner.patch("listed", "acme", over).await.unwrap();
    // What another user was allowed to set stays.
    let caps = json!({ "spec": { "caps": { "maxCallsPerMinuteTenant": 2 } } });
    editor.patch("listed", "acme", caps.clone()).await.unwrap();
    let force = json!({ "metadata": { "annotations": { "runtime.veralux.io/force-delete": "true" } } });
    refused_with(
        editor.patch("listed", "acme", force.clone()).await,
        "overrides",
        "the annotation runtime.veralux.io/force-delete needs the verb \"forcedelete\" on runtimetenants: a role must grant it",
    );

    // Grants of a Namespace.
    let all = json!({ "runtime.veralux.io/allowed-numbers": "+*" });
    refused_with(
        editor.annotate_namespace("listed", all.clone(), false).await,
        "grants",
        "the annotations runtime.veralux.io/allowed-numbers and allowed-tenant-ids of a Namespace need the verb \"grantclaims\" on \
         runtimetenants: a role must grant it",
    );
    editor.annotate_namespace("listed", json!({ "team": "voice" }), false).await.unwrap();
    owner
        .annotate_namespace("everything", json!({ "runtime.veralux.io/allowed-numbers": "+1*" }), false)
        .await
        .unwrap();

    // Narrowed afterwards: what is claimed stays, and everything else can be edited.
    let none =
        json!({ "runtime.veralux.io/allowed-numbers": null, "runtime.veralux.io/allowed-tenant-ids": null });
    owner.annotate_namespace("listed", none, false).await.unwrap();
    let claimed = tenant("listed-d", &["+15550100005"]);
    eventually("the API server knows the narrowed Namespace", TIMEOUT, || async {
        editor.try_create("listed", &claimed).await.is_err()
    })
    .await;
    editor.patch("listed", "listed-b", caps).await.unwrap();
    editor.patch("listed", "acme", json!({ "spec": { "dids": ["+1 555 010 0001"] } })).await.unwrap();
    editor
        .patch("listed", "acme", json!({ "spec": { "dids": ["+15550100001", "+15550100009"] } }))
        .await
        .unwrap_err();

    deletions_and_statuses(&site, force).await;
    site.cluster.stop().await.unwrap();
}

/// Only the operator removes its finalizer, and writes what its status says is live.
async fn deletions_and_statuses(site: &Site, force: Value) {
    let (editor, owner, operator) = (site.user(EDITOR).await, site.user(OWNER).await, site.operator().await);
    let guarded = json!({ "metadata": { "finalizers": ["runtime.veralux.io/redis-keys"] } });
    let open = json!({ "metadata": { "finalizers": null } });
    for name in ["acme", "listed-b"] {
        operator.patch("listed", name, guarded.clone()).await.unwrap();
    }
    let live = json!({ "publishedDids": ["+15550100001"] });
    refused_with(
        editor.patch_status("listed", "acme", live.clone()).await,
        "status",
        "only the operator (system:serviceaccount:space:release-runtime-operator) may change status.publishedDids",
    );
    editor.patch_status("listed", "acme", json!({ "observedGeneration": 1 })).await.unwrap();
    operator.patch_status("listed", "acme", live).await.unwrap();

    editor.delete("listed", "acme").await;
    editor.delete("listed", "listed-b").await;
    refused_with(
        editor.patch("listed", "acme", open.clone()).await,
        "overrides",
        "removing the finalizer runtime.veralux.io/redis-keys needs the verb \"forcedelete\" on runtimetenants: the operator removes \
         it once the tenant's keys are gone from Redis",
    );
    editor.patch("listed", "acme", force.clone()).await.unwrap_err();
    owner.patch("listed", "acme", force).await.unwrap();
    operator.patch("listed", "acme", open.clone()).await.unwrap();
    operator.patch("listed", "listed-b", open).await.unwrap();

    let administrator = site.administrator().await;
    for name in ["acme", "listed-b"] {
        assert!(administrator.tenants("listed").get_opt(name).await.unwrap().is_none(), "{name} is deleted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_claim_what_their_annotations_allow_on_the_newest_kubernetes() {
    claims_are_refused_and_allowed(ClusterOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_claim_what_their_annotations_allow_on_the_oldest_kubernetes() {
    claims_are_refused_and_allowed(ClusterOptions::default().oldest()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_numbers_and_a_hundred_prefixes_are_within_the_budget() {
    let site = Site::start(ClusterOptions::default(), "{ enabled: true }").await;
    site.namespace("unlisted", json!({})).await;
    let prefixes: Vec<_> = (0..100).map(|i| format!("+1555{i:02}*")).collect();
    let listed = json!({
        "runtime.veralux.io/allowed-numbers": prefixes.join(","),
        "runtime.veralux.io/allowed-tenant-ids": "acme\nprobe",
    });
    site.namespace("listed", listed).await;
    site.enforced().await;
    let editor = site.user(EDITOR).await;
    // All below the last prefix, or below none: the most comparisons.
    let numbers = |start: &str| (0..500).map(|i| format!("{start}{i:05}")).collect::<Vec<_>>();
    let (last, none) = (numbers("+155599"), numbers("+1777"));
    let texts = |numbers: &[String]| tenant("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    editor.create("listed", &texts(&last)).await.unwrap();
    let more = none.iter().take(1).chain(last.iter().skip(1)).collect::<Vec<_>>();
    let refusal = editor.patch("listed", "acme", json!({ "spec": { "dids": more } })).await.unwrap_err();
    assert!(refusal.contains("may not claim +177700000: "), "{refusal}");
    let other = numbers("+155598");
    editor.patch("listed", "acme", json!({ "spec": { "dids": other } })).await.unwrap();
    let refusal = editor.try_create("listed", &texts(&none)).await.unwrap_err();
    assert!(
        refusal.contains("may not claim +177700000, +177700001, ") && refusal.contains(" and 490 more: "),
        "{refusal}"
    );
    assert!(refusal.contains(" and 80 more; who administers"), "{refusal}");
    site.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_leaves_the_claim() {
    let values = "{ enabled: true, validationActions: [Warn], namespaceSelector: { matchLabels: { claims: checked } } }";
    let documents = render(&format!("{LEAST}\nclaimsPolicy: {values}"));
    let bindings: Vec<_> =
        documents.iter().filter(|it| it["kind"] == "ValidatingAdmissionPolicyBinding").collect();
    assert_eq!(bindings.len(), 4);
    assert!(bindings.iter().all(|it| it["spec"]["validationActions"] == json!(["Warn"])));
    let site = Site::start(ClusterOptions::default(), values).await;
    let unlisted = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "unlisted", "labels": { "claims": "checked" } },
    });
    site.cluster.apply_yaml(&unlisted.to_string()).await.unwrap();
    let User(client) = site.user(EDITOR).await;
    let warned = || async {
        let request =
            hyper::Request::post("/apis/runtime.veralux.io/v1/namespaces/unlisted/runtimetenants?dryRun=All")
                .header(hyper::header::CONTENT_TYPE, "application/json")
                .body(tenant("acme", &["+15550100001"]).to_string().into_bytes().into())
                .unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), hyper::StatusCode::CREATED);
        let warning = response.headers().get(hyper::header::WARNING);
        warning.is_some_and(|warning| warning.to_str().unwrap().contains("may not claim +15550100001"))
    };
    eventually("the API server warns", TIMEOUT, warned).await;
    site.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_that_the_selector_reads_is_granted_too() {
    let values =
        "{ enabled: true, namespaceSelector: { matchExpressions: [{ key: free, operator: DoesNotExist }] } }";
    let site = Site::start(ClusterOptions::default(), values).await;
    for name in ["unlisted", "listed"] {
        site.namespace(name, json!({ "runtime.veralux.io/allowed-tenant-ids": "probe" })).await;
    }
    site.enforced().await;
    let (editor, owner) = (site.user(EDITOR).await, site.user(OWNER).await);
    refused_with(
        editor.label_namespace("unlisted", json!({ "free": "yes" })).await,
        "grants",
        "the annotations runtime.veralux.io/allowed-numbers and allowed-tenant-ids of a Namespace, and its labels free, need the verb \
         \"grantclaims\" on runtimetenants: a role must grant it",
    );
    editor.label_namespace("unlisted", json!({ "team": "voice" })).await.unwrap();
    owner.label_namespace("unlisted", json!({ "free": "yes" })).await.unwrap();
    site.cluster.stop().await.unwrap();
}
