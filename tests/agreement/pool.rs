//! The values that a place is tried with: good ones, those on both sides of every bound, and values of other types.

use runtime_operator::contract::{Member, Rule, UNLIMITED, mode_names};
use serde_json::{Map, Value, json};

use super::schema::{bound, member};
use super::texts;

/// A character that counts twice in UTF-16.
const EMOJI: &str = "🏠";

/// Returns a value that the contract accepts, with every member; of an object with modes, those of this mode.
pub fn good(rule: &Rule, mode: usize) -> Value {
    match rule {
        Rule::Literal(text) => json!(text),
        Rule::OneOf(names) => json!(names[0]),
        Rule::Text { min, .. } => json!("x".repeat((*min).max(1))),
        Rule::HttpUrl | Rule::AudioUrl | Rule::UrlText => json!("https://example.com/a"),
        Rule::Did | Rule::LongDid | Rule::Destination => json!("+15550002222"),
        Rule::Zip => json!("90210"),
        Rule::Email => json!("desk@example.com"),
        Rule::DateTime => json!("2026-09-30T12:00:00Z"),
        Rule::Boolean => json!(true),
        Rule::Integer { min, .. } => json!(min.max(&1)),
        Rule::Number => json!(-1.5),
        Rule::NumberAbove(limit) => json!(limit + 1.0),
        Rule::NumberIn(_, max) | Rule::NumberAboveTo(_, max) => json!(max),
        Rule::List { item, .. } => json!([good(item, mode)]),
        Rule::Map(rule) => json!({ "hours": good(rule, mode) }),
        Rule::Nullable(rule) => good(rule, mode),
        Rule::Day(_) => json!({ "open": "09:00", "close": "17:00" }),
        Rule::Object(members) | Rule::ByMode(members) => object(members, mode),
    }
}

fn object(members: &[Member], mode: usize) -> Value {
    let names = mode_names(members);
    let counts = |member: &&Member| names.is_empty() || member.modes.contains(mode);
    let members = members.iter().filter(counts);
    let mut object: Map<_, _> =
        members.map(|member| (member.name.to_owned(), good(&member.rule, mode))).collect();
    // `llmRouting` has a member of this name, and no members by mode.
    if names.get(mode).is_some() {
        object.insert("mode".to_owned(), json!(names[mode]));
    }
    object.into()
}

