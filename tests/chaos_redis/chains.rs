//! T9: chains of random specs, made from the CRD's schema, valid and not, with roll-backs. In the end a resource, and
//! what Redis holds of it, is as if it only ever had the last spec that the API server took.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::full;
use crate::generator;
use crate::support::{Operator, World, tenant};
use crate::truth::PATIENCE;

/// How many resources, and how many specs each has one after the other.
const SHORT: (usize, usize) = (12, 5);
const LONG: (usize, usize) = (150, 12);

/// Draws specs; a seed draws the same again.
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

    /// Of the resource of this number: its tenant id stays, and no other has its numbers.
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

/// One whose specs came one after the other, and one that was made with the last of them.
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

    /// Applies a chain, and makes the other with the last spec of it that was taken: whether that can be published.
    async fn chain(&self, specs: &mut Specs, number: usize, length: usize) -> Counts {
        let name = id(number);
        let mut counts = Counts::default();
        let mut taken: Vec<Value> = Vec::new();
        while counts.asked < length || taken.is_empty() {
            counts.asked += 1;
            let back = !taken.is_empty() && specs.random.random_bool(0.2);
            let mut spec = if back {
                taken[specs.random.random_range(0..taken.len())].clone()
            } else {
                specs.draw(number)
            };
            // Most end as something that can be published.
            if counts.asked >= length && !number.is_multiple_of(4) {
                spec["suspend"] = false.into();
                spec["webhookSecretRef"] = json!({ "name": "webhook" });
            }
            match apply(&self.edited, &name, &spec).await {
                Ok(_) => taken.push(spec),
                Err(_) => counts.refused += 1,
            }
            // Some are superseded before anybody has looked at them.
            if !taken.is_empty() && specs.random.random_bool(0.5) {
                wait_looked_at(&self.edited, &name).await;
            }
        }
        let stored = apply(&self.fresh, &name, taken.last().unwrap()).await.unwrap();
        let edited = self.edited.get(&name).await.unwrap();
        assert_eq!(edited.data["spec"], stored, "what the API server keeps");
        counts
    }

    /// Waits until both are looked at and as like as can be; whether they are published.
    async fn wait_alike(&self, number: usize) -> bool {
        let name = id(number);
        self.edited
            .wait_within(PATIENCE, &format!("{name} is as if it only ever had its last spec"), || async {
                let (edited, fresh) = (look(&self.edited, &name).await?, look(&self.fresh, &name).await?);
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
    asked: usize,
    refused: usize,
}

async fn apply(world: &World, name: &str, spec: &Value) -> Result<Value, kube::Error> {
    let tenant = tenant(name).spec(spec.clone()).without_secret();
    world.try_apply(&tenant).await.map(|applied| applied.data["spec"].clone())
}

async fn wait_looked_at(world: &World, name: &str) {
    world
        .wait_within(PATIENCE, &format!("{name} is looked at"), || async {
            look(world, name).await.map(drop)
        })
        .await;
}

/// What there is to see, but for what names the world, the object or the time. Of one that can't be published now, what
/// was live before stays: then only what it says of itself counts.
async fn look(world: &World, name: &str) -> Result<Value, String> {
    let resource = world.get(name).await.ok_or("it is not there")?;
    let status = &resource.data["status"];
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let current =
        |condition: &&Value| condition["observedGeneration"].as_i64() == resource.metadata.generation;
    let ready = conditions.iter().find(|is| is["type"] == "Ready").filter(current);
    let Some(ready) = ready else { return Err(format!("nothing is said of the last spec: {status:#}")) };
    if ready["reason"] == "RedisUnavailable" {
        return Err(ready["message"].to_string());
    }
    let said = |condition: &Value| {
        [&condition["type"], &condition["status"], &condition["reason"], &condition["message"]]
            .map(Value::clone)
    };
    let live = if ready["status"] == "True" {
        let dids = status["publishedDids"].clone();
        let config = world.config_text(name).await;
        let mapped = mapped(world, name).await;
        if mapped != dids.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>() {
            return Err(format!("{mapped:?} are mapped to it, and it says {dids}"));
        }
        let conditions: Vec<_> = conditions.iter().map(said).collect();
        json!({ "conditions": conditions, "dids": dids, "hash": status["publishedHash"], "config": config })
    } else {
        Value::Null
    };
    Ok(json!({ "ready": ready["status"], "reason": ready["reason"], "live": live }))
}

/// The numbers that lead to a tenant, in the order in which it lists them; a number that it does not list is at the end.
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
async fn where_a_resource_ends_depends_on_its_last_spec_alone() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("CHAINS_SEED").map(|text| text.parse().unwrap());
    let seed = seed.unwrap_or(if full() { now } else { 1 });
    let (chains, length) = if full() { LONG } else { SHORT };
    println!("chains: the same again: CHAINS_SEED={seed}");
    let (mut specs, pair) = (Specs::new(seed), Box::pin(Pair::new()).await);
    let (mut asked, mut refused, mut published) = (0, 0, 0);
    for number in 0..chains {
        let counts = pair.chain(&mut specs, number, length).await;
        asked += counts.asked;
        refused += counts.refused;
    }
    for number in 0..chains {
        published += usize::from(pair.wait_alike(number).await);
    }
    println!("chains: {asked} specs, {refused} refused, {chains} resources, {published} of them published");
    assert!(published > chains / 3, "what is compared is mostly what is live: {published} of {chains}");
    assert!(refused > 0 && refused < asked * 9 / 10, "{refused} of {asked} were refused");
    pair.edited.finish().await;
    pair.fresh.finish().await;
}
