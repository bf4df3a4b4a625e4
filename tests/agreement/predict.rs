//! The answer that the API server must give to a document, by what the contract says and the named differences.

use std::collections::BTreeSet;

use runtime_operator::contract::{
    CONFIG, Did, Member, ParseConfigError, PathSegment, Presence, Rule, RuntimeTenantConfig, Violation,
    ViolationCode, is_white_space, mode_of,
};
use serde_json::{Map, Value};
use url::Url;

use super::differences::Difference::{self, *};
use super::schema::{self, bound, member};

/// What is known about a document before the API server is asked.
#[derive(Debug, Default)]
pub struct Prediction {
    /// What the contract finds wrong, and the API server too.
    pub violations: Vec<Violation>,
    /// The violations that the API server makes good or does not see.
    pub covered: BTreeSet<Difference>,
    /// The reasons for which the API server refuses what the contract accepts.
    pub refusals: BTreeSet<Difference>,
    /// What is published in another form.
    pub rewritten: BTreeSet<Difference>,
}

/// Returns what the contract finds wrong with a document.
pub fn violations(document: &Value) -> Vec<Violation> {
    match RuntimeTenantConfig::parse(document.to_string()) {
        Ok(_) => Vec::new(),
        Err(ParseConfigError::Invalid(invalid)) => invalid.violations,
        Err(ParseConfigError::NotJson(error)) => panic!("{error}"),
    }
}

impl Prediction {
    pub fn of(document: &Value) -> Self {
        let mut prediction = Self::default();
        for violation in violations(document) {
            match covered(document, &violation) {
                Some(difference) => drop(prediction.covered.insert(difference)),
                None => prediction.violations.push(violation),
            }
        }
        let found = &mut BTreeSet::new();
        object(document.as_object().unwrap(), CONFIG, schema::spec(), found);
        for difference in std::mem::take(found) {
            let place = match difference {
                NullLeftOut | WholeNumber => &mut prediction.rewritten,
                Punycode => &mut prediction.covered,
                _ => &mut prediction.refusals,
            };
            place.insert(difference);
        }
        prediction
    }

    pub fn is_accepted(&self) -> bool {
        self.violations.is_empty() && self.refusals.is_empty()
    }

    /// Returns true if the operator refuses what the API server accepts.
    pub fn is_invalid_spec(&self) -> bool {
        [Utf16, Punycode].iter().any(|difference| self.covered.contains(difference))
    }

    /// The differences without which the verdicts would be the same.
    pub fn shown(&self) -> BTreeSet<Difference> {
        if self.is_accepted() {
            return self.covered.union(&self.rewritten).copied().collect();
        }
        let is_alone = self.violations.is_empty() && self.refusals.len() == 1;
        if is_alone { self.refusals.clone() } else { BTreeSet::new() }
    }

    /// The differences that the document shows by itself or with its members among the extensions.
    pub fn may_show(&self) -> BTreeSet<Difference> {
        let mut shown = self.shown();
        let is_of_other_mode = self.refusals.iter().eq([&OtherMode]) && !self.violations.is_empty();
        shown.extend(is_of_other_mode.then_some(OfModeInExtensions));
        shown
    }
}

/// Returns the difference by which the API server accepts a violation.
fn covered(document: &Value, violation: &Violation) -> Option<Difference> {
    let mut value = Some(document);
    let (mut field, mut rule) = (schema::spec(), &Rule::Object(CONFIG));
    let mut row = None;
    for segment in violation.path.segments() {
        (field, rule, row) = match (segment, rule) {
            (PathSegment::Item(_), Rule::List { item, .. }) => (&field["items"], *item, None),
            (PathSegment::Member(name), Rule::Map(rule)) => (member(field, name), *rule, None),
            (
                PathSegment::Member(name),
                Rule::Object(members) | Rule::ByMode(members) | Rule::Day(members),
            ) => {
                let object = value.and_then(Value::as_object);
                let row = object.and_then(|object| row_of(members, object, name));
                (field_of(field, name), row.map_or(&Rule::Boolean, |row| &row.rule), row)
            }
            _ => return None,
        };
        value = match segment {
            PathSegment::Member(name) => value.and_then(|value| value.get(name)),
            PathSegment::Item(index) => value.and_then(|value| value.get(index)),
        };
    }
    let is_audio = row.is_some_and(|row| row.name == "audio");
    match value {
        None => is_audio.then_some(NoAudio),
        Some(Value::Null) => {
            let is_item = matches!(violation.path.segments().last(), Some(PathSegment::Item(_)));
            let may_be_left_out = row.is_none_or(|row| row.presence != Presence::Required) || is_audio;
            (!is_item && may_be_left_out).then_some(NullLeftOut)
        }
        Some(Value::String(text)) => match if let Rule::Nullable(inner) = rule { inner } else { rule } {
            Rule::Did => Did::parse(text).ok().map(|_| SpacedNumber),
            Rule::Text { .. } if violation.code == ViolationCode::TooBig => {
                (text.chars().count() <= bound(field, "maxLength").unwrap()).then_some(Utf16)
            }
            Rule::AudioUrl if is_unreadable_punycode(text) => Some(Punycode),
            _ => None,
        },
        _ => None,
    }
}

