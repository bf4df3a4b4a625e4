//! The names of exported resources: stable, valid, and different for each tenant id.

use sha2::{Digest, Sha256};

use super::super::validate::is_name;

/// The place of the tenant id in a template.
const PLACE: &str = "{tenantId}";
/// The longest name that is derived from a tenant id, so that its Secret can have a longer one.
const LONGEST: usize = 200;

/// A template of names, as in `voice-{tenantId}`.
#[derive(Clone, Debug)]
pub struct NameTemplate {
    before: String,
    after: String,
}

impl NameTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (before, after) = text.split_once(PLACE).ok_or(format!("must contain {PLACE}"))?;
        let template = Self { before: before.to_owned(), after: after.to_owned() };
        if after.contains(PLACE) {
            return Err(format!("must contain {PLACE} once"));
        }
        if template.before.len() + template.after.len() > 40 || !is_name(&template.filled("a")) {
            return Err(
                "must make a name of lower-case letters, digits, '-' and '.', and have at most 40 of its own"
                    .to_owned(),
            );
        }
        Ok(template)
    }

    /// Returns the name for a tenant id. An id that is a name stands in it as it is; of any other, what can be a part of a name
    /// and a hash of the whole do, so that no two meet, whatever else is exported.
    #[must_use]
    pub fn name(&self, tenant: &str) -> String {
        let name = self.filled(tenant);
        if tenant.len() <= LONGEST && is_name(tenant) && is_name(&name) {
            return name;
        }
        let hash = format!("{:x}", Sha256::digest(tenant));
        let mut part = String::new();
        for c in tenant.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_alphanumeric() {
                part.push(c);
            } else if !part.is_empty() && !part.ends_with('-') {
                part.push('-');
            }
            if part.len() >= 40 {
                break;
            }
        }
        let part = part.trim_end_matches('-');
        let separator = if part.is_empty() { "tenant-" } else { "-" };
        self.filled(&format!("{part}{separator}{}", &hash[..12]))
    }

    fn filled(&self, part: &str) -> String {
        format!("{}{part}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_valid_and_no_two_ids_have_the_same() {
        let template = NameTemplate::parse("{tenantId}").unwrap();
        assert_eq!(template.name("corner-bakery"), "corner-bakery");
        assert_eq!(template.name("shop.example"), "shop.example");
        let mut seen = std::collections::HashSet::new();
        let long = "a".repeat(253);
        for id in [
            "Acme",
            "acme",
            "ACME",
            "Zahnärzte am Markt: a/b",
            "🏠",
            "../../etc/passwd",
            "-a",
            "a-",
            "a..b",
            ".",
            long.as_str(),
        ] {
            let name = template.name(id);
            assert!(is_name(&name) && name.len() <= LONGEST, "{name}");
            assert!(seen.insert(name.clone()), "{name}");
            assert_eq!(name, template.name(id));
        }
    }

    #[test]
    fn a_template_makes_names() {
        assert_eq!(NameTemplate::parse("rt-{tenantId}.voice").unwrap().name("a"), "rt-a.voice");
        for wrong in [
            "",
            "tenant",
            "{tenantId}{tenantId}",
            "A-{tenantId}",
            "../{tenantId}",
            "{tenantId}-",
            "{tenantId}/x",
        ] {
            assert!(NameTemplate::parse(wrong).is_err(), "{wrong}");
        }
    }
}
