//! Two clusters, each with an operator of its own, on one Redis.

use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use test_support::{Operator, Tenant, World, tenant};

use super::{ONE, THREE, TWO, published_before, take_over};

pub const HERE: &str = "cluster-here";
pub const THERE: &str = "cluster-there";

/// Each operator watches one namespace, which stands for its cluster.
pub struct Two {
    pub world: World,
    pub there: String,
    pub operators: [Operator; 2],
}

impl Two {
    pub async fn start() -> Self {
        Self::start_in([HERE, THERE]).await
    }

    /// Starts operators of these clusters, each with a Lease of its own.
    pub async fn start_in(clusters: [&str; 2]) -> Self {
        let mut world = World::new().await;
        let there = world.add_namespace().await;
        let here = world.namespace().to_owned();
        let one = |namespace: &str, cluster| {
            let operator = world.operator().env("WATCH_NAMESPACES", namespace).env("CLUSTER_ID", cluster);
            operator.env("LEASE_NAME", namespace).start()
        };
        let operators = [one(&here, clusters[0]).await, one(&there, clusters[1]).await];
        Self { world, there, operators }
    }

    /// Applies a tenant in the other cluster, and waits until it is Ready.
    pub async fn ready_there(&self, tenant: Tenant, name: &str) {
        self.world.apply(&tenant.in_namespace(&self.there)).await;
        self.world.wait_condition_in(&self.there, name, "Ready", "True", "Published").await;
    }

    /// Waits until each operator has reconciled everything that was written until now.
    pub async fn settle(&self) {
        let reconciles = |operator: &Operator| {
            let operator = operator.clone();
            async move { operator.metric("runtime_operator_reconciles_total").await }
        };
        for (operator, namespace) in self.operators.iter().zip([self.world.namespace(), &self.there]) {
            let before = reconciles(operator).await;
            for tenant in self.world.tenants_in(namespace).list(&ListParams::default()).await.unwrap() {
                let poke = json!({ "metadata": { "labels": { "touched": format!("{before}") } } });
                let patch = kube::api::Patch::Merge(poke);
                let name = tenant.metadata.name.unwrap();
                let tenants = self.world.tenants_in(namespace);
                tenants.patch(&name, &kube::api::PatchParams::default(), &patch).await.unwrap();
            }
            let more = || async {
                let now = reconciles(operator).await;
                if now > before { Ok(()) } else { Err(format!("{now} reconciles")) }
            };
            self.world.wait("the operator reconciles again", more).await;
        }
    }
}

#[tokio::test]
async fn a_tenant_id_stays_with_the_cluster_that_published_it() {
    let two = Two::start().await;
    two.ready_there(tenant("acme").dids([ONE]), "acme").await;
    let config = two.world.config_text("acme").await;

    two.world.apply(&tenant("acme").dids([ONE, TWO])).await;

    let message = two.world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    assert!(message.contains(THERE) && message.contains(&format!("{}/acme", two.there)), "{message}");
    two.world.wait_event("acme", "OwnedElsewhere").await;
    assert_eq!(two.world.config_text("acme").await, config);
    assert_eq!(two.world.live(TWO).await, None);

    // Its deletion here removes nothing there.
    two.world.delete("acme").await;
    two.world.wait_deleted("acme").await;
    assert_eq!(two.world.config_text("acme").await, config);
    two.world.finish().await;
}

#[tokio::test]
async fn take_over_moves_a_tenant_and_the_other_cluster_reports_it() {
    let two = Two::start().await;
    let world = &two.world;
    two.ready_there(tenant("acme").dids([ONE, THREE]).secret("there"), "acme").await;
    world.apply(&tenant("acme").dids([ONE, TWO]).secret("here")).await;
    world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;

    take_over(world, world.namespace(), "acme").await;

    world.wait_ready("acme").await;
    let note = world.wait_event("acme", "TakenOver").await;
    assert!(note.contains(THERE), "{note}");
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "here");
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    assert_eq!(world.live(TWO).await.as_deref(), Some("acme"));
    assert_eq!(world.live(THREE).await, None);
    let message = world.wait_condition_in(&two.there, "acme", "Ready", "False", "OwnedElsewhere").await;
    assert!(message.contains(HERE), "{message}");
    world.wait_condition_in(&two.there, "acme", "Published", "False", "OwnedElsewhere").await;
    let lost = world.tenants_in(&two.there).get("acme").await.unwrap();
    assert_eq!(lost.data["status"]["publishedDidCount"], 0, "nothing of it is published any more");

    two.settle().await;
    let mut journal = world.journal().await;
    two.settle().await;
    let writes = journal.writes().await;
    let contract = |key: &str| key.starts_with("tenant");
    assert!(!writes.iter().any(|(key, _)| contract(key)), "{writes:?}");

    // The deletion of the rest there removes nothing here.
    world.tenants_in(&two.there).delete("acme", &DeleteParams::default()).await.unwrap();
    let gone = || async {
        let left = world.tenants_in(&two.there).get_opt("acme").await.unwrap();
        if left.is_none() { Ok(()) } else { Err(String::from("it exists")) }
    };
    world.wait("it is deleted", gone).await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    two.world.finish().await;
}

