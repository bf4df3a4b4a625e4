//! The tables of docs/reference.md: `UPDATE=1 cargo test --test agreement page` writes them.

use std::fmt::Write;
use std::fs;

use super::differences::{Consequence, Difference};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
const BEGIN: &str = "<!-- begin: differences -->\n";
const END: &str = "<!-- end: differences -->";

fn tables() -> String {
    let mut text = String::new();
    for (consequence, sentence) in [
        (
            Consequence::Refused,
            "The runtime and, unless the reason says otherwise, `POST …/config` accept these. The API server does not accept them in a resource.",
        ),
        (
            Consequence::Rewritten,
            "The API server accepts these in a resource, and the operator publishes them in another form.",
        ),
        (
            Consequence::InvalidSpec,
            "The API server accepts these in a resource, and the runtime would refuse the whole config. The operator finds them: the resource is not Ready, with the reason `InvalidSpec`, and what is live stays.",
        ),
    ] {
        write!(text, "\n{sentence}\n\n| document | reason |\n| --- | --- |\n").unwrap();
        for difference in Difference::ALL.iter().filter(|difference| difference.consequence() == consequence)
        {
            let (document, reason) = difference.row();
            writeln!(text, "| {document} | {reason} |").unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_page_lists_each_difference_with_its_reason() {
    let page = fs::read_to_string(FILE).unwrap();
    let start = page.find(BEGIN).expect("the page has the first marker") + BEGIN.len();
    let stop = page.find(END).expect("the page has the last marker");
    let generated = format!("{}{}{}", &page[..start], tables(), &page[stop..]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(FILE, &generated).unwrap();
    }
    let there = fs::read_to_string(FILE).unwrap();
    assert!(
        there == generated,
        "docs/reference.md is stale: run `UPDATE=1 cargo test --test agreement page`"
    );
}
