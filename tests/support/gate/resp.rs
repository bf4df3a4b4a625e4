//! Where a message of Redis' protocol ends, and what a call of a script is (RESP2 and RESP3,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

/// The length of the first whole message in `bytes`; none while it is not all there.
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
        // A map has a key and a value each; an attribute is followed by what it is about.
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

/// Whether a message answers no command but was sent by itself.
pub fn is_push(message: &[u8]) -> bool {
    message.first() == Some(&b'>')
}

/// The SHA-1 of the script that a command calls, if it calls one.
pub fn script(command: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(command);
    let mut words = text.split("\r\n").filter(|word| !word.starts_with(['*', '$']));
    words.next().filter(|word| word.eq_ignore_ascii_case("EVALSHA"))?;
    words.next().map(str::to_ascii_lowercase)
}
