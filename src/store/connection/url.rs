//! The Redis URL, and the addresses of Sentinels. No message quotes what may hold a password.

use redis::{ConnectionInfo, IntoConnectionInfo};
use url::Url;

/// The members of a query that other clients know, and what to write instead.
const MEANT: [(&[&str], &str); 5] = [
    (&["db", "database"], "the database is the path: redis://redis:6379/3"),
    (
        &["password", "pass", "auth"],
        "use --redis-password-file, or write it before the host: redis://:password@redis:6379",
    ),
    (
        &["username", "user"],
        "use --redis-username-file, or write it before the host: redis://user:password@redis:6379",
    ),
    (&["ssl", "tls", "ssl_cert_reqs"], "TLS is the scheme: rediss://redis:6379"),
    (
        &["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"],
        "use --redis-ca-file, --redis-cert-file and --redis-key-file",
    ),
];

/// Parses a Redis URL. The error completes a sentence: the URL …
pub fn parse_redis_url(text: &str) -> Result<ConnectionInfo, String> {
    let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "redis" | "rediss"))
    else {
        return Err("must begin with redis:// or rediss://".to_owned());
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest[authority_end..].contains('@') {
        return Err("contains a password with a character that a URL can't: write / as %2F, ? as %3F, # as %23, or use \
                    --redis-password-file"
            .to_owned());
    }
    if text.contains('#') {
        return Err("must have no fragment: a server's certificate is always verified (a password's # is written %23)"
            .to_owned());
    }
    let url = Url::parse(text)
        .map_err(|error| format!("must be a URL ({error}), for example redis://redis:6379/0"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("must contain a host, for example redis://redis:6379/0".to_owned());
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err("must end with the number of the database, for example redis://redis:6379/0".to_owned());
    }
    if let Some((name, _)) = url.query_pairs().next() {
        let known = MEANT.iter().find(|(names, _)| names.contains(&&*name.to_lowercase()));
        return Err(known.map_or_else(
            || "must have no query: only scheme, user, password, host, port and database are read".to_owned(),
            |(_, meant)| format!("has the query member {name}, which is not read: {meant}"),
        ));
    }
    text.into_connection_info().map_err(|error| {
        let why = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        format!("must be redis://[user[:password]@]host[:port][/database]: {why}")
    })
}

/// Splits a Sentinel's `host:port`; an IPv6 address is in brackets. The error completes a sentence: the list of Sentinels …
pub fn parse_sentinel(text: &str) -> Result<(String, u16), String> {
    if text.contains(['@', '/', '?']) {
        return Err("must be host:port,host:port without scheme, user and password: --redis-url sets the scheme, and \
                    --redis-sentinel-password-file the password"
            .to_owned());
    }
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some((host.to_owned(), port.parse().ok()?))
    });
    parsed
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| format!("must be host:port,host:port, and {text:?} is not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_refused_with_what_is_meant() {
        for (query, meant) in [
            ("db=3", "redis://redis:6379/3"),
            ("password=hunter2", "--redis-password-file"),
            ("ssl=true", "rediss://"),
            ("hunter2", "no query"),
        ] {
            let error = parse_redis_url(&format!("redis://host:6379?{query}")).unwrap_err();
            assert!(error.contains(meant) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_unencoded_password_is_pointed_out_and_not_shown() {
        for password in ["hun/ter2", "hun?ter2", "hun#ter2", "1/hunter2"] {
            let error = parse_redis_url(&format!("redis://user:{password}@host:6379/0")).unwrap_err();
            assert!(error.contains("%2F") && !error.contains("ter2"), "{error}");
        }
        assert!(parse_redis_url("redis://:hun%2Fter2@host:6379/3").is_ok());
        assert!(parse_redis_url("redis://:hun@ter2@host:6379/3").is_ok());
    }

    #[test]
    fn a_sentinel_must_be_host_and_port() {
        let parse = |text| parse_sentinel(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(parse("a.b:1"), Ok("a.b 1".to_owned()));
        assert_eq!(parse("[::1]:2"), Ok("::1 2".to_owned()));
        for invalid in ["a.b", "a:b", ":1", "", "[::1]"] {
            assert!(parse(invalid).is_err(), "{invalid}");
        }
        for with_password in ["redis://:hunter2@a:1", ":hunter2@a:1"] {
            let error = parse(with_password).unwrap_err();
            assert!(
                error.contains("--redis-sentinel-password-file") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
