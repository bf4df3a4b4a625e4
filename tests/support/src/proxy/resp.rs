//! Finds the end of a message of the Redis protocol, and recognises calls of scripts (RESP2 and RESP3,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

/// Returns the length of the first message in `bytes`; none while it is incomplete.
pub fn message(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let head = line + 2;
    let number = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<i64>().ok();
    let items = match bytes[0] {
        b'$' | b'=' | b'!' => {
            // Nil has the length -1 and no body.
            let body = usize::try_from(number()?).map_or(0, |length| length + 2);
            return (bytes.len() >= head + body).then_some(head + body);
        }
        b'*' | b'~' | b'>' => number()?.max(0),
        // A map has a key and a value each; an attribute is followed by the value it belongs to.
        b'%' => 2 * number()?,
        b'|' => 2 * number()? + 1,
        _ => return Some(head),
    };
    let mut end = head;
    for _ in 0..items {
        end += message(bytes.get(end..).filter(|rest| !rest.is_empty())?)?;
    }
    Some(end)
}

/// Returns true for a push message, which belongs to no command.
pub fn is_push(message: &[u8]) -> bool {
    message.first() == Some(&b'>')
}

/// Returns the SHA-1 of the script that a command calls, if it calls one.
pub fn script(command: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(command);
    let mut words = text.split("\r\n").filter(|word| !word.starts_with(['*', '$']));
    words.next().filter(|word| word.eq_ignore_ascii_case("EVALSHA"))?;
    words.next().map(str::to_ascii_lowercase)
}
