//! Manifests from files, folders and standard input: each resource with its places in the text.

mod input;
mod node;
mod place;
mod resource;

pub use input::{Input, Source};
pub use node::{Kind, Node, Position};
pub use place::Place;
pub use resource::{Resource, resources};

use crate::contract::{DocumentPath, PathSegment};

/// Divides a line that begins with a path, as in `spec.dids[1] must not be empty`, into the path and the rest.
#[must_use]
pub fn split_path(line: &str) -> (DocumentPath, &str) {
    let mut segments = Vec::new();
    let mut rest = line;
    loop {
        let name = rest.strip_prefix('.').filter(|_| !segments.is_empty()).unwrap_or(rest);
        let end =
            name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(name.len());
        let is_member = end > 0 && (segments.is_empty() || rest.starts_with('.'));
        if is_member {
            segments.push(PathSegment::Member(name[..end].to_owned()));
            rest = &name[end..];
        } else if let Some((segment, after)) = bracketed(rest) {
            segments.push(segment);
            rest = after;
        } else {
            break;
        }
    }
    (segments.into_iter().collect(), rest.trim_start_matches([':', ' ']))
}

/// Reads `[3]` or `["a name"]` at the start of a text.
fn bracketed(text: &str) -> Option<(PathSegment, &str)> {
    let inside = text.strip_prefix('[')?;
    if !inside.starts_with('"') {
        let (index, rest) = inside.split_once(']')?;
        return Some((PathSegment::Item(index.parse().ok()?), rest));
    }
    let mut texts = serde_json::Deserializer::from_str(inside).into_iter::<String>();
    let name = texts.next()?.ok()?;
    let rest = inside.get(texts.byte_offset()..)?.strip_prefix(']')?;
    Some((PathSegment::Member(name), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_divided_after_its_path() {
        for (line, path, rest) in [
            ("spec.dids[1] must not be empty", "spec.dids[1]", "must not be empty"),
            ("spec.tts.mode: is odd", "spec.tts.mode", "is odd"),
            (
                r#"spec.assistantContext["a ] \" b"] must be"#,
                r#"spec.assistantContext["a ] \" b"]"#,
                "must be",
            ),
            ("spec must be an object", "spec", "must be an object"),
            ("spec.a.b. c", "spec.a.b", ". c"),
        ] {
            let (found, after) = split_path(line);
            assert_eq!((found.to_string().as_str(), after), (path, rest));
        }
    }
}
