//! Text for people: marks, colour, and external text with everything escaped that a terminal would obey.

use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;

use crate::cli::failure::Failure;

/// The width of a line's label.
const LABEL: usize = 8;

/// When a result has colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never, and words in place of marks
    Never,
}

/// The mark at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Fault,
    /// Worth knowing.
    Note,
    /// Not known.
    Unknown,
}

impl Mark {
    /// The mark as a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fault => "fault",
            Self::Note => "note",
            Self::Unknown => "unknown",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Fault => "✗",
            Self::Note => "!",
            Self::Unknown => "?",
        }
    }

    const fn color(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Fault => "31",
            Self::Note | Self::Unknown => "33",
        }
    }
}

/// The style of text: marks or words, with colour or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    words: bool,
    colored: bool,
}

impl Style {
    /// The style that a flag asks for, on the standard output of this process.
    #[must_use]
    pub fn new(color: Color) -> Self {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            words: color == Color::Never,
            colored: match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => !plain && std::io::stdout().is_terminal(),
            },
        }
    }

    /// Words and no colour.
    #[cfg(test)]
    pub const fn words() -> Self {
        Self { words: true, colored: false }
    }

    /// Marks and no colour.
    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { words: false, colored: false }
    }

    /// A line with a mark and a label.
    #[must_use]
    pub fn line(self, mark: Mark, label: &str, text: &str) -> String {
        let pad = if label.is_empty() { 0 } else { LABEL };
        let gap = if label.is_empty() { "" } else { " " };
        format!(" {} {label:<pad$}{gap}{text}\n", self.mark(mark))
    }

    /// A line that says what to do, or how it is in sum.
    #[must_use]
    pub fn advice(self, text: &str) -> String {
        if self.words {
            format!(" {:<7} {text}\n", "so")
        } else {
            format!(" {} {text}\n", self.colored("→", "1"))
        }
    }

    /// A mark.
    #[must_use]
    pub fn mark(self, mark: Mark) -> String {
        if self.words { format!("{:<7}", mark.word()) } else { self.colored(mark.sign(), mark.color()) }
    }

    /// A text in a colour, by its number in ECMA-48, 8.3.117.
    #[must_use]
    pub fn colored(self, text: &str, color: &str) -> String {
        if self.colored { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Escapes the characters of an external text that a terminal would obey or not show: controls, and those that change the direction
/// or are invisible (Unicode's categories Cc, Cf, Zl and Zp).
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            // Writing to a String can't fail.
            let _ = write!(safe, "{}", character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Escapes the same characters in JSON, whose value stays the same.
#[must_use]
pub fn json_escaped(json: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| c != '\n' && is_unsafe(c);
    if !json.chars().any(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_unsafe(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0xad | 0x600..=0x605
                | 0x61c
                | 0x6dd
                | 0x70f
                | 0x890..=0x891
                | 0x8e2
                | 0x115f..=0x1160
                | 0x180e
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x3164
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0x110bd
                | 0x110cd
                | 0x13430..=0x1343f
                | 0x1bca0..=0x1bca3
                | 0x1d173..=0x1d17a
                | 0xe0000..=0xe0fff
        )
}

/// A number with a comma at each thousand.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a result to standard output. A reader that has gone, as `head` does, is no failure.
pub fn print_result(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes what is no result to standard error.
pub fn print_note(text: &str) {
    // There is no other place for it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, shown) in [
            ("acme", "acme"),
            ("日本 ü 🎧", "日本 ü 🎧"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\r\u{7}", "a\\u{a}b\\u{d}\\u{7}"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("line\u{2028}break", "line\\u{2028}break"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}\u{e0041}\n\u{1b}" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = json_escaped(&text);
        assert!(safe.chars().all(|c| c == '\n' || !is_unsafe(c)), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn marks_are_words_without_colour() {
        assert_eq!(Style::plain().line(Mark::Ok, "number", "E.164"), " ✓ number   E.164\n");
        assert_eq!(Style::words().line(Mark::Fault, "number", "none"), " fault   number   none\n");
        assert_eq!(Style::words().advice("do it"), " so      do it\n");
        let colored = Style { words: false, colored: true };
        assert_eq!(colored.mark(Mark::Note), "\u{1b}[33m!\u{1b}[0m");
    }

    #[test]
    fn thousands_have_a_comma() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (9_999_999, "9,999,999")] {
            assert_eq!(grouped(number), text);
        }
    }
}