/// Sets the take-over annotation to a value, or removes it.
async fn annotate(world: &World, namespace: &str, name: &str, value: Option<&str>) {
    let annotated = json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": value } } });
    let patch = kube::api::Patch::Merge(annotated);
    world.tenants_in(namespace).patch(name, &kube::api::PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn of_two_standing_annotations_one_takes_over_once() {
    let two = Two::start().await;
    let world = &two.world;
    let there = two.there.clone();
    two.ready_there(tenant("acme").dids([ONE]).secret("there"), "acme").await;
    annotate(world, &there, "acme", Some("true")).await;
    let used = |namespace: String| async move {
        let acme = world.tenants_in(&namespace).get("acme").await.unwrap();
        acme.data["status"]["takeOver"].clone()
    };
    world
        .wait("the status says that the annotation is used", || async {
            let used = used(there.clone()).await;
            if used["used"] == "true" { Ok(()) } else { Err(used.to_string()) }
        })
        .await;
    let uid_there = world.tenants_in(&there).get("acme").await.unwrap().metadata.uid.unwrap();

    world.apply(&tenant("acme").dids([ONE]).secret("here")).await;
    annotate(world, world.namespace(), "acme", Some("true")).await;

    world.wait_ready("acme").await;
    world.wait_condition_in(&there, "acme", "Ready", "False", "OwnedElsewhere").await;
    let took = used(world.namespace().to_owned()).await;
    assert_eq!(took, json!({ "used": "true", "from": [{ "cluster": THERE, "uid": uid_there }] }));
    let noted: String = redis::cmd("HGET")
        .arg("runtime-operator:tenant:acme")
        .arg("taken")
        .query_async(&mut world.connection().await)
        .await
        .unwrap();
    assert_eq!(noted, format!("{uid_there} {THERE}"));

    // No resource takes it back, whatever is reconciled, and after a restart.
    let mut journal = world.journal().await;
    two.settle().await;
    two.operators[1].restart().await.unwrap();
    two.settle().await;
    two.settle().await;
    let contract = |(key, _): &&(String, String)| key.starts_with("tenant");
    assert_eq!(
        journal.writes().await.iter().filter(contract).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new()
    );
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "here");

    // Removed and set again, it takes once more; and the one here does not take back.
    annotate(world, &there, "acme", None).await;
    annotate(world, &there, "acme", Some("true")).await;
    world.wait_condition_in(&there, "acme", "Ready", "True", "Published").await;
    world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    two.settle().await;
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "there");

    // So does the name of the holder.
    annotate(world, world.namespace(), "acme", Some(&format!("{THERE}/{there}/other"))).await;
    two.settle().await;
    world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    annotate(world, world.namespace(), "acme", Some(&format!("{THERE}/{there}/acme"))).await;
    world.wait_ready("acme").await;
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "here");
    two.world.finish().await;
}

#[tokio::test]
async fn a_did_stays_with_its_cluster_until_it_is_taken_over() {
    let two = Two::start().await;
    let world = &two.world;
    two.ready_there(tenant("beta").dids([ONE, THREE]), "beta").await;

    world.apply(&tenant("acme").dids([ONE, TWO])).await;

    let message = world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    assert!(message.contains(ONE) && message.contains(THERE) && message.contains("/beta"), "{message}");
    world.wait_condition("acme", "DidsClaimed", "False", "OwnedElsewhere").await;
    assert_eq!(world.config("acme").await.unwrap()["dids"], json!([TWO]));
    assert_eq!(world.live(ONE).await.as_deref(), Some("beta"));

    take_over(world, world.namespace(), "acme").await;

    world.wait_ready("acme").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    let message = world.wait_condition_in(&two.there, "beta", "Ready", "False", "OwnedElsewhere").await;
    assert!(message.contains(ONE) && message.contains(HERE), "{message}");
    assert_eq!(world.config("beta").await.unwrap()["dids"], json!([THREE]));
    assert_eq!(world.live(THREE).await.as_deref(), Some("beta"));
    two.world.finish().await;
}

