//! Replaces `quickReplies` in a JSON text, and keeps all other bytes.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::contract::QUICK_REPLIES;

/// The members of a JSON object as they are written. Of two with one name the last one counts, in the first one's place, as
/// in JavaScript.
struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de: 'd, 'd> Deserialize<'de> for Members<'d> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut found: Self::Value = Vec::new();
                let mut places = HashMap::new();
                while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
                    let place = *places.entry(name.clone()).or_insert(found.len());
                    match found.get_mut(place) {
                        Some((_, earlier)) => *earlier = value,
                        None => found.push((name, value)),
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

/// Returns the JSON of a document's quick replies; `None` if it has none.
pub(super) fn of(document: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let Members(members) = serde_json::from_slice(document)?;
    let found = members.into_iter().find(|(name, _)| name == QUICK_REPLIES);
    Ok(found.map(|(_, value)| value.get().to_owned()))
}

/// Returns the document with these quick replies. The text of all other members stays.
pub(super) fn merged(document: &[u8], quick_replies: &str) -> Result<String, serde_json::Error> {
    let Members(members) = serde_json::from_slice(document)?;
    let mut text = String::with_capacity(document.len() + quick_replies.len() + 32);
    let mut written = false;
    let mut write = |name: &str, value: &str| -> Result<(), serde_json::Error> {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        text.push_str(value);
        Ok(())
    };
    for (name, value) in &members {
        if name == QUICK_REPLIES {
            written = true;
            write(name, quick_replies)?;
        } else {
            write(name, value.get())?;
        }
    }
    if !written {
        write(QUICK_REPLIES, quick_replies)?;
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_quick_replies_of_a_document_change() {
        let document = br#"{"a": 5.0, "quickReplies":[1], "b":{"x":1e300,"\u00e9":[]}, "a":1.50}"#;
        assert_eq!(
            merged(document, "[2]").unwrap(),
            r#"{"a":1.50,"quickReplies":[2],"b":{"x":1e300,"\u00e9":[]}}"#
        );
        assert_eq!(merged(br#"{"a":1}"#, "[]").unwrap(), r#"{"a":1,"quickReplies":[]}"#);
        assert_eq!(merged(b"{}", "[]").unwrap(), r#"{"quickReplies":[]}"#);
        assert!(merged(b"[]", "[]").is_err() && merged(b"{", "[]").is_err());
        assert_eq!(of(document).unwrap().as_deref(), Some("[1]"));
        assert_eq!(of(br#"{"a":1}"#).unwrap(), None);
    }
}
