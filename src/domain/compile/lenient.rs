//! Reads from a spec, whatever is wrong with it, the members on which claims depend. Nothing else is kept in memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The members on which claims depend. One that has another type is as if it were missing.
#[derive(Debug, Default)]
pub struct LenientSpec {
    /// `tenantId`.
    pub tenant: Option<String>,
    /// `dids`, without what is no text.
    pub dids: Vec<String>,
    /// `webhookSecretRef.name`.
    pub secret: Option<String>,
    /// `webhookSecretRef.key`.
    pub secret_key: Option<String>,
    /// `deletionPolicy`.
    pub deletion_policy: Option<String>,
}

impl LenientSpec {
    /// Reads a spec; nothing of a text that is no object.
    #[must_use]
    pub fn read(json: &str) -> Self {
        match serde_json::from_str(json) {
            Ok(Lenient::Object(members)) => members,
            _ => Self::default(),
        }
    }
}

/// A JSON value of which only texts, and the members of [`LenientSpec`], are kept.
enum Lenient {
    Text(String),
    List(Vec<String>),
    Object(LenientSpec),
    Other,
}

impl Lenient {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LenientVisitor)
    }
}

struct LenientVisitor;

impl<'de> Visitor<'de> for LenientVisitor {
    type Value = Lenient;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Lenient, E> {
        Ok(Lenient::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Lenient, E> {
        Ok(Lenient::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Lenient, E> {
        Ok(Lenient::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Lenient, E> {
        Ok(Lenient::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Lenient, E> {
        Ok(Lenient::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Lenient, E> {
        Ok(Lenient::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Lenient, A::Error> {
        let mut texts = Vec::new();
        while let Some(item) = items.next_element::<Lenient>()? {
            texts.extend(item.text());
        }
        Ok(Lenient::List(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Lenient, A::Error> {
        let mut spec = LenientSpec::default();
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "tenantId" => spec.tenant = members.next_value::<Lenient>()?.text(),
                "deletionPolicy" => spec.deletion_policy = members.next_value::<Lenient>()?.text(),
                "dids" => {
                    spec.dids = match members.next_value()? {
                        Lenient::List(texts) => texts,
                        _ => Vec::new(),
                    }
                }
                "webhookSecretRef" => {
                    if let Lenient::Object(reference) = members.next_value()? {
                        (spec.secret, spec.secret_key) = (reference.secret, reference.secret_key);
                    }
                }
                // Those of the reference, which this visitor reads as well.
                "name" => spec.secret = members.next_value::<Lenient>()?.text(),
                "key" => spec.secret_key = members.next_value::<Lenient>()?.text(),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Lenient::Object(spec))
    }
}
