//! Facts about a member that its field and `extensions` share.

use crate::contract::{Member, Modes, Rule};

pub(super) fn is_limited(set: Modes, modes: &[&str]) -> bool {
    (0..modes.len()).any(|position| !set.contains(position))
}

/// The type of the JSON values that can meet a rule.
pub(super) fn json_type(rule: &Rule) -> &'static str {
    match rule {
        Rule::Boolean => "boolean",
        Rule::Integer { .. } => "integer",
        Rule::Number | Rule::NumberAbove(_) | Rule::NumberIn(..) | Rule::NumberAboveTo(..) => "number",
        Rule::List { .. } => "array",
        Rule::Map(_) | Rule::Object(_) | Rule::ByMode(_) | Rule::Day(_) => "object",
        Rule::Nullable(rule) => json_type(rule),
        Rule::Literal(_)
        | Rule::OneOf(_)
        | Rule::Text { .. }
        | Rule::HttpUrl
        | Rule::AudioUrl
        | Rule::UrlText
        | Rule::Did
        | Rule::LongDid
        | Rule::Destination
        | Rule::Zip
        | Rule::Email
        | Rule::DateTime => "string",
    }
}

/// Returns the range of a number over all modes.
pub(super) fn widest_range(members: &[Member], name: &str) -> Option<(f64, f64)> {
    let rows = members.iter().filter(|member| member.name == name);
    let ranges = rows.filter_map(|member| match member.rule {
        Rule::NumberIn(min, max) => Some((min, max)),
        _ => None,
    });
    ranges.reduce(|(min, max), (lower, upper)| (min.min(lower), max.max(upper)))
}
