//! `trace`: which tenant answers a number.

use local_cluster::RedisOptions;
use test_support::{World, tenant};

use super::command::{run, run_with};

#[tokio::test]
async fn a_number_is_traced_to_the_tenant_that_answers_it_and_to_those_that_wait() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("north-clinic").dids(["+15551234567"])).await;
    world.wait_ready("north-clinic").await;
    world.apply(&tenant("south-clinic").dids(["+15551234567"])).await;
    world.wait_condition("south-clinic", "Ready", "False", "DidConflict").await;

    let namespace = world.namespace();
    let traced = run(&world, &["trace", "+1 555 123 4567"]).await;
    assert_eq!(traced.code, 0, "{traced:?}");
    for text in [
        " ✓ mapping  north-clinic",
        "valid v1, lists the number",
        &format!("RuntimeTenant {namespace}/north-clinic, generation 1, Ready (Published)"),
        "key webhookSecret: present; the published version is the current one",
        &format!(" ! claimed  also by {namespace}/south-clinic, waiting for "),
        " → a call is answered by tenant north-clinic; last published ",
    ] {
        assert!(traced.out.contains(text), "{text}: {}", traced.out);
    }
    let waiting = run(&world, &["trace", &format!("{namespace}/south-clinic"), "-o", "json"]).await;
    let json = waiting.json();
    assert_eq!((waiting.code, &json["asResourcesSay"]), (1, &false.into()));
    assert!(json["advice"].to_string().contains("remove the number from one of the two specs"), "{json}");
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_whose_secret_is_missing_is_traced_to_the_command_that_creates_it() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("nosecret").dids(["+15550300001"]).without_secret()).await;
    world.wait_condition("nosecret", "Ready", "False", "SecretNotFound").await;

    let namespace = world.namespace();
    let traced = run(&world, &["trace", "+15550300001", "--color", "never"]).await;
    assert_eq!(traced.code, 1);
    let advice = format!(
        "kubectl -n {namespace} create secret generic nosecret-webhook --from-literal=webhookSecret=…"
    );
    assert!(traced.out.contains(&advice) && traced.out.contains(" fault   mapping  none"), "{}", traced.out);
    world.finish().await;
}

#[tokio::test]
async fn without_redis_or_without_the_cluster_the_rest_is_shown_and_the_code_is_2() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("blind").dids(["+15550300002"])).await;
    world.wait_ready("blind").await;

    let blind = run_with(world.kubeconfig(), &[], &["trace", "+15550300002"]).await;
    assert!(blind.code == 2 && blind.out.contains("/blind, generation 1, Ready"), "{blind:?}");
    assert!(blind.out.contains("no Deployment with the label"), "{blind:?}");
    let redis = [("REDIS_URL", &*world.redis().url())];
    let missing = world.write_file("missing.kubeconfig", "");
    let alone = run_with(&missing, &redis, &["trace", "blind"]).await;
    assert!(alone.code == 2 && alone.out.contains("valid v1"), "{alone:?}");
    for wrong in [&["trace", "5550300002"][..], &["trace"], &["trace", "+1", "--color", "green"]] {
        assert_eq!(run(&world, wrong).await.code, 2);
    }
    world.finish().await;
}

#[tokio::test]
async fn what_a_user_with_few_rights_could_not_read_is_said() {
    let mut world = World::new().await;
    let other = world.add_namespace().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("viewed").dids(["+15550300003"])).await;
    world.wait_ready("viewed").await;
    let role = format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: viewer, namespace: {0} }}
rules: [{{ apiGroups: [runtime.veralux.io], resources: [runtimetenants], verbs: [get, list] }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: viewer, namespace: {0} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: viewer }}
subjects: [{{ apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer }}]
",
        world.namespace()
    );
    world.cluster().apply_yaml(&role).await.unwrap();
    let viewer = world.cluster().user_kubeconfig("viewer", None).unwrap();
    let redis = [("REDIS_URL", &*world.redis().url())];
    let traced = run_with(&viewer, &redis, &["trace", "+15550300003", "-n", world.namespace()]).await;
    assert_eq!(traced.code, 2);
    assert!(traced.out.contains("not read: RuntimeTenants of all namespaces: "), "{}", traced.out);
    assert!(traced.out.contains("viewed-webhook was not read"), "{}", traced.out);
    assert!(!traced.out.contains(&other));
    world.finish().await;
}

#[tokio::test]
async fn a_user_of_redis_who_can_only_read_suffices() {
    let read = ">pw ~* +hello +auth +ping +info +select +client|setname +get +strlen +hget +hmget +hvals";
    let world = World::with_redis(RedisOptions::default().user("reader", read)).await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("readonly").dids(["+15550300004"])).await;
    world.wait_ready("readonly").await;
    let url = world.redis().url().replace("redis://", "redis://reader:pw@");
    let traced = run_with(world.kubeconfig(), &[("REDIS_URL", &url)], &["trace", "readonly"]).await;
    assert_eq!(traced.code, 0);
    let warned = run_with(world.kubeconfig(), &[], &["trace", "readonly", "--redis-url", &url]).await;
    assert!(warned.errors.contains("can read the password in --redis-url"), "{warned:?}");
    world.finish().await;
}
