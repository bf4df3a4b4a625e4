//! Rules in CEL, which the API server checks on every write. A message says what must hold.
//!
//! Only functions that Kubernetes 1.29 knows are used, so that the CRD installs on older clusters too.

use kube::core::{Reason, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// What a JavaScript `\s` matches, as the inside of an RE2 character class: the runtime's idea of white space.
macro_rules! white_space {
    () => {
        r"\t\n\v\f\r\x20\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
    };
}

/// The same, one by one.
const WHITE_SPACE: [char; 25] = [
    '\u{9}', '\u{a}', '\u{b}', '\u{c}', '\u{d}', ' ', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}',
    '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}',
    '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}', '\u{feff}',
];

/// A rule and its message.
pub type Must = (&'static str, &'static str);

/// E.164 with white space anywhere: it is removed on publish.
pub const DID: Must = (
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
    "must be an E.164 number, white space aside: a plus sign, then 2 to 15 digits of which the first is not 0",
);

/// No two numbers are the same without their white space.
///
/// Members of a set are unique as they are written, so where none has white space there is nothing to do. What is
/// no number is [`DID`]'s to refuse. Else the white space is taken out of all numbers at once, and they are compared
/// as integers: that is what stays within the budget (and a few milliseconds) at the maximum of 500 numbers.
pub fn unique_dids() -> Rule {
    let removals = WHITE_SPACE.map(|c| format!(r".replace('\u{:04x}', '')", u32::from(c)));
    let without_white_space = removals.concat();
    let (is_did, _) = DID;
    let is_did = is_did.replace("self.", "did.");
    Rule::new(format!(
        "self.all(did, did.matches('^[+0-9]*$')) || !self.all(did, {is_did}) || \
         [self.join(','){without_white_space}.split(',', 500).map(did, int(did))]\
         .all(dids, dids.all(did, dids.indexOf(did) == dids.lastIndexOf(did)))"
    ))
    // Without a reason: the API server leaves out the message of a FieldValueDuplicate.
    .message("numbers must be unique once their white space is removed")
}

pub const TENANT_ID_ENDS: Must = (
    concat!("!self.matches(r'^[", white_space!(), "]|[", white_space!(), "]$')"),
    "must not begin or end with white space",
);

pub const TENANT_ID_CONTROL: Must = (r"!self.matches(r'\p{Cc}')", "must not contain control characters");

pub const TENANT_ID_IMMUTABLE: Must =
    ("self == oldSelf", "tenantId must stay as it is: create another RuntimeTenant for another tenant id");

/// The pattern narrows the host to what every URL parser reads alike: an IPv4 address, an IPv6 address in
/// brackets, or a name in ASCII whose last label is not a number (the URL standard reads such a name as IPv4).
pub const HTTP_URL: Must = (
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

/// A SIP or SIPS URI (RFC 3261, section 19.1) as far as telling it from a typo goes.
pub const DESTINATION: Must = (
    concat!(
        r"self.matches(r'^\+[1-9][0-9]{1,14}$') || self.matches(r'^(?i:sips?):([^@<>",
        white_space!(),
        r"]+@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([;?][^<>",
        white_space!(),
        "]*)?$')"
    ),
    "must be an E.164 number without white space or a SIP URI, as in +15551234567 or sip:desk@example.com",
);

pub const SECTION_NAMES: Must =
    ("self.all(name, name.size() <= 253)", "section names must be at most 253 characters long");

/// `member` must be set with this mode.
pub fn needed_with(member: &str, mode: &str) -> Rule {
    Rule::new(format!("self.mode != '{mode}' || has(self.{member})"))
        .message(format!("{member} must be set with mode {mode}").as_str())
        .field_path(format!(".{member}"))
        .reason(Reason::FieldValueRequired)
}

/// `member` must be left out with any other mode.
pub fn only_with(member: &str, modes: &[&str]) -> Rule {
    let quoted: Vec<_> = modes.iter().map(|mode| format!("'{mode}'")).collect();
    Rule::new(format!("!has(self.{member}) || self.mode in [{}]", quoted.join(", ")))
        .message(format!("{member} must be left out unless mode is {}", modes.join(" or ")).as_str())
        .field_path(format!(".{member}"))
        .reason(Reason::FieldValueForbidden)
}

/// The number `member` must lie within these bounds with this mode; the schema's own may be wider.
pub fn within(member: &str, mode: &str, least: &str, most: &str) -> Rule {
    Rule::new(format!(
        "self.mode != '{mode}' || !has(self.{member}) || (self.{member} >= {least} && self.{member} <= {most})"
    ))
    .message(format!("{member} must be from {least} to {most} with mode {mode}").as_str())
    .field_path(format!(".{member}"))
}

/// The contract's own top-level fields, each with the type that it has there: only what has a declared type can
/// be spoken of in CEL, and so be refused in words.
const CONTRACT_FIELDS: [(&str, &str, &str); 14] = [
    ("contractVersion", "string", "the operator writes it by itself"),
    ("tenantId", "string", "set spec.tenantId instead"),
    ("dids", "array", "set spec.dids instead"),
    ("webhookSecretRef", "string", "set spec.webhookSecretRef instead"),
    ("webhookSecret", "string", "put the value in a Secret and set spec.webhookSecretRef instead"),
    ("caps", "object", "set spec.caps instead"),
    ("stt", "object", "set spec.stt instead"),
    ("tts", "object", "set spec.tts instead"),
    ("audio", "object", "set spec.audio instead"),
    ("llmContext", "object", "set spec.llmContext instead"),
    ("callForwarding", "object", "set spec.callForwarding instead"),
    ("transferProfiles", "array", "set spec.transferProfiles instead"),
    ("assistantContext", "object", "set spec.assistantContext instead"),
    ("quickReplies", "array", "set spec.quickReplies instead"),
];

/// A free object, less the fields that the contract itself has.
pub fn extensions(_: &mut SchemaGenerator) -> Schema {
    let known: Map<String, Value> = CONTRACT_FIELDS
        .iter()
        .map(|(field, kind, instead)| ((*field).to_owned(), refused(field, kind, instead)))
        .collect();
    json_schema!({
        "type": "object",
        "properties": known,
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

fn refused(field: &str, kind: &str, instead: &str) -> Value {
    let mut schema = json!({
        "type": kind,
        "description": format!("Must be left out: {field} is a field of the contract; {instead}."),
        "x-kubernetes-validations": [{
            "rule": "false",
            "message": format!("must be left out: {field} is a field of the contract; {instead}"),
            "reason": "FieldValueForbidden",
        }],
    });
    let rest = match kind {
        "string" => json!({ "maxLength": 65536 }),
        "array" => json!({
            "items": if field == "dids" { json!({ "type": "string", "maxLength": 64 }) } else { json!({ "type": "object" }) },
            "maxItems": 500,
            "x-kubernetes-list-type": "atomic",
        }),
        _ => json!({ "x-kubernetes-preserve-unknown-fields": true }),
    };
    if let (Some(schema), Value::Object(rest)) = (schema.as_object_mut(), rest) {
        schema.extend(rest);
    }
    schema
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::contract::is_white_space;

    #[test]
    fn white_space_is_what_the_runtime_takes_for_it() {
        let class = Regex::new(concat!("^[", white_space!(), "]$")).unwrap();
        for c in char::MIN..=char::MAX {
            assert_eq!(class.is_match(c.encode_utf8(&mut [0; 4])), is_white_space(c), "{c:?}");
            assert_eq!(WHITE_SPACE.contains(&c), is_white_space(c), "{c:?}");
        }
    }
}
