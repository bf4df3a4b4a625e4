//! The CEL rules that don't come from the contract's table. The API server checks them on every write; a message says what
//! must hold.
//!
//! Only functions of Kubernetes 1.29 are used, so that the CRD installs on older clusters too.

use kube::core::Rule;

/// The characters that a JavaScript `\s` matches, as the inside of an RE2 character class: the runtime's white space.
macro_rules! white_space {
    () => {
        r"\t\n\v\f\r\x20\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
    };
}

/// The characters of `white_space!`, one by one.
const WHITE_SPACE: [char; 25] = [
    '\u{9}', '\u{a}', '\u{b}', '\u{c}', '\u{d}', ' ', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}',
    '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}',
    '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}', '\u{feff}',
];

/// A rule and its message.
pub type RuleWithMessage = (&'static str, &'static str);

/// E.164 with white space anywhere. The operator removes the white space before it publishes.
pub const DID: RuleWithMessage = (
    concat!(
        "self.matches(r'^[",
        white_space!(),
        r"]*\+[",
        white_space!(),
        "]*[1-9]([",
        white_space!(),
        "]*[0-9]){1,14}[",
        white_space!(),
        "]*$')"
    ),
    "must be an E.164 number, white space aside: a plus sign, then 2 to 15 digits of which the first is not 0, as in +15551234567",
);

/// Returns the rule that no two phone numbers are equal once their white space is removed.
///
/// [`DID`] refuses an item that is no number. Otherwise the white space is removed from all numbers in one text, unless
/// there is none, and they are compared as integers: this stays within the budget (and within a few milliseconds) at the
/// maximum of 500 numbers.
pub fn unique_dids() -> Rule {
    let (is_did, _) = DID;
    let is_did = is_did.replace("self.", "did.");
    let removals = WHITE_SPACE.map(|c| format!(r".replace('\u{:04x}', '')", u32::from(c)));
    let without_white_space = removals.concat();
    Rule::new(format!(
        "!self.all(did, {is_did}) || \
         [(self.all(did, did.matches('^[+0-9]*$')) ? self.join(',') : self.join(','){without_white_space})\
         .split(',', 500).map(did, int(did))]\
         .all(dids, dids.all(did, dids.indexOf(did) == dids.lastIndexOf(did)))"
    ))
    // Without a reason: the API server leaves out the message of a FieldValueDuplicate.
    .message("numbers must be unique once their white space is removed")
}

/// Returns the expression of the message that names what was given, of a rule with this message. The API server falls back
/// to the message where the result has a line break.
pub fn message_expression(message: &str) -> Option<String> {
    let (_, did) = DID;
    let (_, immutable) = TENANT_ID_IMMUTABLE;
    if message == did {
        let blank = white_space!();
        return Some(format!(
            "'\"' + self + '\" {did}; ' + (\
             !self.matches(r'^[{blank}]*\\+') ? 'it does not begin with a plus sign' : \
             self.matches(r'[^+0-9{blank}]') ? \
             '\"' + self.find(r'[^+0-9{blank}]') + '\" is neither a digit nor white space' : \
             self.matches(r'\\+[^+]*\\+') ? 'it has more than one plus sign' : \
             self.matches(r'^[{blank}]*\\+[{blank}]*0') ? 'its first digit is 0' : \
             'it has too few or too many digits')"
        ));
    }
    // The API server's budget has no room for an expression that finds the number that is listed twice.
    (message == immutable).then(|| {
        "'tenantId is immutable: it is \"' + oldSelf + '\"; create another RuntimeTenant for \"' + self + '\"'".to_owned()
    })
}

pub const TENANT_ID_ENDS: RuleWithMessage = (
    concat!("!self.matches(r'^[", white_space!(), "]|[", white_space!(), "]$')"),
    "must not begin or end with white space",
);

pub const TENANT_ID_CONTROL: RuleWithMessage =
    (r"!self.matches(r'\p{Cc}')", "must not contain control characters");

pub const TENANT_ID_IMMUTABLE: RuleWithMessage =
    ("self == oldSelf", "tenantId is immutable: create another RuntimeTenant for another tenant id");

