//! The settings of the connection to Redis.

use secrecy::{ExposeSecret, SecretString};

use super::args::SecretText;
use super::parser::{Parser, non_empty};
use crate::store::{RedisSettings, parse_redis_url, parse_sentinel};

impl Parser {
    /// The messages don't contain the URL, since it may contain a password.
    pub(super) fn redis_url(&mut self, url: Option<SecretText>, admin_enabled: bool) -> SecretString {
        const FLAG: &str = "--redis-url";
        let url = non_empty(url.map(|url| url.0)).unwrap_or_default();
        if url.is_empty() {
            let admin =
                if admin_enabled { ", and used by the admin routes (ENABLE_RUNTIME_ADMIN)" } else { "" };
            self.reject(FLAG, format!("is required{admin}, for example redis://redis:6379/0"));
            return url.into();
        }
        if let Err(problem) = parse_redis_url(&url) {
            self.reject(FLAG, problem);
        }
        url.into()
    }

    pub(super) fn check_redis(&mut self, redis: &RedisSettings) {
        let tls = redis.url.expose_secret().starts_with("rediss://");
        for (flag, file, requires_tls) in [
            ("--redis-username-file", &redis.username_file, false),
            ("--redis-password-file", &redis.password_file, false),
            ("--redis-ca-file", &redis.ca_file, true),
            ("--redis-cert-file", &redis.cert_file, true),
            ("--redis-key-file", &redis.key_file, true),
            ("--redis-sentinel-username-file", &redis.sentinel_username_file, false),
            ("--redis-sentinel-password-file", &redis.sentinel_password_file, false),
        ] {
            let Some(file) = file else { continue };
            if let Err(error) = std::fs::metadata(file) {
                self.reject(flag, format!("{}: {error}", file.display()));
            }
            if requires_tls && !tls {
                self.reject(flag, "is for TLS: --redis-url must begin with rediss://");
            }
        }
        match (&redis.cert_file, &redis.key_file) {
            (Some(_), None) => self.reject("--redis-key-file", "is required with --redis-cert-file"),
            (None, Some(_)) => self.reject("--redis-cert-file", "is required with --redis-key-file"),
            _ => {}
        }
        match (redis.sentinels.is_empty(), &redis.sentinel_service) {
            (false, None) => self.reject("--redis-sentinel-service", "is required with --redis-sentinel"),
            (true, Some(_)) => self.reject("--redis-sentinel", "is required with --redis-sentinel-service"),
            _ => {}
        }
        for (flag, file) in [
            ("--redis-sentinel-username-file", &redis.sentinel_username_file),
            ("--redis-sentinel-password-file", &redis.sentinel_password_file),
        ] {
            if file.is_some() && redis.sentinels.is_empty() {
                self.reject(flag, "is for Sentinels: set --redis-sentinel too");
            }
        }
        for sentinel in &redis.sentinels {
            if let Err(problem) = parse_sentinel(sentinel) {
                self.reject("--redis-sentinel", problem);
            }
        }
    }
}