/// Returns the values for a place with this rule, whose field in the CRD has this schema: of those that have another type than
/// most places, two for each `place`.
pub fn values(rule: &Rule, schema: &Value, place: usize) -> Vec<Value> {
    let mut types = [json!(true), json!(5), json!(0.5), json!("text"), json!([]), json!({})];
    types.rotate_left(place % 6);
    let mut values = vec![json!(null), types[0].clone(), types[2].clone()];
    values.extend(of_rule(rule, schema));
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

fn of_rule(rule: &Rule, schema: &Value) -> Vec<Value> {
    let all = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
    match rule {
        Rule::Literal(text) => all(&[text, "v2", ""]),
        Rule::OneOf(names) => {
            let wrong = [String::new(), format!("{} ", names[0]), names[0].to_uppercase()];
            [all(names), wrong.map(Value::from).to_vec()].concat()
        }
        Rule::Text { min, max } => of_length(*min, *max, schema),
        Rule::HttpUrl | Rule::AudioUrl => {
            [all(&texts::URLS), long("https://example.com/", "", 2048)].concat()
        }
        Rule::UrlText => [all(&texts::URL_TEXTS), of_length(1, usize::MAX, schema)].concat(),
        Rule::Destination => [all(&texts::DESTINATIONS), long("sip:", "@example.com", 512)].concat(),
        Rule::Did => all(&texts::DIDS),
        Rule::LongDid => all(&texts::LONG_DIDS),
        Rule::Zip => all(&texts::ZIPS),
        Rule::Email => [all(&texts::EMAILS), long("", "@example.com", 254)].concat(),
        Rule::DateTime => {
            let fraction = |length: usize| json!(format!("2026-09-30T12:00:00.{}Z", "1".repeat(length - 21)));
            [all(&texts::TIMES), vec![fraction(64), fraction(65)]].concat()
        }
        Rule::Boolean => vec![json!(false), json!("true"), json!(0), json!(1)],
        Rule::Integer { min, max } => integers(*min, *max),
        Rule::Number => vec![json!(0), json!(-1e300), json!(1e300), json!(u64::MAX), json!("1")],
        Rule::NumberAbove(limit) => {
            vec![json!(limit), json!(limit + 0.001), json!(limit - 1.0), json!(1e300)]
        }
        Rule::NumberIn(min, max) | Rule::NumberAboveTo(min, max) => {
            [*min, *max, min - 0.001, max + 0.001, min + 0.001, f64::midpoint(*min, *max), -0.0, 1e300]
                .map(|number| json!(number))
                .to_vec()
        }
        Rule::Nullable(rule) => of_rule(rule, schema),
        Rule::Day(_) => days(),
        Rule::List { item, min, max } => lists(item, *min, *max, schema),
        Rule::Map(rule) => maps(rule, schema),
        Rule::Object(_) | Rule::ByMode(_) => Vec::new(),
    }
}

/// Texts of the greatest length, and one longer.
fn long(start: &str, end: &str, most: usize) -> Vec<Value> {
    let text = |length: usize| format!("{start}{}{end}", "a".repeat(length - start.len() - end.len()));
    vec![json!(text(most)), json!(text(most + 1))]
}

/// Texts whose lengths are around the contract's bounds and the CRD's, in characters and in UTF-16 units.
fn of_length(min: usize, max: usize, schema: &Value) -> Vec<Value> {
    let mut lengths = vec![min.saturating_sub(1), min, min + 1];
    let bounds = [Some(max).filter(|max| *max != usize::MAX), bound(schema, "maxLength")];
    for most in bounds.into_iter().flatten() {
        lengths.extend([most, most + 1]);
    }
    let mut texts: Vec<_> = lengths.iter().map(|length| json!("x".repeat(*length))).collect();
    texts.extend([min.div_ceil(2), min / 2].map(|emoji| json!(EMOJI.repeat(emoji))));
    if max != usize::MAX {
        texts.extend([max / 2, max / 2 + 1].map(|emoji| json!(EMOJI.repeat(emoji))));
    }
    texts.extend(["\u{a0}", "a\nb", "\u{0}", "ü\u{feff}"].map(|text| json!(text)));
    texts
}

fn integers(min: i64, max: i64) -> Vec<Value> {
    let within = min.max(1);
    let mut values = vec![json!(min - 1), json!(min), json!(-1), json!(i64::MIN), json!(format!("{within}"))];
    #[allow(clippy::cast_precision_loss, reason = "the least values are small")]
    let double = within as f64;
    values.extend([double, double + 0.5, 1e3, 1e300].map(|number| json!(number)));
    values.extend(
        [2_147_483_647_i64, 2_147_483_648, 9_007_199_254_740_993, i64::MAX].map(|number| json!(number)),
    );
    values.push(json!(u64::MAX));
    if max != UNLIMITED {
        values.extend([json!(max), json!(max + 1)]);
    }
    values
}

fn days() -> Vec<Value> {
    vec![
        json!({ "closed": true }),
        json!({ "closed": false }),
        json!({ "closed": "true" }),
        json!({ "open": "09:00" }),
        json!({ "close": "17:00" }),
        json!({ "open": "", "close": "17:00" }),
        json!({ "open": "9", "close": "123456789" }),
        json!({ "open": EMOJI.repeat(4), "close": EMOJI.repeat(5) }),
        json!({ "open": 9, "close": 17 }),
        json!({ "open": null, "close": "17:00" }),
        json!({ "closed": true, "open": "", "close": 5 }),
        json!({ "closed": true, "open": "late", "close": null }),
        json!({ "closed": true, "open": "x".repeat(9) }),
        json!({ "closed": false, "open": "9", "close": "tomorrow" }),
        json!({ "closed": null, "open": "9", "close": "5" }),
        json!({ "closed": "no", "open": "9", "close": "5" }),
    ]
}

fn lists(item: &Rule, min: usize, max: usize, schema: &Value) -> Vec<Value> {
    let mut sizes = vec![min.saturating_sub(1), min, min + 1];
    let bounds = [Some(max).filter(|max| *max != usize::MAX), bound(schema, "maxItems")];
    for most in bounds.into_iter().flatten() {
        sizes.extend([most, most + 1]);
    }
    let of_size = |size: usize| {
        let number = |n: usize| json!(format!("+1555{n:07}"));
        let item = |n| if matches!(item, Rule::Did) { number(n) } else { good(item, 0) };
        (0..size).map(item).collect::<Vec<_>>().into()
    };
    let mut lists: Vec<Value> = sizes.into_iter().map(of_size).collect();
    let one = good(item, 0);
    lists.extend([json!([one, null]), json!([one, one]), json!([one, [one]])]);
    if matches!(item, Rule::Did) {
        lists.extend([json!(["+12", "+1 2"]), json!(["+12", "+13", "+12"]), json!(["+99", "+1 2"])]);
    }
    lists
}

fn maps(rule: &Rule, schema: &Value) -> Vec<Value> {
    let one = good(rule, 0);
    let names = |count: usize| (0..count).map(|n| (format!("n{n}"), one.clone())).collect::<Map<_, _>>();
    let single = |name: String| Value::Object(Map::from_iter([(name, one.clone())]));
    let most = bound(schema, "maxProperties").unwrap();
    let mut maps = vec![single(String::new()), single("a.b/c d".to_owned()), single("n".repeat(253))];
    maps.extend([single("n".repeat(254)), names(most).into(), names(most + 1).into()]);
    let longest = bound(member(schema, "hours"), "maxLength").unwrap();
    for value in
        [json!(""), json!(null), json!(5), json!("x".repeat(longest)), json!("x".repeat(longest + 1))]
    {
        maps.push(json!({ "a": value, "b": one }));
    }
    maps
}
