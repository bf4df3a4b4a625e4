//! The life of a release on the newest Kubernetes, installed with Helm 4: an upgrade and a rollback, restarts, a killed leader,
//! no replica at all, an uninstallation and another installation.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use local_cluster::ClusterOptions;
use serde_json::{Value, json};

use crate::audit;
use crate::caller::Callers;
use crate::pages::{Reader, blocks, chart};
use crate::previous;
use crate::site::Site;

/// The namespace that the pages use.
const NAMESPACE: &str = "voice-system";
const ACCOUNT: &str = "runtime-operator";
/// The example's DIDs, published from the first minute to the last.
const STEADY: [(&str, &str); 2] = [("+15551234567", "acme-dental"), ("+442079460958", "acme-dental")];

pub async fn story() {
    let site = Site::start(ClusterOptions::default()).await;
    let release =
        Release { site: &site, reader: Reader::new(&site, site.cluster.kubeconfig(), "reader", "helm") };
    site.namespace("shop").await;
    site.namespace("clinic").await;

    let mut clock = Clock::start();
    installed_in_its_previous_version(&release).await;
    clock.lap("installed and tested");
    let callers = Callers::of(&site.redis, &STEADY);
    upgraded(&release).await;
    clock.lap("upgraded and tested");
    everyone_may_do_what_their_role_says(&release).await;
    restarted_under_load(&release).await;
    clock.lap("restarted under load");
    leader_killed(&release).await;
    clock.lap("leader killed");
    scaled_to_nothing_and_back(&release).await;
    clock.lap("scaled to 0 and back");
    conflicts_are_reported(&release).await;
    rotations_are_reported(&release).await;
    clock.lap("conflict and rotations");
    rolled_back(&release).await;
    clock.lap("rolled back");
    rights_are_exactly_those_used(&release).await;
    uninstalled_and_installed_again(&release).await;
    clock.lap("uninstalled and installed again");
    println!("{} calls, none lost", callers.check());
}

struct Release<'a> {
    site: &'a Site,
    reader: Reader<'a>,
}

impl Release<'_> {
    /// Runs a kubectl command in the release's namespace.
    async fn kubectl(&self, line: &str) -> String {
        self.reader.runs(&format!("kubectl --namespace {NAMESPACE} {line}")).await
    }
}

async fn installed_in_its_previous_version(release: &Release<'_>) {
    release.reader.checks_out(&previous::write(release.site));
    release.reader.follows("install", "For all namespaces").await;
    for (did, tenant) in STEADY {
        assert_eq!(release.site.live(did).await.as_deref(), Some(tenant));
    }
    let running = "get pods -l app.kubernetes.io/component=operator";
    let nodes = release.kubectl(&format!("{running} -o jsonpath='{{.items[*].spec.nodeName}}'")).await;
    let nodes: BTreeSet<_> = nodes.split(' ').collect();
    assert_eq!(nodes, ["node-a", "node-b"].into(), "the replicas are spread over the nodes");
    assert_eq!(release.site.live("+999000000001").await, None, "helm test has removed its tenant");
}

async fn upgraded(release: &Release<'_>) {
    assert!(!knows_newer_field(release).await, "the older CRD has the newer field");
    release.reader.checks_out(&chart());
    release.reader.follows("upgrade", "To the next version").await;
    assert!(knows_newer_field(release).await, "the newer CRD is missing");
    release.kubectl("get poddisruptionbudget runtime-operator").await;
}

async fn knows_newer_field(release: &Release<'_>) -> bool {
    let path = "{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties}";
    let line = format!("get crd runtimetenants.runtime.veralux.io -o jsonpath='{path}'");
    let fields: Value = serde_json::from_str(&release.kubectl(&line).await).unwrap();
    fields.get(previous::NEWER_FIELD).is_some()
}

async fn everyone_may_do_what_their_role_says(release: &Release<'_>) {
    // Only a role that the platform binds may claim numbers.
    for (role, may) in [("view", ["yes", "no"]), ("edit", ["yes", "no"])] {
        let user = format!("{role}er");
        let bind = format!("create rolebinding {user} --clusterrole={role} --user={user}");
        release.kubectl(&format!("-n shop {bind}")).await;
        for (verb, may) in ["list", "create"].into_iter().zip(may) {
            let ask = format!("-n shop auth can-i {verb} rtenant --as={user} || true");
            release
                .site
                .wait(&format!("{user} may {verb}: {may}"), || async {
                    let answer = release.kubectl(&ask).await;
                    if answer.trim() == may { Ok(()) } else { Err(answer) }
                })
                .await;
        }
    }
}

