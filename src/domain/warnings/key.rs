//! The forms of a Telnyx public key that the runtime can read.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::contract::trim;

/// What precedes the 32 bytes of an Ed25519 key in its DER form (SPKI, RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Returns true for PEM, or for hex or base64 of the 32 raw bytes or of the DER form.
pub fn is_public_key(text: &str) -> bool {
    let text = trim(text);
    if text.contains("BEGIN PUBLIC KEY") {
        let body: String = text.lines().filter(|line| !line.contains("-----")).map(str::trim).collect();
        return base64(&body).is_some_and(|der| is_der(&der));
    }
    [hex(text), base64(text)].into_iter().flatten().any(|bytes| bytes.len() == 32 || is_der(&bytes))
}

fn is_der(bytes: &[u8]) -> bool {
    bytes.strip_prefix(&SPKI).is_some_and(|key| key.len() == 32)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_key_is_known() {
        let raw = [7; 32];
        let der = [SPKI.as_slice(), &raw].concat();
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
        for key in [
            pem,
            hex(&raw),
            hex(&der).to_uppercase(),
            STANDARD.encode(raw),
            format!(" {}\n", STANDARD.encode(&der)),
            URL_SAFE.encode([0xff; 32]),
        ] {
            assert!(is_public_key(&key), "{key}");
        }
        for key in [
            "aaaaaaaaaaaaaaaa".to_owned(),
            hex(&[7; 31]),
            STANDARD.encode([7; 44]),
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".to_owned(),
            "not a key at all, but long".to_owned(),
        ] {
            assert!(!is_public_key(&key), "{key}");
        }
    }
}