#[tokio::test]
async fn a_did_released_by_another_cluster_is_claimed_without_a_watch_event() {
    let two = Two::start().await;
    let world = &two.world;
    two.ready_there(tenant("beta").dids([ONE, THREE]), "beta").await;
    two.ready_there(tenant("cora").dids([TWO]), "cora").await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.apply(&tenant("cora").dids([TWO])).await;
    world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    world.wait_condition("cora", "Ready", "False", "OwnedElsewhere").await;

    let there = world.tenants_in(&two.there);
    let dids = kube::api::Patch::Merge(json!({ "spec": { "dids": [THREE] } }));
    there.patch("beta", &kube::api::PatchParams::default(), &dids).await.unwrap();
    there.delete("cora", &DeleteParams::default()).await.unwrap();

    world.wait_ready("acme").await;
    world.wait_ready("cora").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    assert_eq!(world.config("cora").await.unwrap()["webhookSecret"], "whsec-of-cora");
    two.world.finish().await;
}

#[tokio::test]
async fn a_tenant_that_is_refused_on_its_id_leaves_free_numbers_to_the_next_claimant() {
    let two = Two::start().await;
    let world = &two.world;
    two.ready_there(tenant("acme").dids([ONE]), "acme").await;
    world.apply(&tenant("acme").named("blocked").dids([TWO, THREE])).await;
    world.wait_condition("blocked", "Ready", "False", "OwnedElsewhere").await;
    published_before(world, "legacy", &["+15550000008"]).await;
    world.apply(&tenant("legacy").dids(["+15550000004"])).await;
    world.wait_condition("legacy", "Ready", "False", "AdoptionWouldUnmap").await;
    world.wait_until_younger_than("legacy").await;

    world.apply(&tenant("honest").dids([TWO, "+15550000004"])).await;

    world.wait_ready("honest").await;
    two.operators[0].restart().await.unwrap();
    two.settle().await;
    world.wait_condition("blocked", "Ready", "False", "OwnedElsewhere").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("honest"));

    // Once it may have its tenant id, it gets what is still free.
    world.tenants_in(&two.there).delete("acme", &DeleteParams::default()).await.unwrap();
    world.wait_live(THREE, Some("acme")).await;
    world.wait_condition("blocked", "Ready", "False", "DidConflict").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("honest"), "what is live stays");
    two.world.finish().await;
}

#[tokio::test]
async fn two_idle_operators_on_one_redis_write_nothing() {
    let two = Two::start().await;
    let world = &two.world;
    two.ready_there(tenant("beta").dids([ONE]), "beta").await;
    world.apply(&tenant("acme").dids([TWO])).await;
    world.wait_ready("acme").await;
    two.settle().await;
    // By then each has seen everything of the other's start.
    wait_probes(world, 6).await;
    let mut journal = world.journal().await;
    let before = two.operators[0].metric("runtime_operator_reconciles_total").await;

    wait_probes(world, 6).await;

    assert_eq!(journal.writes().await, []);
    let more = two.operators[0].metric("runtime_operator_reconciles_total").await - before;
    assert!(more < 1.0, "{more} reconciles without a change");
    two.world.finish().await;
}

/// Waits until the operators have made this many more of the checks that they make every second.
async fn wait_probes(world: &World, more: u64) {
    let least = probes(world).await + more;
    let check = || async {
        let count = probes(world).await;
        if count >= least { Ok(()) } else { Err(format!("{count} checks, not {least}")) }
    };
    world.wait("the operators check Redis for changes", check).await;
}

async fn probes(world: &World) -> u64 {
    let mut info = redis::cmd("INFO");
    let stats: String = info.arg("commandstats").query_async(&mut world.connection().await).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_client|trackinginfo:calls="));
    calls.and_then(|calls| calls.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}
