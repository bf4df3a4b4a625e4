//! Phone numbers in the runtime's form: E.164 with a leading plus.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A direct inward dialling number in normalised E.164, for example `+15551234567`.
///
/// Its form is `^\+[1-9]\d{1,14}$` (contract v1, after ITU-T E.164), and its order that of the text. The text is stored
/// inline and padded with zeros, since several indexes hold each number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Did([u8; LONGEST]);

/// The length of the longest number in bytes.
const LONGEST: usize = 16;

/// The reason for which a text is not a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// The text has nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// The text is not E.164 after normalisation.
    #[error(
        "must be an E.164 number: a plus sign, then 2 to 15 digits of which the first is not 0, as in +15551234567"
    )]
    NotE164,
}

impl Did {
    /// Removes all white space, as the runtime does, then checks E.164.
    pub fn parse(text: &str) -> Result<Self, DidError> {
        let number: String = text.chars().filter(|c| !is_white_space(*c)).collect();
        if number.is_empty() {
            return Err(DidError::Empty);
        }
        Self::parse_exact(&number)
    }

    /// Checks E.164 and removes nothing: a stored document must be normalised already.
    pub fn parse_exact(number: &str) -> Result<Self, DidError> {
        let digits = number.strip_prefix('+').ok_or(DidError::NotE164)?.as_bytes();
        let shaped = (2..=15).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            && digits.first() != Some(&b'0');
        if !shaped {
            return Err(DidError::NotE164);
        }
        let mut text = [0; LONGEST];
        text[..number.len()].copy_from_slice(number.as_bytes());
        Ok(Self(text))
    }

    /// The number's text, for example `+15551234567`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(LONGEST);
        // A plus sign and digits.
        str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

/// Shows the number, not its bytes.
impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Did").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Did {
    type Error = DidError;

    fn try_from(text: String) -> Result<Self, DidError> {
        Self::parse(&text)
    }
}

impl From<Did> for String {
    fn from(did: Did) -> Self {
        did.as_str().to_owned()
    }
}

/// Returns true if a JavaScript `\s` matches this character, which is what the runtime takes for white space (ECMA-262,
/// `WhiteSpace` and `LineTerminator`).
#[must_use]
pub const fn is_white_space(c: char) -> bool {
    matches!(
        c,
        '\u{9}'..='\u{d}'
            | ' '
            | '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

/// Removes the white space at both ends, as JavaScript's `trim` does.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_white_space_is_normalised() {
        for text in
            ["+15551234567", " +1 555 123 4567 ", "+1\u{a0}555\t123\u{2009}45 67", "\u{feff}+15551234567"]
        {
            assert_eq!(Did::parse(text).unwrap().as_str(), "+15551234567", "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_e164_is_rejected() {
        for text in [
            "15551234567",
            "+0555",
            "+1",
            "+1234567890123456",
            "+1-555-123",
            "+1555x",
            "++1555",
            "+１５５５",
            "+1\u{85}555",
        ] {
            assert_eq!(Did::parse(text), Err(DidError::NotE164), "{text:?}");
        }
        for text in ["", "  ", "\u{a0}\t"] {
            assert_eq!(Did::parse(text), Err(DidError::Empty), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_ordered_as_texts() {
        let mut numbers = ["+22", "+12", "+123456789012345", "+123", "+13"];
        let mut dids: Vec<Did> = numbers.iter().filter_map(|text| Did::parse(text).ok()).collect();
        dids.sort();
        numbers.sort_unstable();
        assert_eq!(dids.iter().map(Did::as_str).collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn the_shortest_and_the_longest_number_are_accepted() {
        for text in ["+12", "+123456789012345"] {
            assert_eq!(Did::parse(text).unwrap().as_str(), text);
        }
    }
}
