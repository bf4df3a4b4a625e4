//! The warnings about a config that the newest runtime accepts: some versions of the runtime refuse it, or do something other
//! than what it says. A warning prevents nothing.

mod config;
mod hours;
mod key;
mod secret;
mod warning;

pub use config::of;
pub use secret::of_secret;
pub use warning::Warning;

/// The maximum number of lines of a condition's message; the rest is only counted.
pub const MAX_LINES: usize = 20;

/// Returns the message of the condition `Warnings`: the first 20 lines, then the number of the others. Empty without lines.
#[must_use]
pub fn message(lines: &[String]) -> String {
    let more = format!("and {} more", lines.len().saturating_sub(MAX_LINES));
    let mut shown: Vec<&str> = lines.iter().take(MAX_LINES).map(String::as_str).collect();
    if lines.len() > MAX_LINES {
        shown.push(&more);
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_twenty_lines_and_a_count() {
        assert_eq!(message(&[]), "");
        let many: Vec<_> =
            (0..23).map(|number| Warning::new(format!("a[{number}]"), "is odd").line()).collect();
        assert_eq!(message(&many[..2]), "spec.a[0]: is odd\nspec.a[1]: is odd");
        assert_eq!(message(&many[..20]).lines().count(), 20);
        let message = message(&many);
        let lines: Vec<_> = message.lines().collect();
        assert_eq!((lines.len(), lines[19], lines[20]), (21, "spec.a[19]: is odd", "and 3 more"));
    }
}
