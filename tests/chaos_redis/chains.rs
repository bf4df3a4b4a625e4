//! T9: chains of random specs, generated from the CRD's schema, valid and not, with roll-backs. In the end a resource and its
//! keys are as if it only ever had the last spec that the API server accepted.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use runtime_operator::domain::reason::Reason;
use serde_json::{Value, json};
use test_support::{Operator, World, generator, tenant};

use crate::full;
use crate::truth::TIMEOUT;

/// The number of resources, and of consecutive specs of each.
const SHORT: (usize, usize) = (12, 5);
const LONG: (usize, usize) = (150, 12);

/// Draws specs; the same seed draws the same specs.
struct Specs {
    runner: TestRunner,
    random: StdRng,
}

impl Specs {
    fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let bytes: [u8; 32] = random.clone().random();
        let source = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self { runner: TestRunner::new_with_rng(Config::default(), source), random }
    }

    /// Draws a spec for a resource: its tenant id stays, and no other resource has its DIDs.
    fn draw(&mut self, number: usize) -> Value {
        let mut spec = generator::spec().new_tree(&mut self.runner).unwrap().current();
        spec["tenantId"] = id(number).into();
        for did in spec["dids"].as_array_mut().into_iter().flatten() {
            if let Some(text) = did.as_str() {
                *did = text.replace("000", &format!("{:03}", number + 1)).into();
            }
        }
        spec
    }
}

fn id(number: usize) -> String {
    format!("chain-{number}")
}

/// A world in which resources get chains of specs, and one in which they are created with the last one.
struct Pair {
    edited: World,
    fresh: World,
    _operators: [Operator; 2],
}

impl Pair {
    async fn new() -> Self {
        let (edited, fresh) = tokio::join!(World::new(), World::new());
        for world in [&edited, &fresh] {
            world.apply_secret("webhook", "whsec").await;
        }
        let (one, other) = tokio::join!(edited.operator().start(), fresh.operator().start());
        Self { edited, fresh, _operators: [one, other] }
    }

    /// Applies a chain of specs, and creates the other resource with the last accepted one. Returns the counts.
    async fn chain(&self, specs: &mut Specs, number: usize, length: usize) -> Counts {
        let name = id(number);
        let mut counts = Counts::default();
        let mut accepted: Vec<Value> = Vec::new();
        while counts.applied < length || accepted.is_empty() {
            counts.applied += 1;
            let back = !accepted.is_empty() && specs.random.random_bool(0.2);
            let mut spec = if back {
                accepted[specs.random.random_range(0..accepted.len())].clone()
            } else {
                specs.draw(number)
            };
            // Most chains end with a spec that can be published.
            if counts.applied >= length && !number.is_multiple_of(4) {
                spec["suspend"] = false.into();
                spec["webhookSecretRef"] = json!({ "name": "webhook" });
            }
            match apply(&self.edited, &name, &spec).await {
                Ok(_) => accepted.push(spec),
                Err(_) => counts.rejected += 1,
            }
            // Some specs are superseded before they are reconciled.
            if !accepted.is_empty() && specs.random.random_bool(0.5) {
                wait_reconciled(&self.edited, &name).await;
            }
        }
        let stored = apply(&self.fresh, &name, accepted.last().unwrap()).await.unwrap();
        let edited = self.edited.get(&name).await.unwrap();
        assert_eq!(edited.data["spec"], stored, "the stored spec");
        counts
    }

    /// Waits until both are reconciled and equal; returns true if they are published.
    async fn wait_alike(&self, number: usize) -> bool {
        let name = id(number);
        self.edited
            .wait_within(TIMEOUT, &format!("{name} is as if it only ever had its last spec"), || async {
                let (edited, fresh) =
                    (observed(&self.edited, &name).await?, observed(&self.fresh, &name).await?);
                if edited == fresh {
                    Ok(edited["live"] != Value::Null)
                } else {
                    Err(format!("{edited:#} and not {fresh:#}"))
                }
            })
            .await
    }
}

