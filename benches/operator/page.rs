//! The figures in `docs/performance.md`, which a run with `UPDATE` replaces.

use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn is_wanted() -> bool {
    crate::variable("UPDATE").is_some()
}

/// Replaces the text between the page's marks of this name.
pub fn update(name: &str, text: &str) {
    if !is_wanted() {
        return;
    }
    let file = docs().join("performance.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- figures: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page has no {end}"));
    std::fs::write(file, format!("{before}{begin}\n{}\n\n{end}{after}", text.trim())).unwrap();
}

/// Writes a drawing to `target/bench`, and with `UPDATE` beside the page.
pub fn drawing(name: &str, svg: &str) {
    crate::report::write(name, svg);
    if is_wanted() {
        let folder = docs().join("performance");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), svg).unwrap();
    }
}
