//! Two installs for the same namespaces, and two operators in one namespace.

use kube::Api;
use kube::api::ListParams;
use test_support::{Operator, World, tenant};

use super::{Lease, holder};

/// Waits until `/readyz` says this, whatever its status.
async fn wait_said(world: &World, operator: &Operator, text: &str) -> String {
    world
        .wait(&format!("/readyz says {text:?}"), || async {
            let (_, said) = operator.probe("readyz").await.ok_or("no answer")?;
            if said.contains(text) { Ok(said) } else { Err(said) }
        })
        .await
}

async fn wait_lease_event(world: &World, namespace: &str, reason: &str) {
    use k8s_openapi::api::events::v1::Event;
    let events: Api<Event> = Api::namespaced(world.client(), namespace);
    world
        .wait(&format!("an event {reason} on the Lease in {namespace}"), || async {
            let all = events.list(&ListParams::default()).await.unwrap().items;
            let found = all.iter().any(|event| {
                let on_lease =
                    event.regarding.as_ref().is_some_and(|object| object.kind.as_deref() == Some("Lease"));
                on_lease && event.reason.as_deref() == Some(reason)
            });
            if found { Ok(()) } else { Err(format!("{} events", all.len())) }
        })
        .await;
}

#[tokio::test]
async fn a_second_install_for_the_same_namespaces_is_said_by_both_until_it_is_gone() {
    let mut world = World::new().await;
    let elsewhere = world.add_namespace().await;
    let first = world.operator().leader_elect().start().await;
    world.wait_leading(&first).await;
    let kubeconfig = world.cluster().kubeconfig_in(&elsewhere).unwrap();
    let second = world.operator().leader_elect().kubeconfig(kubeconfig).start().await;
    world.wait_leading(&second).await;

    let said = wait_said(&world, &first, "another install").await;
    assert!(said.contains(&format!("{elsewhere}/runtime-operator")), "{said}");
    let said = wait_said(&world, &second, "another install").await;
    assert!(said.contains(&format!("{}/runtime-operator", world.namespace())), "{said}");
    for (operator, namespace) in [(&first, world.namespace()), (&second, &elsewhere)] {
        world.wait_metric(operator, "runtime_operator_second_install", 1.0).await;
        wait_lease_event(&world, namespace, "SecondInstall").await;
    }

    second.stop().await.unwrap();
    world
        .wait("the first says it no more", || async {
            let (status, said) = first.probe("readyz").await.ok_or("no answer")?;
            if (status, said.as_str()) == (200, "ok\n") { Ok(()) } else { Err(said) }
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn installs_that_take_each_others_epochs_say_so_and_slow_down() {
    let world = World::new().await;
    let first = world.operator().start().await;
    let second = world.operator().start().await;
    let said =
        |operator: &Operator| operator.logs().contains("second install; waiting before the next epoch");
    for n in 0.. {
        world.apply(&tenant("acme").dids([format!("+155501{n:05}").as_str()])).await;
        if said(&first) || said(&second) {
            break;
        }
        assert!(n < 600, "neither has said it");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let waiting = if said(&first) { &first } else { &second };
    world.wait_metric(waiting, "runtime_operator_second_install", 1.0).await;
    world.exempt_all();
    world.finish().await;
}

#[tokio::test]
async fn two_operators_in_one_namespace_need_two_leases_and_say_so() {
    let mut world = World::new().await;
    let other = world.add_namespace().await;
    let here = world.namespace().to_owned();
    let first = world.operator().leader_elect().env("WATCH_NAMESPACES", &here).start().await;
    world.wait_leading(&first).await;
    let second = world.operator().leader_elect().env("WATCH_NAMESPACES", &other).start().await;
    let said = wait_said(&world, &second, "watches other namespaces").await;
    assert!(said.contains(&here) && said.contains("--lease-name"), "{said}");
    second.stop().await.unwrap();

    let second = world.operator().leader_elect().env("WATCH_NAMESPACES", &other).arg("--lease-name=second");
    let second = second.start().await;
    world.wait_leading(&second).await;
    let leases: Api<Lease> = Api::namespaced(world.client(), &here);
    assert!(leases.get("second").await.unwrap().spec.unwrap().holder_identity.is_some());
    assert!(holder(&world).await.is_some());
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.apply(&tenant("globex").in_namespace(&other).dids(["+15550100002"])).await;
    world.wait_live("+15550100001", Some("acme")).await;
    world.wait_live("+15550100002", Some("globex")).await;
    assert!(first.metric("runtime_operator_fenced_writes_total").await < 1.0, "each has a scope of its own");
    world.finish().await;
}
