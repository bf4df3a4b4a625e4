//! No output holds a secret.

use local_cluster::RedisOptions;
use test_support::{World, tenant};

use super::command::{run, run_with};

const VALUE: &str = "whsec-canary-value";
const LITERAL: &str = "whsec-canary-literal";
const PASSWORD: &str = "canary-password";

#[tokio::test]
async fn neither_a_secret_nor_a_literal_reference_nor_a_password_is_shown() {
    let world = World::with_redis(RedisOptions::default().password(PASSWORD)).await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("canary").dids(["+15550500001"]).secret(VALUE)).await;
    world.wait_ready("canary").await;
    let config = world.config_text("canary").await.unwrap();
    let literal = config
        .replace(&format!("\"webhookSecret\":\"{VALUE}\","), "")
        .replace("secret://canary-webhook/webhookSecret", LITERAL)
        .replace("\"canary\"", "\"legacy\"")
        .replace("+15550500001", "+15550500002");
    assert!(literal.contains(LITERAL) && !literal.contains(VALUE), "{literal}");
    world.exempt(["+15550500002"]);
    world.set_key("tenantcfg:legacy", &literal).await;
    world.set_key("tenantmap:did:+15550500002", "legacy").await;

    for args in [
        &["trace", "+15550500001", "--config"][..],
        &["trace", "+15550500001", "--config", "-o", "json"],
        &["trace", "+15550500002", "--config"],
        &["trace", "legacy", "--config", "-o", "json"],
        &["status", "-A", "--conflicts", "--drift", "--yes", "-o", "json"],
        &["inspect", "--tenant=canary", "--documents", "--server"],
        &["inspect", "--tenant=legacy", "--documents"],
    ] {
        let shown = run(&world, args).await;
        for secret in [VALUE, LITERAL, PASSWORD] {
            assert!(!shown.all().contains(secret), "{args:?}: {}", shown.all());
        }
        let documents = args.contains(&"--config") || args.contains(&"--documents");
        assert_eq!(shown.out.contains("\"***\""), documents, "{args:?}: {}", shown.out);
    }
    let url = world.redis().url().replace(PASSWORD, "wrong-canary");
    for args in [&["trace", "canary"][..], &["status"], &["inspect", "--server"]] {
        let refused = run_with(world.kubeconfig(), &[("REDIS_URL", &url)], args).await;
        assert!(!refused.all().contains("wrong-canary"), "{}", refused.all());
        assert_eq!(refused.code, 2, "{args:?}");
    }
    world.finish().await;
}