/// The schema of a member: the time of the last publish stands among the extensions.
fn field_of<'s>(schema: &'s Value, name: &str) -> &'s Value {
    match name {
        "lastRuntimePublishedAt" => member(member(schema, "extensions"), name),
        _ => member(schema, name),
    }
}

/// Returns the row of a member that counts in the object's mode, or else its first.
fn row_of(members: &'static [Member], object: &Map<String, Value>, name: &str) -> Option<&'static Member> {
    let mode = mode_of(members, object);
    let rows = || members.iter().filter(|row| row.name == name);
    rows().find(|row| mode.is_none_or(|mode| row.modes.contains(mode)))
}

fn object(
    values: &Map<String, Value>,
    members: &'static [Member],
    field: &Value,
    found: &mut BTreeSet<Difference>,
) {
    for (name, value) in values {
        // The operator writes the first itself, and takes the others from the Secret.
        if ["contractVersion", "webhookSecret", "webhookSecretRef"].contains(&name.as_str()) {
            continue;
        }
        let has_row = members.iter().any(|row| row.name == name);
        match row_of(members, values, name) {
            Some(row) => of_value(value, &row.rule, field_of(field, name), found),
            // The API server drops it before it checks the mode.
            None if value.is_null() && has_row => {}
            None => drop(found.insert(if has_row { OtherMode } else { Unknown })),
        }
    }
    let mode = mode_of(members, values);
    let counts = |row: &&Member| mode.is_none_or(|mode| row.modes.contains(mode));
    for row in members.iter().filter(counts).filter(|row| row.presence == Presence::Expected) {
        if values.get(row.name).is_none_or(Value::is_null) {
            found.insert(NoEndpoint);
        }
    }
    if let Some(tenant) = values.get("tenantId").and_then(Value::as_str).filter(|_| field == schema::spec()) {
        let is_blank = |c: Option<char>| c.is_some_and(is_white_space);
        let mut characters = tenant.chars();
        if is_blank(characters.next())
            || is_blank(tenant.chars().next_back())
            || tenant.chars().any(char::is_control)
        {
            found.insert(TenantId);
        }
    }
}

fn of_value(value: &Value, rule: &'static Rule, field: &Value, found: &mut BTreeSet<Difference>) {
    match (rule, value) {
        (_, Value::Null) => drop(found.insert(NullLeftOut)),
        (Rule::Nullable(rule), value) => of_value(value, rule, field, found),
        (Rule::Integer { .. }, Value::Number(number)) => {
            if number.as_f64().is_some_and(|number| number > 2_147_483_647.0) {
                found.insert(LargeInteger);
            } else if number.is_f64() {
                found.insert(WholeNumber);
            }
        }
        (Rule::List { item, max, .. }, Value::Array(items)) => {
            if *max == usize::MAX && bound(field, "maxItems").is_some_and(|most| items.len() > most) {
                found.insert(TooLong);
            }
            if matches!(item, Rule::Did) {
                let numbers: Vec<_> =
                    items.iter().filter_map(Value::as_str).filter_map(|text| Did::parse(text).ok()).collect();
                let distinct: BTreeSet<_> = numbers.iter().collect();
                found.extend((distinct.len() < numbers.len()).then_some(SameNumber));
            }
            // An item that is null is no member that may be left out.
            for item_value in items.iter().filter(|item| !item.is_null()) {
                of_value(item_value, item, &field["items"], found);
            }
        }
        (Rule::Map(rule), Value::Object(values)) => {
            let is_long = |name: &String| name.chars().count() > 253;
            if bound(field, "maxProperties").is_some_and(|most| values.len() > most)
                || values.keys().any(is_long)
            {
                found.insert(TooLong);
            }
            for value in values.values() {
                of_value(value, rule, &field["additionalProperties"], found);
            }
        }
        (Rule::Object(members) | Rule::ByMode(members), Value::Object(values)) => {
            object(values, members, field, found);
        }
        (Rule::Day(members), Value::Object(day)) => of_day(day, members, field, found),
        (_, Value::String(text)) => of_text(text, rule, field, found),
        _ => {}
    }
}

fn of_day(
    day: &Map<String, Value>,
    members: &'static [Member],
    field: &Value,
    found: &mut BTreeSet<Difference>,
) {
    let is_closed = day.get("closed") == Some(&Value::Bool(true));
    let is_hour = |name: &str| {
        day.get(name).is_none_or(|value| {
            value.is_null() || value.as_str().is_some_and(|text| (1..=8).contains(&text.chars().count()))
        })
    };
    let is_flag = day.get("closed").is_none_or(|value| value.is_null() || value.is_boolean());
    if (is_closed && !(is_hour("open") && is_hour("close"))) || !is_flag {
        found.insert(UnreadInDay);
    }
    for (name, value) in day {
        if !members.iter().any(|row| row.name == name) {
            found.insert(Unknown);
        } else if value.is_null() {
            found.insert(NullLeftOut);
        } else if let (false, Some(text)) = (is_closed, value.as_str()) {
            of_text(
                text,
                &members.iter().find(|row| row.name == name).unwrap().rule,
                &field["properties"][name],
                found,
            );
        }
    }
}

fn of_text(text: &str, rule: &Rule, field: &Value, found: &mut BTreeSet<Difference>) {
    let (characters, units) = (text.chars().count(), text.encode_utf16().count());
    // Where the contract has a bound, the CRD has the same.
    let is_open = !matches!(rule, Rule::Text { max, .. } if *max != usize::MAX);
    if is_open && bound(field, "maxLength").is_some_and(|most| characters > most) {
        found.insert(if matches!(rule, Rule::Email | Rule::DateTime) { LongForm } else { TooLong });
    }
    if let Rule::Text { min, .. } = rule
        && units >= *min
        && characters < *min
    {
        found.insert(FewCharacters);
    }
    match rule {
        Rule::HttpUrl | Rule::AudioUrl if is_unreadable_punycode(text) => drop(found.insert(Punycode)),
        // The contract itself refuses what is no URL at all.
        Rule::AudioUrl if Url::parse(text).is_err() => {}
        Rule::HttpUrl | Rule::AudioUrl if !is_http(text) => drop(found.insert(NotHttp)),
        Rule::UrlText if text.starts_with("[redacted") => drop(found.insert(Redacted)),
        Rule::Destination if !is_destination(text) => drop(found.insert(Difference::Destination)),
        _ => {}
    }
}

/// Returns true for an http or https URL, without white space, whose host is ASCII and no unfinished IPv4 address.
fn is_http(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap();
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let is_host =
        name.is_ascii() && !name.is_empty() && (!is_number || name.parse::<std::net::Ipv4Addr>().is_ok());
    is_host && !text.contains(is_white_space) && Url::parse(text).is_ok()
}

/// Returns true for an http or https URL that no parser reads since a label of its host looks like Punycode and is none.
fn is_unreadable_punycode(text: &str) -> bool {
    !is_http(text) && text.contains("xn--") && is_http(&text.replace("xn--", "xn-"))
}

/// Returns true for a number or dial string, and for a SIP or telephone URI, as far as a typo can be recognised.
fn is_destination(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = |scheme: &str| lower.strip_prefix(scheme).map(str::to_owned);
    if let Some(number) = rest("tel:") {
        return !number.is_empty() && !number.contains(is_white_space);
    }
    if let Some(address) = rest("sip:").or_else(|| rest("sips:")) {
        return !address.is_empty()
            && !address.ends_with('@')
            && !address.contains(|c| is_white_space(c) || "<>".contains(c));
    }
    let is_dialled = |c: char| is_white_space(c) || c.is_ascii_digit() || "+*#().,;/-abcdpw".contains(c);
    let digits = lower.trim_start_matches(|c: char| is_white_space(c) || "+(*#".contains(c));
    lower.chars().all(is_dialled)
        && (digits.starts_with(|c: char| c.is_ascii_digit())
            || (digits.is_empty() && lower.contains(['*', '#'])))
}
