//! The forms that the contract asks of a text.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

/// A UTC time as in `2026-09-30T12:00:00Z`: seconds may be left out and have a fraction of any length; no offset, and only
/// days that exist. A pattern that Rust, Go and JavaScript read alike.
pub const DATE_TIME: &str = concat!(
    "^((([0-9][0-9][2468][048]|[0-9][0-9][13579][26]|[0-9][0-9]0[48]|[02468][048]00|[13579][26]00)-02-29)",
    "|([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))))",
    r"T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?Z$"
);
/// An E.164 number of 8 to 15 digits.
pub const LONG_DID: &str = r"^\+[1-9][0-9]{7,14}$";
/// A ZIP code of the United States.
pub const ZIP: &str = "^[0-9]{5}$";
/// An email address: atoms of the local part separated by single dots, its last character neither a dot nor an apostrophe;
/// a domain of at least two labels, the last of letters.
pub const EMAIL: &str =
    "^([A-Za-z0-9_'+-]+[.])*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9-]*[.])+[A-Za-z]{2,}$";

/// The start of a value that a control plane has replaced before it showed the config.
pub const REDACTED: &str = "[redacted";

// A pattern of this file that could not be compiled would match nothing, which the tests would report.
static DATE_TIME_REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(DATE_TIME).ok());
static EMAIL_REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(EMAIL).ok());

pub fn is_date_time(text: &str) -> bool {
    DATE_TIME_REGEX.as_ref().is_some_and(|regex| regex.is_match(text))
}

pub fn is_email(text: &str) -> bool {
    EMAIL_REGEX.as_ref().is_some_and(|regex| regex.is_match(text))
}

pub fn is_zip(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true for a URL of any scheme that the URL standard parses without a base, as JavaScript's `new URL` does.
pub fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_utc_and_on_a_day_that_exists() {
        for good in [
            "2026-09-30T12:00Z",
            "2026-09-30T12:00:00Z",
            "2026-09-30T23:59:59.123456789123Z",
            "2024-02-29T00:00Z",
            "2000-02-29T00:00:00.0Z",
            "0000-02-29T00:00Z",
            "0001-01-01T00:00Z",
        ] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-09-30",
            "2026-09-30T12Z",
            "2026-09-30T12:00",
            "2026-09-30t12:00Z",
            "2026-09-30T12:00z",
            "2026-09-30 12:00Z",
            "2026-09-30T12:00:00+00:00",
            "2026-09-30T12:00:00.Z",
            "2026-09-30T24:00Z",
            "2026-09-30T12:60Z",
            "2026-09-30T12:00:60Z",
            "2026-09-31T12:00Z",
            "2026-13-01T12:00Z",
            "2026-00-01T12:00Z",
            "2026-01-00T12:00Z",
            "2023-02-29T00:00Z",
            "1900-02-29T00:00Z",
            "26-09-30T12:00Z",
            "+002026-09-30T12:00Z",
            "2026-09-30T12:00:00Z\n",
            " 2026-09-30T12:00:00Z",
            "٢٠٢٦-09-30T12:00Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn an_email_address_has_a_local_part_and_a_domain() {
        for good in ["a@b.co", "A.B-c+d'e_f@Sub.Example.COM", "'a@b.co", "a'b@1.cc", "-@a-.co", "a@b-c.d1.ee"]
        {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@b.c",
            "a@b.c1",
            ".a@b.co",
            "a.@b.co",
            "a..b@b.co",
            "a'@b.co",
            "a@-b.co",
            "a@b..co",
            "a@.co",
            "a b@c.co",
            "a@b.co\n",
            "ä@b.co",
            "a@ü.co",
            "a@b.co.",
            "a!b@c.co",
            "\u{17f}@b.co",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn a_url_is_what_javascript_parses_without_a_base() {
        for good in [
            "http://a",
            "ftp://a/b.wav",
            "data:",
            "data:audio/wav;base64,AA==",
            "mailto:x",
            "a:b",
            "tel:+1555",
            " http://a ",
            "http:a",
            "HTTP://A/ b",
            "http://[::1]/",
            "http://1.2.3",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "a",
            "abc",
            "hold.wav",
            "/hold.wav",
            "+15551234567",
            "//a",
            "http://",
            "http://a b",
            "http://xn--a",
            "http://a:99999",
            "http://[::1",
            "http://1.2.3.256",
            "1a:b",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }

    #[test]
    fn a_zip_code_has_five_ascii_digits() {
        assert!(is_zip("00000") && is_zip("90210"));
        for bad in ["", "9021", "902100", "9021a", "９０２１０", "90210\n", " 90210"] {
            assert!(!is_zip(bad), "{bad}");
        }
    }
}