#[derive(Default)]
struct Counts {
    applied: usize,
    rejected: usize,
}

async fn apply(world: &World, name: &str, spec: &Value) -> Result<Value, kube::Error> {
    let tenant = tenant(name).spec(spec.clone()).without_secret();
    world.try_apply(&tenant).await.map(|applied| applied.data["spec"].clone())
}

async fn wait_reconciled(world: &World, name: &str) {
    world
        .wait_within(TIMEOUT, &format!("{name} is reconciled"), || async {
            observed(world, name).await.map(drop)
        })
        .await;
}

/// Returns the visible state of a resource, without names of the world, ids and times. If it can't be published, earlier keys
/// stay, so that only its status counts.
async fn observed(world: &World, name: &str) -> Result<Value, String> {
    let resource = world.get(name).await.ok_or("it does not exist")?;
    let status = &resource.data["status"];
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let current =
        |condition: &&Value| condition["observedGeneration"].as_i64() == resource.metadata.generation;
    let ready = conditions.iter().find(|is| is["type"] == "Ready").filter(current);
    let Some(ready) = ready else { return Err(format!("the status is of an older spec: {status:#}")) };
    if Reason::ALL.iter().any(|reason| reason.is_failure() && ready["reason"] == reason.as_str()) {
        return Err(ready["message"].to_string());
    }
    let parts = |condition: &Value| {
        [&condition["type"], &condition["status"], &condition["reason"], &condition["message"]]
            .map(Value::clone)
    };
    let live = if ready["status"] == "True" {
        let dids = status["publishedDids"].clone();
        let config = world.config_text(name).await;
        let mapped = mapped(world, name).await;
        if mapped != dids.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>() {
            return Err(format!("{mapped:?} are mapped to it, and its status lists {dids}"));
        }
        let conditions: Vec<_> = conditions.iter().map(parts).collect();
        json!({ "conditions": conditions, "dids": dids, "hash": status["publishedHash"], "config": config })
    } else {
        Value::Null
    };
    Ok(json!({ "ready": ready["status"], "reason": ready["reason"], "live": live }))
}

/// Returns the DIDs that are mapped to a tenant, in the order of its config; DIDs that it does not list are at the end.
async fn mapped(world: &World, tenant: &str) -> Vec<String> {
    let mut dids = Vec::new();
    for key in world.keys("tenantmap:did:*").await {
        if world.key(&key).await.as_deref() == Some(tenant) {
            dids.push(key.trim_start_matches("tenantmap:did:").to_owned());
        }
    }
    let config = world.config(tenant).await.unwrap_or_default();
    let listed = config["dids"].as_array().cloned().unwrap_or_default();
    dids.sort_by_key(|did| listed.iter().position(|is| is == did).unwrap_or(listed.len()));
    dids
}

#[tokio::test]
async fn the_final_state_depends_only_on_the_last_spec() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("CHAINS_SEED").map(|text| text.parse().unwrap());
    let seed = seed.unwrap_or(if full() { now } else { 1 });
    let (chains, length) = if full() { LONG } else { SHORT };
    println!("chains: the same again: CHAINS_SEED={seed}");
    let (mut specs, pair) = (Specs::new(seed), Box::pin(Pair::new()).await);
    let (mut applied, mut rejected, mut published) = (0, 0, 0);
    for number in 0..chains {
        let counts = pair.chain(&mut specs, number, length).await;
        applied += counts.applied;
        rejected += counts.rejected;
    }
    for number in 0..chains {
        published += usize::from(pair.wait_alike(number).await);
    }
    println!(
        "chains: {applied} specs, {rejected} rejected, {chains} resources, {published} of them published"
    );
    assert!(published > chains / 3, "too few are published for a comparison: {published} of {chains}");
    assert!(rejected > 0 && rejected < applied * 9 / 10, "{rejected} of {applied} were rejected");
    pair.edited.finish().await;
    pair.fresh.finish().await;
}
