//! One release on the newest Kubernetes, installed by Helm 4: from the first version to the next and back, through
//! restarts, a killed leader and no replica at all, until it is uninstalled and installed again.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use local_cluster::ClusterOptions;
use serde_json::{Value, json};

use crate::audit;
use crate::caller::Callers;
use crate::helm::{Release, chart};
use crate::previous;
use crate::site::Site;

const NAMESPACE: &str = "voice-system";
const ACCOUNT: &str = "runtime-operator";
/// Live from the first minute to the last.
const STEADY: [(&str, &str); 2] = [("+15550100001", "acme"), ("+15550100002", "lindenhof")];
const VALUES: [&str; 12] = [
    "--set",
    "redis.existingSecret.name=redis",
    "--set",
    "redis.existingSecret.urlKey=url",
    "--set",
    "redis.existingSecret.passwordKey=password",
    "--set",
    "admin.enabled=true",
    "--set",
    "logLevel=info\\,runtime_operator=debug",
    "--wait",
    "--timeout=90s",
];

pub async fn story() {
    let site = Site::start(ClusterOptions::default()).await;
    let release = Release {
        site: &site,
        program: "helm",
        kubeconfig: site.cluster.kubeconfig().to_owned(),
        namespace: NAMESPACE,
    };
    site.namespace(NAMESPACE).await;
    site.namespace("shop").await;
    site.namespace("clinic").await;
    let redis = json!({ "url": "redis://redis.data.svc:6379/0", "password": "hunter2" });
    site.secret(NAMESPACE, "redis", redis).await;

    let mut clock = Clock::start();
    installed_in_its_previous_version(&release).await;
    clock.lap("installed");
    let callers = Callers::of(&site.redis, &STEADY);
    upgraded(&release).await;
    clock.lap("upgraded");
    tested(&release).await;
    clock.lap("tested");
    everyone_may_do_what_their_role_says(&release).await;
    restarted_under_load(&release).await;
    clock.lap("restarted under load");
    leader_killed(&release).await;
    clock.lap("leader killed");
    scaled_to_nothing_and_back(&release).await;
    clock.lap("scaled to 0 and back");
    conflicts_are_told(&release).await;
    rolled_back(&release).await;
    clock.lap("rolled back");
    rights_are_exactly_those_used(&release).await;
    uninstalled_and_installed_again(&release).await;
    clock.lap("uninstalled and installed again");
    println!("{} calls, none lost", callers.check());
}

async fn installed_in_its_previous_version(release: &Release<'_>) {
    let previous = previous::write(release.site);
    release.helm(&["install"], &[&[previous.to_str().unwrap()][..], &VALUES].concat()).await;
    for (namespace, (did, tenant)) in ["shop", "clinic"].into_iter().zip(STEADY) {
        release.site.apply(namespace, tenant, did).await;
        release.site.wait_reason(namespace, tenant, "Published").await;
        release.site.wait_live(did, Some(tenant)).await;
    }
    let pods = release.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]).await;
    let nodes: BTreeSet<_> = pods.split(' ').collect();
    assert_eq!(nodes, ["node-a", "node-b"].into(), "the replicas are spread over the nodes");
}

async fn upgraded(release: &Release<'_>) {
    let explain = ["explain", &format!("rtenant.spec.{}", previous::NEWER_FIELD)];
    assert!(!knows_newer_field(release).await, "the older definition has the newer field");
    release.helm(&["upgrade"], &[&[chart().to_str().unwrap()][..], &VALUES].concat()).await;
    release
        .site
        .wait("the newer definition is served", || async {
            if knows_newer_field(release).await { Ok(()) } else { Err("it is not".into()) }
        })
        .await;
    release.kubectl(&explain).await;
    release.kubectl(&["get", "poddisruptionbudget", "runtime-operator"]).await;
    for (namespace, (_, tenant)) in ["shop", "clinic"].into_iter().zip(STEADY) {
        release.site.wait_reason(namespace, tenant, "Published").await;
    }
}

async fn knows_newer_field(release: &Release<'_>) -> bool {
    let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties}";
    let fields = release.kubectl(&["get", "crd", "runtimetenants.runtime.veralux.io", "-o", path]).await;
    let fields: Value = serde_json::from_str(&fields).unwrap();
    fields.get(previous::NEWER_FIELD).is_some()
}

/// `helm test`: the tenant that it makes is gone afterwards.
async fn tested(release: &Release<'_>) {
    let told = release.helm(&["test"], &["--timeout=120s"]).await;
    assert!(told.contains("Succeeded"), "{told}");
    assert_eq!(release.site.live("+999000000001").await, None);
}

