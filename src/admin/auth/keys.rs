//! The keys of a key file, and new ones. Pure but for the random bytes of a new key.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The rights of the holder of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads, without webhook secrets.
    Reader,
    /// Reads and writes, without webhook secrets.
    Editor,
    /// Reads, with webhook secrets where they are asked for.
    SecretReader,
}

/// The keys of a key file: only their hashes.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    name: String,
    role: Role,
    hash: [u8; 32],
}

/// The reason why a text is no key file. It quotes nothing of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyLineError {
    /// A line breaks a rule.
    #[error("line {line}: {rule}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The rule.
        rule: &'static str,
    },
    /// No line has a key.
    #[error("must have at least one line with a key: runtime-operator admin-key NAME ROLE makes one")]
    Empty,
}

/// A new key, to be shown once.
pub struct NewKey {
    /// The key itself, for its holder.
    pub key: String,
    /// The line of the key file.
    pub line: String,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Editor, Self::SecretReader];

    /// The role in a key file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Editor => "editor",
            Self::SecretReader => "secret-reader",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or("the role must be reader, editor or secret-reader")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.name)).finish()
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").finish_non_exhaustive()
    }
}

impl FromStr for Keys {
    type Err = KeyLineError;

    /// Reads lines of `name:role:hash`. A line that begins with `#`, or is blank, is skipped.
    fn from_str(text: &str) -> Result<Self, KeyLineError> {
        let mut keys = Vec::new();
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |rule| KeyLineError::Line { line: index + 1, rule };
            let key = parse_line(line).map_err(wrong)?;
            if !names.insert(key.name.clone()) {
                return Err(wrong("the name is that of an earlier line"));
            }
            if !hashes.insert(key.hash) {
                return Err(wrong("the hash is that of an earlier line"));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyLineError::Empty) } else { Ok(Self(keys)) }
    }
}

impl Keys {
    /// Returns the name and the role of a key. Compares it with every line, so that the time reveals nothing.
    pub(super) fn find(&self, presented: &[u8]) -> Option<(&str, Role)> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some((key.name.as_str(), key.role));
            }
        }
        found
    }
}

impl NewKey {
    /// Makes a key of 32 random bytes.
    pub fn random(name: &str, role: Role) -> Result<Self, &'static str> {
        check_name(name)?;
        let key = hex(&rand::random::<[u8; 32]>());
        let line = format!("{name}:{}:{}", role.as_str(), hex(&Sha256::digest(&key)));
        Ok(Self { key, line })
    }
}

fn parse_line(line: &str) -> Result<Key, &'static str> {
    let mut parts = line.split(':');
    let (Some(name), Some(role), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("must be name:role:hash");
    };
    check_name(name)?;
    let hash = from_hex(hash).ok_or("the hash must be a SHA-256 of 64 hexadecimal digits")?;
    Ok(Key { name: name.to_owned(), role: role.parse()?, hash })
}

/// The name stands in logs.
fn check_name(name: &str) -> Result<(), &'static str> {
    let valid = |c: u8| c.is_ascii_alphanumeric() || b"-_.@".contains(&c);
    if (1..=63).contains(&name.len()) && name.bytes().all(valid) {
        Ok(())
    } else {
        Err("the name must be 1 to 63 letters, digits, or characters of -_.@")
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_line_and_no_other() {
        let [one, other] = [(); 2].map(|()| NewKey::random("panel", Role::Editor).unwrap());
        let file = format!("# panels\n\n  {}  \r\n", one.line);
        let keys: Keys = file.parse().unwrap();
        assert_eq!(keys.find(one.key.as_bytes()), Some(("panel", Role::Editor)));
        assert_eq!(keys.find(other.key.as_bytes()), None);
        assert_eq!(format!("{keys:?}"), "[\"panel\"]");
        assert_eq!(one.key.len(), 64);
    }

    #[test]
    fn a_broken_file_is_an_error_that_quotes_nothing() {
        let hash = "a".repeat(64);
        for (file, rule) in [
            (String::new(), "at least one line"),
            ("# only a comment\n".to_owned(), "at least one line"),
            ("canary".to_owned(), "line 1: must be name:role:hash"),
            (format!("a:reader:{hash}\n\nb:owner:{hash}"), "line 3: the role must be"),
            (format!("a:reader:{hash}x"), "64 hexadecimal digits"),
            ("a:reader:canary".to_owned(), "64 hexadecimal digits"),
            (format!("a b:reader:{hash}"), "the name must be"),
            (format!(":reader:{hash}"), "the name must be"),
            (format!("a:reader:{hash}:x"), "must be name:role:hash"),
            (format!("a:reader:{hash}\nb:editor:{}", hash.to_uppercase()), "line 2: the hash is that of"),
            (format!("a:reader:{hash}\na:editor:{}", "b".repeat(64)), "line 2: the name is that of"),
        ] {
            let error = file.parse::<Keys>().unwrap_err().to_string();
            assert!(error.contains(rule) && !error.contains("canary"), "{file}: {error}");
        }
    }
}
