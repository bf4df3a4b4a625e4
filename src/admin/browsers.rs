//! Requests of browsers: which pages may send them (CORS), and under which name they reach this server.

use std::fmt;
use std::str::FromStr;

use url::Url;
use warp::http::Method;
use warp::http::header::{self, HeaderMap, HeaderValue};

use super::response::ApiError;
use crate::contract::routes::ErrorCode;

const ALLOWED_HEADERS: &str = "authorization,content-type,x-admin-key,x-tenant-id,x-active-tenant";
const ALLOWED_METHODS: &str = "GET,POST,PUT,PATCH,DELETE,OPTIONS";

/// The origin of a page, exactly as a browser sends it: scheme, host, and the port unless it is the scheme's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an origin as a browser sends it, for example https://panel.example.com: no path, no wildcard"
)]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        let exact = matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
        if exact && !text.contains('*') { Ok(Self(text.to_owned())) } else { Err(InvalidOrigin) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules for browsers.
pub(super) struct Browsers {
    origins: Vec<Origin>,
    /// True: `Host` must be a name of this host. Without authentication a page could otherwise reach a loopback address
    /// under a name of its own (DNS rebinding).
    loopback_only: bool,
}

impl Browsers {
    pub(super) fn new(origins: Vec<Origin>, loopback_only: bool) -> Self {
        Self { origins, loopback_only }
    }

    /// Returns true if a preflight request is answered.
    pub(super) fn answers_preflight(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Rejects a request of a page that is not listed, and one under another name than this host's.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.loopback_only && !has_loopback_host(headers) {
            let message = "without authentication the Host must be localhost or a loopback address";
            return Err(ApiError::from(ErrorCode::OriginNotAllowed).with_message(message));
        }
        if method != Method::OPTIONS && headers.contains_key(header::ORIGIN) && self.listed(headers).is_none()
        {
            return Err(ErrorCode::OriginNotAllowed.into());
        }
        Ok(())
    }

    /// Adds the headers that let a listed page read the response.
    pub(super) fn add_headers(&self, request: &HeaderMap, response: &mut HeaderMap) {
        response.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.listed(request) else { return };
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        ] {
            response.insert(name, HeaderValue::from_static(value));
        }
    }

    /// The request's origin, if it has exactly one and it is listed.
    fn listed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        self.origins.iter().any(|listed| listed.0.as_bytes() == origin.as_bytes()).then_some(origin)
    }
}

fn has_loopback_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(url) = host.to_str().ok().and_then(|host| Url::parse(&format!("http://{host}/")).ok()) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_exact() {
        for good in ["https://panel.example.com", "http://localhost:3000", "https://[::1]:8443"] {
            assert_eq!(good.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(good));
        }
        for wrong in [
            "*",
            "null",
            "",
            "panel.example.com",
            "https://panel.example.com/",
            "https://panel.example.com:443",
            "https://Panel.example.com",
            "https://*.example.com",
            "https://panel.example.com/x",
            "ftp://panel.example.com",
            "file:///x",
            "https://user@panel.example.com",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(InvalidOrigin), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_loopback_by_its_name_or_address() {
        let is_loopback =
            |host: &str| has_loopback_host(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]));
        for good in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:80", "a.localhost"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for wrong in ["", "example.com", "localhost.example.com", "10.0.0.1", "[::]", "127.0.0.1.nip.example"]
        {
            assert!(!is_loopback(wrong), "{wrong}");
        }
        assert!(!has_loopback_host(&HeaderMap::new()));
    }
}
