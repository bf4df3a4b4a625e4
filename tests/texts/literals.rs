//! The texts in the code: every string literal outside of unit tests that has a space, and so is meant for a person.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Renders the texts, by file.
pub fn all() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    let mut text = String::new();
    for file in files {
        let tokens = TokenStream::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut texts = Vec::new();
        collect(tokens, &mut texts);
        if !texts.is_empty() {
            let name = file.strip_prefix(&root).unwrap().display();
            writeln!(text, "{name}\n  {}", texts.join("\n  ")).unwrap();
        }
    }
    text
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            rust_files(&entry, files);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            files.push(entry);
        }
    }
}

/// Collects the texts, without those of comments, lint reasons and unit tests.
fn collect(tokens: TokenStream, texts: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                while tokens.next_if(|next| matches!(next, TokenTree::Punct(_))).is_some() {}
                let Some(TokenTree::Group(attribute)) = tokens.next() else { continue };
                let name = attribute.stream().to_string();
                if name == "cfg (test)" {
                    skip_item(&mut tokens);
                } else if !["doc", "allow", "expect"].iter().any(|other| name.starts_with(other)) {
                    collect(attribute.stream(), texts);
                }
            }
            TokenTree::Group(group) => collect(group.stream(), texts),
            TokenTree::Literal(literal) => texts.extend(text(&literal.to_string())),
            TokenTree::Punct(_) | TokenTree::Ident(_) => {}
        }
    }
}

/// Skips the item that follows an attribute, up to its body or its semicolon.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if [';', ','].contains(&punct.as_char()) => return,
            _ => {}
        }
    }
}

/// The literal's text in one line, if it is a string for a person.
fn text(literal: &str) -> Option<String> {
    let inner = literal.trim_start_matches(['r', '#']).strip_prefix('"')?.trim_end_matches('#');
    let inner = inner.strip_suffix('"')?;
    let line = inner.split("\\\n").map(str::trim_start).collect::<String>();
    let line = line.replace('\n', "\\n");
    let has_words = line.split(' ').filter(|word| word.chars().all(char::is_alphanumeric)).count() > 1;
    has_words.then_some(line)
}
