//! Booleans in environment variables and query parameters.

/// Parses a boolean: `1`, `true`, `yes`, `on` are true, `0`, `false`, `no`, `off` are false, in any case.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