/// An absolute http or https URL. The pattern narrows the host to the forms that every URL parser reads alike: an IPv4
/// address, an IPv6 address in brackets, or an ASCII name whose last label is not a number (the URL standard reads such a
/// name as IPv4).
pub const HTTP_URL: RuleWithMessage = (
    concat!(
        r"self.matches(r'^(?i:https?)://([A-Za-z0-9._~!$&()*+,;=:%-]*@)?",
        r"(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})",
        r"|(([A-Za-z0-9_-]+\.)*([A-Za-z_]|[0-9]+[A-WYZa-wyz_-])[A-Za-z0-9_-]*\.?)",
        r"|\[[0-9A-Fa-f:.]+\])",
        r"(:[0-9]{1,5})?([/?#][^",
        white_space!(),
        r"]*)?$') && isURL(self) && (url(self).getPort() == '' || int(url(self).getPort()) <= 65535)"
    ),
    "must be an absolute http or https URL, as in https://example.com/path",
);

/// A phone number or dial string as people write it, or a SIP, SIPS (RFC 3261, section 19.1) or telephone URI (RFC 3966) as
/// far as a typo can be recognised. The runtime takes any text and passes it on.
pub const DESTINATION: RuleWithMessage = (
    concat!(
        "self.matches(r'^[",
        white_space!(),
        "]*[+(*#]*[0-9*#][0-9A-Da-dPpWw+*#().,;/",
        white_space!(),
        r"-]*$') || self.matches(r'^(?i:tel):[0-9A-Za-z+*#().;=_-]+$') || self.matches(r'^(?i:sips?):([^@<>",
        white_space!(),
        r"]+@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([;?][^<>",
        white_space!(),
        "]*)?$')"
    ),
    "must be a phone number, a dial string, or a sip:, sips: or tel: URI, as in +15551234567 or sip:desk@example.com",
);

/// A URL that a control plane has hidden before it showed the config.
pub const NOT_REDACTED: RuleWithMessage = (
    "!self.startsWith('[redacted')",
    "must not be a redacted value: take the value from where the config is stored",
);

pub const LONG_DID: RuleWithMessage = (
    r"self.matches(r'^\+[1-9][0-9]{7,14}$')",
    "must be an E.164 number of 8 to 15 digits, as in +15551234567",
);

pub const ZIP: RuleWithMessage = ("self.matches(r'^[0-9]{5}$')", "must be five digits, as in 90210");

pub const EMAIL: RuleWithMessage = (
    "self.matches(r\"^([A-Za-z0-9_'+-]+[.])*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9-]*[.])+[A-Za-z]{2,}$\")",
    "must be an email address, as in desk@example.com",
);

pub const DATE_TIME: RuleWithMessage = (
    concat!(
        "self.matches(r'",
        "^((([0-9][0-9][2468][048]|[0-9][0-9][13579][26]|[0-9][0-9]0[48]|[02468][048]00|[13579][26]00)-02-29)",
        "|([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))))",
        r"T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?Z$",
        "')"
    ),
    "must be a time in UTC on a day that exists, as in 2026-09-30T12:00:00Z",
);

pub const DAY: RuleWithMessage = (
    "(has(self.closed) && self.closed) || (has(self.open) && has(self.close))",
    "a day must have closed: true, or both open and close",
);

pub const SECTION_NAMES: RuleWithMessage =
    ("self.all(name, name.size() <= 253)", "section names must be at most 253 characters long");

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::contract::{self, is_white_space};

    #[test]
    fn the_patterns_of_the_rules_are_the_contracts() {
        for ((rule, _), pattern) in [
            (DATE_TIME, contract::DATE_TIME),
            (EMAIL, contract::EMAIL),
            (LONG_DID, contract::LONG_DID),
            (ZIP, contract::ZIP),
        ] {
            let quoted = rule.strip_prefix("self.matches(r").and_then(|rule| rule.strip_suffix(')')).unwrap();
            assert_eq!(&quoted[1..quoted.len() - 1], pattern);
        }
        assert!(NOT_REDACTED.0.contains(contract::REDACTED));
    }

    #[test]
    fn the_white_space_of_the_rules_is_the_runtimes() {
        let class = Regex::new(concat!("^[", white_space!(), "]$")).unwrap();
        for c in char::MIN..=char::MAX {
            assert_eq!(class.is_match(c.encode_utf8(&mut [0; 4])), is_white_space(c), "{c:?}");
            assert_eq!(WHITE_SPACE.contains(&c), is_white_space(c), "{c:?}");
        }
    }
}