async fn everyone_may_do_what_their_role_says(release: &Release<'_>) {
    for (role, may) in [("view", ["yes", "no"]), ("edit", ["yes", "yes"])] {
        let user = format!("{role}er");
        let (binding, bound) = (format!("--clusterrole={role}"), format!("--user={user}"));
        release.kubectl(&["-n", "shop", "create", "rolebinding", &user, &binding, &bound]).await;
        for (verb, may) in ["list", "create"].into_iter().zip(may) {
            let what = format!("{user} {verb}");
            release
                .site
                .wait(&what, || async {
                    let review = review(release, &user, verb).await;
                    if review == may { Ok(()) } else { Err(review) }
                })
                .await;
        }
    }
}

async fn review(release: &Release<'_>, user: &str, verb: &str) -> String {
    use k8s_openapi::api::authorization::v1::SubjectAccessReview;
    let spec = json!({ "user": user, "resourceAttributes": {
        "namespace": "shop", "verb": verb, "group": "runtime.veralux.io", "resource": "runtimetenants" } });
    let review: SubjectAccessReview = serde_json::from_value(json!({ "spec": spec })).unwrap();
    let reviews = Api::all(release.site.client.clone());
    let answer = reviews.create(&kube::api::PostParams::default(), &review).await.unwrap();
    if answer.status.unwrap().allowed { "yes".into() } else { "no".into() }
}

/// New tenants arrive all the while, and none is left out.
async fn restarted_under_load(release: &Release<'_>) {
    release.kubectl(&["rollout", "restart", "deployment/runtime-operator"]).await;
    let rollout = release.kubectl(&["rollout", "status", "deployment/runtime-operator", "--timeout=90s"]);
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
        let path =
            "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}";
        let told = release.kubectl(&["get", "pod", &before, "-o", path]).await;
        if told == "1 true" { Ok(()) } else { Err(told) }
    })
    .await;
}

async fn scaled_to_nothing_and_back(release: &Release<'_>) {
    let site = release.site;
    release.kubectl(&["scale", "deployment/runtime-operator", "--replicas=0"]).await;
    release.kubectl(&["wait", "--for=delete", "pod", "--all", "--timeout=90s"]).await;
    site.apply("shop", "while-nobody-ran", "+15550100011").await;
    site.tenants("shop").delete("load-0", &DeleteParams::default()).await.unwrap();
    assert_eq!(site.live("+15550200000").await.as_deref(), Some("load-0"), "nobody is there to remove it");
    // The release's own number of replicas comes back with it.
    release.kubectl(&["scale", "deployment/runtime-operator", "--replicas=2"]).await;
    site.wait_live("+15550100011", Some("while-nobody-ran")).await;
    site.wait_live("+15550200000", None).await;
}

/// Two claims of one number: the waiting one is told again and again, which is what patching events is for.
async fn conflicts_are_told(release: &Release<'_>) {
    let site = release.site;
    site.apply("clinic", "rival", "+15550100001").await;
    site.wait_reason("clinic", "rival", "DidConflict").await;
    site.tenants("clinic").delete("rival", &DeleteParams::default()).await.unwrap();
}

async fn rolled_back(release: &Release<'_>) {
    release.helm(&["rollback"], &["1", "--wait", "--timeout=90s"]).await;
    assert!(!knows_newer_field(release).await, "the definition is the older one again");
    release.site.apply("shop", "after-the-rollback", "+15550100012").await;
    release.site.wait_reason("shop", "after-the-rollback", "Published").await;
    release.helm(&["upgrade"], &[&[chart().to_str().unwrap()][..], &VALUES].concat()).await;
}

/// Whatever is not needed is not granted, and whatever is needed is: each right of the release was used in this story,
/// so that without it a request would have been denied, and none was.
async fn rights_are_exactly_those_used(release: &Release<'_>) {
    let manifest = release.helm(&["get", "manifest"], &[]).await;
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
    release.helm(&["uninstall"], &["--wait", "--timeout=120s"]).await;
    release.kubectl(&["wait", "--for=delete", "pod", "--all", "--timeout=60s"]).await;
    assert_eq!(site.tenants("clinic").get("lindenhof").await.unwrap().data["spec"]["tenantId"], "lindenhof");
    for (did, tenant) in STEADY {
        assert_eq!(site.live(did).await.as_deref(), Some(tenant), "what is live stays");
    }
    // The definition was left behind, so Helm must be told that it is this release's again.
    release.helm(&["install"], &[&[chart().to_str().unwrap()][..], &VALUES].concat()).await;
    site.wait_reason("clinic", "lindenhof", "Published").await;
    site.tenants("shop").delete("after-the-kill", &DeleteParams::default()).await.unwrap();
    site.wait_live("+15550100010", None).await;
}

/// Tells how long each part took.
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