/// Restarts the operator while tenants are created, none of which may be missed.
async fn restarted_under_load(release: &Release<'_>) {
    let [restart, _] = &blocks("upgrade", "Restarting and stopping")[..] else { panic!("two blocks") };
    let rollout = release.reader.runs(restart);
    let load = async {
        for number in 0..30 {
            let name = format!("load-{number}");
            release.site.apply("shop", &name, &format!("+1555020{number:04}")).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(rollout, load);
    for number in 0..30 {
        release.site.wait_live(&format!("+1555020{number:04}"), Some(&format!("load-{number}"))).await;
    }
}

async fn leader(release: &Release<'_>) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(release.site.client.clone(), NAMESPACE);
    let holder = leases.get("runtime-operator").await.unwrap().spec.unwrap().holder_identity?;
    Some(holder.split('_').next().unwrap().to_owned())
}

async fn leader_killed(release: &Release<'_>) {
    let site = release.site;
    let before =
        site.wait("there is a leader", || async { leader(release).await.ok_or("none".into()) }).await;
    site.kubelet.process(&before).unwrap().kill().await.unwrap();
    site.apply("shop", "after-the-kill", "+15550100010").await;
    site.wait_live("+15550100010", Some("after-the-kill")).await;
    site.wait("the killed container runs again", || async {
        let path = "{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}";
        let output = release.kubectl(&format!("get pod {before} -o jsonpath='{path}'")).await;
        if output == "1 true" { Ok(()) } else { Err(output) }
    })
    .await;
}

async fn scaled_to_nothing_and_back(release: &Release<'_>) {
    let site = release.site;
    let [_, stop] = &blocks("upgrade", "Restarting and stopping")[..] else { panic!("two blocks") };
    release.reader.runs(stop).await;
    site.apply("shop", "while-stopped", "+15550100011").await;
    site.tenants("shop").delete("load-0", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        site.live("+15550200000").await.as_deref(),
        Some("load-0"),
        "no operator runs that could remove it"
    );
    // Without its finalizer only the keys of a tenant are left, which the next claimant of its DID takes over.
    let without = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    site.tenants("shop").patch("load-1", &PatchParams::default(), &without).await.unwrap();
    site.tenants("shop").delete("load-1", &DeleteParams::default()).await.unwrap();
    site.apply("shop", "heir", "+15550200001").await;
    release.kubectl("scale deployment/runtime-operator --replicas=2").await;
    site.wait_live("+15550100011", Some("while-stopped")).await;
    site.wait_live("+15550200000", None).await;
    site.wait_live("+15550200001", Some("heir")).await;
}

/// Rotates a Secret faster than statuses are written, which results in one event that is patched.
async fn rotations_are_reported(release: &Release<'_>) {
    let site = release.site;
    site.apply("clinic", "lindenhof", "+15550100002").await;
    for round in 0.. {
        let value = format!("whsec-rotated-{round}");
        site.secret("clinic", "lindenhof", json!({ "webhookSecret": value })).await;
        let asked = audit::asked(&site.cluster.audit_log());
        if asked.iter().any(|asked| asked.resource == "events" && asked.verb == "patch") {
            return;
        }
        assert!(round < 500, "no event was patched\n{}", site.kubelet.logs());
    }
}

/// Makes two tenants claim one DID.
async fn conflicts_are_reported(release: &Release<'_>) {
    let site = release.site;
    site.apply("clinic", "rival", STEADY[0].0).await;
    site.wait_reason("clinic", "rival", "DidConflict").await;
    site.tenants("clinic").delete("rival", &DeleteParams::default()).await.unwrap();
}

async fn rolled_back(release: &Release<'_>) {
    release.reader.follows("upgrade", "Rollback").await;
    assert!(!knows_newer_field(release).await, "the CRD is the older one again");
    release.site.apply("shop", "after-the-rollback", "+15550100012").await;
    release.site.wait_reason("shop", "after-the-rollback", "Published").await;
    release.reader.follows("upgrade", "To the next version").await;
}

/// Checks that the permissions are sufficient and necessary: no request was denied, and each permission of the release was used
/// in this story.
async fn rights_are_exactly_those_used(release: &Release<'_>) {
    let manifest = release.reader.runs(&format!("helm get manifest runtime-operator -n {NAMESPACE}")).await;
    let manifest: Vec<Value> = serde_saphyr::from_multiple(&manifest).unwrap();
    let rights = audit::rights(&manifest, ACCOUNT);
    assert!(rights.len() > 15, "{rights:#?}");
    let asked = audit::asked(&release.site.cluster.audit_log());
    let denied: Vec<_> = asked.iter().filter(|asked| asked.denied).collect();
    assert!(denied.is_empty(), "denied: {denied:#?}");
    let user = format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}");
    let own: Vec<_> = asked.iter().filter(|asked| asked.user == user).collect();
    let unused: Vec<_> = rights.iter().filter(|right| !own.iter().any(|asked| right.covers(asked))).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
}

async fn uninstalled_and_installed_again(release: &Release<'_>) {
    let site = release.site;
    release.reader.follows("uninstall", "The release").await;
    release.kubectl("wait --for=delete pod --all --timeout=120s").await;
    let remaining = release.reader.runs("kubectl get rtenant -n clinic lindenhof -o name").await;
    assert_eq!(remaining.trim(), "runtimetenant.runtime.veralux.io/lindenhof");
    for (did, tenant) in STEADY {
        assert_eq!(site.live(did).await.as_deref(), Some(tenant), "published keys stay");
    }
    site.tenants("shop").delete("after-the-kill", &DeleteParams::default()).await.unwrap();
    assert_eq!(site.live("+15550100010").await.as_deref(), Some("after-the-kill"), "no operator runs");
    let blocks = blocks("install", "For all namespaces");
    let install = blocks.iter().find(|block| block.contains("helm install")).unwrap();
    release.reader.runs(install).await;
    site.wait_live("+15550100010", None).await;
    site.apply("shop", "after-it-all", "+15550100013").await;
    site.wait_reason("shop", "after-it-all", "Published").await;
}

/// Prints the duration of each part.
struct Clock(std::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn lap(&mut self, what: &str) {
        println!("{what}: {:.1} s", self.0.elapsed().as_secs_f64());
        self.0 = std::time::Instant::now();
    }
}
