//! The bodies of `/dids/map` and `/dids/unmap`: two texts, whatever else a client sends with them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The members of a body that count. Of two with one name the last one does, as in JavaScript. The rest of the body is
/// skipped while it is read, so that it needs no memory.
#[derive(Debug, Default, PartialEq)]
pub(super) struct DidRequest {
    pub(super) did: Member,
    pub(super) tenant: Member,
}

/// A member that must be a text.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Member {
    /// It is not there, or `null`.
    #[default]
    Absent,
    Text(String),
    /// It is a number, a boolean, an array or an object.
    NoText,
}

impl<'de> Deserialize<'de> for DidRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RequestVisitor)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

/// Implements the visits of values that have no members.
macro_rules! visit_scalars {
    ($scalar:expr, $unit:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($scalar)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($scalar)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($scalar)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($scalar)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($unit)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($scalar)
        }
    };
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = DidRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<DidRequest, A::Error> {
        let mut request = DidRequest::default();
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "didE164" => request.did = members.next_value()?,
                "tenantId" => request.tenant = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(request)
    }

    fn visit_str<E>(self, _: &str) -> Result<DidRequest, E> {
        Ok(DidRequest::default())
    }

    visit_scalars!(DidRequest::default(), DidRequest::default());
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::NoText)
    }

    visit_scalars!(Member::NoText, Member::Absent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(Member, Member), String> {
        let request: Result<DidRequest, _> = serde_json::from_str(body);
        request.map(|request| (request.did, request.tenant)).map_err(|error| error.to_string())
    }

    #[test]
    fn two_texts_are_read_and_the_rest_is_skipped() {
        let text = |text: &str| Member::Text(text.to_owned());
        assert_eq!(
            read(r#"{"x":[{"":0},{"y":[]}],"tenantId":"acme","didE164":"+1 5","z":null}"#),
            Ok((text("+1 5"), text("acme")))
        );
        assert_eq!(read(r#"{"didE164":"a","didE164":"b"}"#), Ok((text("b"), Member::Absent)));
        for (value, member) in [
            ("null", Member::Absent),
            ("5", Member::NoText),
            ("-5", Member::NoText),
            ("0.5", Member::NoText),
            ("true", Member::NoText),
            ("[1,[2]]", Member::NoText),
            (r#"{"a":{}}"#, Member::NoText),
        ] {
            assert_eq!(read(&format!(r#"{{"didE164":{value}}}"#)), Ok((member, Member::Absent)), "{value}");
        }
        for body in ["null", "[]", "[{\"didE164\":1}]", "\"x\"", "5", "1.5", "false", "{}"] {
            assert_eq!(read(body), Ok((Member::Absent, Member::Absent)), "{body}");
        }
        for broken in ["", "{", "{\"didE164\":}", "{} {}", "nul"] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
