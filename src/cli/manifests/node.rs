//! A YAML document as a tree in which each value and each key has its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::contract::PathSegment;

/// A place in a text, both counted from 1. `0:0` is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Its place; that of the alias for a value that is an alias.
    pub at: Position,
}

/// A value of a document.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `null`, a truth value, a number or a text.
    Plain(Value),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the text. A key may stand twice.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The place of the key.
    pub at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value as JSON. Of two equal keys the last one counts.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Plain(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text of a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.kind {
            Kind::Plain(value) => value.as_str(),
            _ => None,
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().rev().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The place to which a path leads, or as far as it leads: that of a plain value, and of the key of any other value.
    #[must_use]
    pub fn place(&self, path: &[PathSegment]) -> Position {
        let (mut node, mut place) = (self, self.at);
        for segment in path {
            let next = match (segment, &node.kind) {
                (PathSegment::Member(name), Kind::Map(_)) => node.entry(name).map(|entry| {
                    let is_plain = matches!(entry.value.kind, Kind::Plain(_)) && entry.value.at.line > 0;
                    (&entry.value, if is_plain { entry.value.at } else { entry.at })
                }),
                (PathSegment::Item(index), Kind::List(items)) => {
                    items.get(*index).map(|item| (item, item.at))
                }
                _ => None,
            };
            match next {
                Some(next) => (node, place) = next,
                None => break,
            }
        }
        place
    }

    /// The place of the last key of a path; of the value before it where there is no such key.
    #[must_use]
    pub fn key_place(&self, path: &[PathSegment]) -> Position {
        let Some((PathSegment::Member(name), parents)) = path.split_last() else { return self.place(path) };
        let mut node = self;
        for segment in parents {
            let next = match (segment, &node.kind) {
                (PathSegment::Member(name), _) => node.get(name),
                (PathSegment::Item(index), Kind::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return self.place(path),
            }
        }
        node.entry(name).map_or_else(|| self.place(path), |entry| entry.at)
    }

    /// Calls `found` with the path and the place of each key that its map has already.
    pub fn repeated_keys(
        &self,
        path: &mut Vec<PathSegment>,
        found: &mut impl FnMut(&[PathSegment], Position),
    ) {
        match &self.kind {
            Kind::Plain(_) => {}
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(PathSegment::Item(index));
                    item.repeated_keys(path, found);
                    path.pop();
                }
            }
            Kind::Map(entries) => {
                let mut seen = std::collections::HashSet::new();
                for entry in entries {
                    path.push(PathSegment::Member(entry.key.clone()));
                    if !seen.insert(entry.key.as_str()) {
                        found(path, entry.at);
                    }
                    entry.value.repeated_keys(path, found);
                    path.pop();
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: value, at: Position { line: referenced.line(), column: referenced.column() } })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Plain(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Kind, E> {
        #[allow(clippy::cast_precision_loss, reason = "Kubernetes reads such a number as a double too")]
        let number = Number::from_f64(value as f64);
        Ok(Kind::Plain(number.map_or(Value::Null, Value::Number)))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Kind, E> {
        #[allow(clippy::cast_precision_loss, reason = "Kubernetes reads such a number as a double too")]
        let number = Number::from_f64(value as f64);
        Ok(Kind::Plain(number.map_or(Value::Null, Value::Number)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Plain(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            let at = Position { line: key.referenced.line(), column: key.referenced.column() };
            entries.push(Entry { key: key.value, at, value: members.next_value()? });
        }
        Ok(Kind::Map(entries))
    }
}
