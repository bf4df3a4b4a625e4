//! Estimates how much memory a JSON text needs when it is parsed.

/// The bytes of an object with its first member: the map, its table, and room for four members.
const OBJECT: usize = 560;
/// The bytes of an array with its first item: room for four items.
const ARRAY: usize = 320;
/// The bytes of a further member or item. A growing list has up to twice the room that it needs.
const FURTHER: usize = 210;

/// Returns about how many bytes the parsed values of a text need, rather more than less. The text need not be JSON.
pub(super) fn parsed_size(text: &[u8]) -> usize {
    let (mut size, mut quoted, mut escaped) = (text.len(), false, false);
    for byte in text {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        size = size.saturating_add(match byte {
            b'"' => {
                quoted = true;
                0
            }
            b'{' => OBJECT,
            b'[' => ARRAY,
            b',' => FURTHER,
            _ => 0,
        });
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_values_weigh_more_than_their_text_and_texts_weigh_no_more() {
        let bomb = format!("[{}]", vec!["{\"\":0}"; 1000].join(","));
        assert!(parsed_size(bomb.as_bytes()) > 100 * bomb.len() / 2, "{}", parsed_size(bomb.as_bytes()));
        let text = format!("{{\"x\":\"{}\"}}", r#"[{,\"\\"#.repeat(1000));
        assert_eq!(parsed_size(text.as_bytes()), text.len() + OBJECT);
        assert_eq!(parsed_size(b"\"never closed, [{"), 17);
    }
}
