//! `bug-report`: one file, without secrets.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::read::GzDecoder;
use test_support::{World, tenant};

use super::command::run;

const VALUE: &str = "whsec-canary-of-the-report";

/// The text of all files in an archive, with their names.
fn contents(file: &Path) -> String {
    let mut text = String::new();
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        writeln!(text, "== {}", entry.path().unwrap().display()).unwrap();
        entry.read_to_string(&mut text).unwrap();
    }
    text
}

#[tokio::test]
async fn a_report_is_new_private_and_holds_no_secret() {
    let world = World::with_own_cluster().await;
    let _operator = world.operator().without("WATCH_NAMESPACES").start().await;
    world.apply(&tenant("canary-tenant").dids(["+15550700001"]).secret(VALUE)).await;
    world.wait_ready("canary-tenant").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.tar.gz");
    let path = file.to_str().unwrap();

    let taken = run(&world, &["bug-report", "--output", path, "--include-specs"]).await;
    assert!(
        taken.out.contains("runtimetenants.jsonl") && taken.out.contains("redis/tenants.jsonl"),
        "{taken:?}"
    );
    assert_eq!(taken.code, 2, "no operator was found: {taken:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = contents(&file);
    assert!(text.contains("\"lastPublishedTime\"") && text.contains("+15550700001"), "{text}");
    assert!(text.contains("not-taken.txt\nthe operator: "), "{text}");
    assert!(!text.contains(VALUE) && !taken.all().contains(VALUE), "{text}");

    let again = run(&world, &["bug-report", "--output", path]).await;
    assert!(again.code == 2 && again.errors.contains("can't be written"), "{again:?}");

    let hidden = folder.path().join("hidden.tar.gz");
    run(&world, &["bug-report", "--output", hidden.to_str().unwrap(), "--anonymize", "--include-specs"])
        .await;
    let text = contents(&hidden);
    for name in [VALUE, "canary-tenant", "15550700001", world.namespace(), "tts.example.com"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    world.finish().await;
}
