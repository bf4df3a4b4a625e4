//! Members that are added to objects of a document as the JSON text that was given.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// A member that the contract does not know, for an object of a document.
#[derive(Clone, Debug)]
pub struct Addition<'v> {
    /// The names on the way to the object; empty for the document itself.
    pub path: Vec<&'v str>,
    /// The member's name, which the object does not have.
    pub name: String,
    /// The member's value, which is kept byte for byte.
    pub value: &'v RawValue,
}

/// Additions to an object and to the objects inside it.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Additions {
    /// The members as JSON: `,"name":value` for each.
    members: String,
    inner: BTreeMap<String, Self>,
}

impl Additions {
    /// Adds a member after those that were added before.
    pub(super) fn add(&mut self, Addition { path, name, value }: &Addition<'_>) {
        let mut at = self;
        for name in path {
            at = at.inner.entry((*name).to_owned()).or_default();
        }
        for part in [",", &Value::from(name.as_str()).to_string(), ":", value.get()] {
            at.members.push_str(part);
        }
    }

    /// The length of all members.
    pub(super) fn len(&self) -> usize {
        self.members.len() + self.inner.values().map(Self::len).sum::<usize>()
    }

    /// Writes an object with its additions.
    pub(super) fn write<'v>(
        &self,
        members: impl Iterator<Item = (&'v String, &'v Value)>,
        json: &mut Vec<u8>,
    ) {
        let start = json.len();
        // Writing a value to memory can't fail.
        for (name, value) in members {
            json.push(b',');
            let _ = serde_json::to_writer(&mut *json, name);
            json.push(b':');
            match (self.inner.get(name), value) {
                (Some(inner), Value::Object(object)) => inner.write(object.iter(), json),
                _ => drop(serde_json::to_writer(&mut *json, value)),
            }
        }
        json.extend_from_slice(self.members.as_bytes());
        match json.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => json.push(b'{'),
        }
        json.push(b'}');
    }
}
