//! schemathesis tests the routes against the served description: `make schemathesis`.

use std::path::Path;

use test_support::World;
use tokio::process::Command;

use crate::auth::account;
use crate::client::Admin;

#[tokio::test]
#[ignore = "needs schemathesis from PyPI: make schemathesis installs it"]
async fn schemathesis_finds_no_violation() {
    let program = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let world = World::new().await;
    world.exempt_all();
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUST_LOG", "info,audit=warn");
    let operator = operator.env("ALLOW_RUNTIME_SECRET_READ", "true").start().await;
    let token = account(&world, "schemathesis", &["editor", "secret-reader"]).await;
    let admin = Admin::of(&operator).with_token(&token);
    let description = world.write_file("openapi.json", &admin.get("/openapi.json").await.text);

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    let run = Command::new(program)
        .args(["--config-file", folder.join("schemathesis.toml").to_str().unwrap(), "run"])
        .args(["--url", &operator.admin_url(), "--header", &format!("Authorization: Bearer {token}")])
        .arg(description)
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("no_proxy", "127.0.0.1")
        .current_dir(world.write_file("here", "").parent().unwrap())
        .output()
        .await
        .unwrap();

    let report = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{report}\n{}\n{}",
        String::from_utf8_lossy(&run.stderr),
        operator.log_tail()
    );
    println!("{report}");
    world.close().await;
}
