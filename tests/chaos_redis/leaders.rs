//! T8: a leader is frozen and superseded, with a write, or its number, still on the way. Not one of its writes is
//! accepted, whatever it still has to say.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::gate::Gate;
use crate::support::{Operator, World, tenant};
use crate::truth::{PATIENCE, wait_true};

const A: &str = "+15550100001";
const B: &str = "+15550100002";
const C: &str = "+15550100003";
const D: &str = "+15550100004";
const EPOCH: &str = "runtime-operator:epoch";

async fn give(world: &World, did: &str) {
    world.patch("acme", json!({ "spec": { "dids": [did] } })).await;
}

/// It has nothing more to do here, and says so by how it ends.
async fn wait_resigned(operator: &Operator) {
    let status = operator.wait_exit(PATIENCE).await.unwrap();
    assert!(!status.success(), "it was superseded: a restart makes it a follower");
    assert!(operator.logs().contains("lost the Lease"), "{}", operator.log_tail());
}

/// A leader that is frozen while the write by which `acme` gets the number B is in the gate; and a follower.
async fn frozen_with_a_write_on_its_way(world: &World, gate: &Gate) -> (Operator, Operator) {
    let first = world.operator().leader_elect().env("REDIS_URL", gate.url()).start().await;
    world.wait_leading(&first).await;
    world.apply(&tenant("acme").dids([A])).await;
    world.wait_ready("acme").await;
    let second = world.operator().leader_elect().start().await;
    gate.hold(B);
    give(world, B).await;
    gate.wait_held().await;
    first.freeze().await.unwrap();
    (first, second)
}

/// The write that is on its way arrives and is refused; thawed, its sender gives up, and nothing of it is in Redis.
async fn resigns_without_a_write(world: &World, gate: &Gate, superseded: &Operator) {
    let mut journal = world.journal().await;
    let answer = gate.release().await;
    assert!(answer.contains("\"fenced\":true"), "{answer}");
    // What it hears once it thaws are all the edits that it missed; it acts on none.
    superseded.thaw().unwrap();
    wait_resigned(superseded).await;
    assert_eq!(journal.writes().await, [], "nobody had anything to write");
}

#[tokio::test]
async fn a_write_on_its_way_from_a_leader_that_was_superseded_is_refused() {
    let world = World::new().await;
    let gate = Gate::start(world.redis().address()).await;
    let (first, second) = frozen_with_a_write_on_its_way(&world, &gate).await;
    let frozen = Instant::now();
    world.wait_leading(&second).await;
    world.wait_live(B, Some("acme")).await;
    println!("leaders: what a leader that is gone had to publish was live after {:?}", frozen.elapsed());
    give(&world, C).await;
    world.apply(&tenant("beta").dids([B])).await;
    wait_true(&world, world.redis()).await;

    resigns_without_a_write(&world, &gate, &first).await;

    wait_true(&world, world.redis()).await;
    give(&world, D).await;
    world.wait_live(D, Some("acme")).await;
    wait_true(&world, world.redis()).await;
    assert!(second.is_running());
    world.finish().await;
}

#[tokio::test]
async fn a_replica_that_takes_its_number_after_its_lease_expired_never_writes_and_its_successor_goes_on() {
    let world = World::new().await;
    let gate = Gate::start(world.redis().address()).await;
    // Redis has learnt the scripts by then, so that what is held is the call itself.
    let earlier = world.operator().leader_elect().start().await;
    world.apply(&tenant("acme").dids([A])).await;
    world.wait_ready("acme").await;
    gate.hold("runtime-operator:epochs");
    let late = world.operator().leader_elect().env("REDIS_URL", gate.url()).spawn().await;
    assert!(earlier.stop().await.unwrap().status.success());
    gate.wait_held().await;
    late.freeze().await.unwrap();
    let successor = world.operator().leader_elect().spawn().await;
    world.wait_leading(&successor).await;
    give(&world, B).await;
    world.wait_live(B, Some("acme")).await;

    let taken: u64 = gate.release().await.trim_matches([':', '\r', '\n']).parse().unwrap();

    // The number is the latest, and fences the one who leads: until it has asked whether it still does.
    assert_eq!(world.key(EPOCH).await, Some(taken.to_string()));
    give(&world, C).await;
    world.wait_live(C, Some("acme")).await;
    late.thaw().unwrap();
    wait_resigned(&late).await;
    assert!(!late.logs().contains("leads epoch"), "it held no Lease when it had its number");
    give(&world, D).await;
    wait_true(&world, world.redis()).await;
    assert_eq!(world.live(D).await.as_deref(), Some("acme"));
    let epoch: u64 = world.key(EPOCH).await.unwrap().parse().unwrap();
    assert_eq!(epoch, taken + 1, "one number more is all that it cost");
    assert!(successor.is_running());
    world.finish().await;
}

#[tokio::test]
async fn a_write_of_a_superseded_leader_is_refused_though_the_counter_was_lost_and_begins_again() {
    let world = World::new().await;
    let gate = Gate::start(world.redis().address()).await;
    let (first, second) = frozen_with_a_write_on_its_way(&world, &gate).await;
    world.wait_leading(&second).await;
    world.wait_live(B, Some("acme")).await;

    world.delete_key(EPOCH).await;
    give(&world, C).await;
    world.wait_live(C, Some("acme")).await;
    let epoch: u64 = world.key(EPOCH).await.unwrap().parse().unwrap();
    assert!(epoch > 2, "never set back: {epoch}");

    // Nobody is left who knows of any number but the one who is frozen, and his is given out again.
    assert!(second.stop().await.unwrap().status.success());
    world.redis_cli(&["FLUSHALL"]).await;
    let third = world.operator().leader_elect().start().await;
    world.wait_leading(&third).await;
    wait_true(&world, world.redis()).await;
    assert_eq!(world.key(EPOCH).await.as_deref(), Some("1"));

    resigns_without_a_write(&world, &gate, &first).await;

    give(&world, D).await;
    world.wait_live(D, Some("acme")).await;
    wait_true(&world, world.redis()).await;
    world.finish().await;
}

#[tokio::test]
#[ignore = "long: make chaos"]
async fn two_leaders_that_are_frozen_in_turn_while_everything_is_edited_leave_no_trace() {
    let world = World::new().await;
    let first = world.operator().leader_elect().start().await;
    world.wait_leading(&first).await;
    let names: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    let did = |round: usize, n: usize| format!("+1555{round:03}{n:04}");
    for (n, name) in names.iter().enumerate() {
        world.apply(&tenant(name).dids([did(0, n).as_str()])).await;
    }
    let second = world.operator().leader_elect().start().await;
    wait_true(&world, world.redis()).await;
    for (round, (frozen, awake)) in (1..).zip([(&first, &second), (&second, &first)]) {
        frozen.freeze().await.unwrap();
        for (n, name) in names.iter().enumerate() {
            world.set_dids(name, [did(round, n).as_str()]).await;
        }
        world.wait_leading(awake).await;
        // Each takes the number that another had before, which is what the frozen one has in its queue too.
        for (n, name) in names.iter().enumerate() {
            world.set_dids(name, [did(round, (n + 1) % names.len()).as_str()]).await;
        }
        wait_true(&world, world.redis()).await;
        let mut journal = world.journal().await;

        frozen.thaw().unwrap();

        wait_resigned(frozen).await;
        assert_eq!(journal.writes().await, [], "nobody had anything to write");
        wait_true(&world, world.redis()).await;
        frozen.restart().await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(60), first.stop()).await.unwrap().unwrap();
    world.finish().await;
}
