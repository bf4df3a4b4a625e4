//! DIDs that move both ways, or in a ring: edited while no operator runs, so that it sees all edits together.

use test_support::{World, tenant};

use super::{FOUR, ONE, THREE, TWO, moved};

/// Publishes tenants with a DID each, and edits all of them while the operator is dead.
async fn edited_at_once(
    before: &[(&str, &str)],
    after: &[(&str, &[&str])],
) -> (World, Vec<(String, String)>) {
    let world = World::new().await;
    let operator = world.operator().start().await;
    for (name, did) in before {
        world.apply(&tenant(name).dids([*did])).await;
        world.wait_ready(name).await;
    }
    operator.kill().await.unwrap();
    for (name, dids) in after {
        world.set_dids(name, dids.iter().copied()).await;
    }
    let mut journal = world.journal().await;

    operator.restart().await.unwrap();

    for (name, dids) in after {
        world.wait_ready(name).await;
        for did in *dids {
            assert_eq!(world.live(did).await.as_deref(), Some(*name));
        }
    }
    let writes = journal.writes().await;
    (world, writes)
}

#[tokio::test]
async fn two_tenants_swap_dids_without_a_gap() {
    let (world, writes) =
        edited_at_once(&[("acme", ONE), ("beta", TWO)], &[("acme", &[TWO]), ("beta", &[ONE])]).await;

    moved(&writes, ONE, 1);
    moved(&writes, TWO, 1);
    world.finish().await;
}

#[tokio::test]
async fn three_tenants_rotate_dids_without_a_gap() {
    let before = [("acme", ONE), ("beta", TWO), ("cora", THREE)];
    let (world, writes) =
        edited_at_once(&before, &[("acme", &[TWO]), ("beta", &[THREE]), ("cora", &[ONE, FOUR])]).await;

    for did in [ONE, TWO, THREE, FOUR] {
        moved(&writes, did, 1);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_chain_of_transfers_leaves_no_gap() {
    let before = [("acme", ONE), ("beta", TWO), ("cora", THREE)];
    let (world, writes) =
        edited_at_once(&before, &[("acme", &[FOUR]), ("beta", &[ONE]), ("cora", &[TWO])]).await;

    for did in [ONE, TWO, FOUR] {
        moved(&writes, did, 1);
    }
    assert_eq!(world.live(THREE).await, None, "no tenant claims it any more");
    world.finish().await;
}

#[tokio::test]
async fn consecutive_edits_swap_without_a_gap_when_claims_precede_releases() {
    let world = World::new().await;
    world.operator().start().await;
    for (name, did) in [("acme", ONE), ("beta", TWO)] {
        world.apply(&tenant(name).dids([did])).await;
        world.wait_ready(name).await;
    }
    let mut journal = world.journal().await;

    // Each time the operator sees other edits together.
    let (mut mine, mut yours) = (ONE, TWO);
    for _ in 0..8 {
        world.set_dids("acme", [mine, yours]).await;
        world.set_dids("beta", [yours, mine]).await;
        world.set_dids("acme", [yours]).await;
        world.set_dids("beta", [mine]).await;
        world.wait_ready("acme").await;
        world.wait_ready("beta").await;
        assert_eq!(world.live(mine).await.as_deref(), Some("beta"));
        assert_eq!(world.live(yours).await.as_deref(), Some("acme"));
        std::mem::swap(&mut mine, &mut yours);
    }

    let writes = journal.writes().await;
    let unmapped = writes.iter().any(|(key, done)| key.starts_with("tenantmap:") && done == "del");
    assert!(!unmapped, "{writes:?}");
    world.finish().await;
}
