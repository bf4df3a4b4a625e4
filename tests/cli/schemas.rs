//! The schemas of the JSON that the commands write.

use std::fs;
use std::path::Path;

/// The schema of each kind is the committed one. `UPDATE=1 cargo test --test cli schemas` writes them.
#[test]
fn the_schema_of_each_kind_is_the_committed_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/cli");
    for (kind, schema) in runtime_operator::cli::schemas() {
        let file = folder.join(format!("{}.json", kind.to_lowercase()));
        let generated = format!("{schema:#}\n");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &generated).unwrap();
        }
        let stale = format!("{} is stale: run `UPDATE=1 cargo test --test cli schemas`", file.display());
        assert!(fs::read_to_string(&file).unwrap_or_default() == generated, "{stale}");
    }
}
