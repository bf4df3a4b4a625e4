//! Reads JSON text from untrusted sources.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The greatest number of arrays and objects inside each other, the document itself included. It is the limit of
/// `serde_json`, so that every document that is written can be read again.
pub const MAX_DEPTH: usize = 127;

/// The error of a text that is not JSON, or nests more than [`MAX_DEPTH`] levels deep. It names the place and quotes
/// nothing.
///
/// JavaScript reads two texts that are not JSON here, since no Rust string or number can hold them: a lone
/// surrogate (`"\ud800"`) and a number beyond the range of a double (`1e999`).
#[derive(Debug, thiserror::Error)]
#[error("must be JSON: {0}")]
pub struct NotJson(#[from] serde_json::Error);

/// Reads one JSON value and nothing after it. Members keep their order; of two with one name the last one counts, in
/// the first one's place, as in JavaScript.
///
/// # Example
///
/// ```
/// let body = runtime_operator::contract::read_json(br#"{"didE164":"+15551234567"}"#)?;
/// assert_eq!(body["didE164"], "+15551234567");
/// # Ok::<_, runtime_operator::contract::NotJson>(())
/// ```
pub fn read(text: &[u8]) -> Result<Value, NotJson> {
    let Json(value) = serde_json::from_slice(text)?;
    Ok(value)
}

/// Returns true if arrays and objects nest more than `levels` deep in `value`, itself included.
pub(super) fn is_deeper_than(levels: usize, value: &Value) -> bool {
    let Some(inner) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper_than(inner, item)),
        Value::Object(members) => members.values().any(|member| is_deeper_than(inner, member)),
        _ => false,
    }
}

/// Returns true if arrays and objects nest more than `levels` deep in this JSON text, itself included.
pub(super) fn is_text_deeper_than(levels: usize, json: &str) -> bool {
    let (mut depth, mut in_text, mut bytes) = (0_usize, false, json.bytes());
    while let Some(byte) = bytes.next() {
        match (in_text, byte) {
            (true, b'\\') => drop(bytes.next()),
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A value read without the member name that `serde_json`'s feature `raw_value` reserves. `Value` itself parses the text
/// under that name as JSON again, with a fresh depth limit, so that a text could nest without bound.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(Json)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Json(member))) = members.next_entry::<String, Json>()? {
            object.insert(name, member);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_beyond_the_depth_limit_is_rejected() {
        let nested = |levels| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(!is_deeper_than(MAX_DEPTH, &read(&nested(MAX_DEPTH)).unwrap()));
        for levels in [MAX_DEPTH + 1, 1_000_000] {
            let error = read(&nested(levels)).unwrap_err();
            assert!(error.to_string().starts_with("must be JSON: recursion limit exceeded"), "{error}");
        }
    }

    #[test]
    fn the_depth_of_a_text_is_that_of_its_value() {
        for text in [r#"["[[", "\"[", {"a": [1]}]"#, r#"{"]": {"\\": [[]]}}"#, "7", r#""[""#] {
            let value = read(text.as_bytes()).unwrap();
            for levels in 0..6 {
                assert_eq!(
                    is_text_deeper_than(levels, text),
                    is_deeper_than(levels, &value),
                    "{levels}: {text}"
                );
            }
        }
        assert!(is_text_deeper_than(126, &"[".repeat(1_000_000)));
    }

    #[test]
    fn a_member_name_reserved_by_serde_json_is_an_ordinary_member() {
        let text = br#"{"$serde_json::private::RawValue":"[1]","$serde_json::private::Number":"2"}"#;
        let value = read(text).unwrap();
        assert_eq!(value["$serde_json::private::RawValue"], json!("[1]"));
        assert_eq!(value["$serde_json::private::Number"], json!("2"));
    }

    #[test]
    fn a_duplicate_member_has_the_last_value_in_the_first_place() {
        assert_eq!(read(br#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn invalid_json_is_rejected_with_its_place_and_without_its_text() {
        for text in
            ["", "{", "{\"a\":canary}", "[1,]", "canary", "\"\\ud800\"", "1e999", "{} {}", "\u{feff}{}"]
        {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("at line 1 column"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }
}
