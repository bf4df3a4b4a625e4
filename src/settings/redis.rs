//! The settings of the connection to Redis.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::args::{RedisArgs, SecretText};
use super::error::InvalidSettings;
use super::parser::{Parser, list, non_empty};
use crate::store::{RedisSettings, parse_redis_url, parse_sentinel};

impl RedisArgs {
    /// The URL, unless none is given. It may contain a password.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        non_empty(self.redis_url.as_ref().map(|url| url.0.clone()))
    }

    /// Replaces the URL.
    pub fn set_url(&mut self, url: &str) {
        self.redis_url = Some(url.to_owned().into());
    }

    /// Validates the settings, and reports all errors together.
    pub fn parse(self) -> Result<RedisSettings, InvalidSettings> {
        let mut parser = Parser::default();
        let redis = parser.redis(self, false);
        if parser.errors.is_empty() { Ok(redis) } else { Err(InvalidSettings(parser.errors)) }
    }
}

impl Parser {
    pub(super) fn redis(&mut self, args: RedisArgs, admin_enabled: bool) -> RedisSettings {
        let redis = RedisSettings {
            url: self.redis_url(args.redis_url, admin_enabled),
            username_file: non_empty(args.redis_username_file).map(PathBuf::from),
            password_file: non_empty(args.redis_password_file).map(PathBuf::from),
            ca_file: non_empty(args.redis_ca_file).map(PathBuf::from),
            cert_file: non_empty(args.redis_cert_file).map(PathBuf::from),
            key_file: non_empty(args.redis_key_file).map(PathBuf::from),
            sentinels: list(args.redis_sentinel.as_deref()),
            sentinel_service: non_empty(args.redis_sentinel_service),
            sentinel_username_file: non_empty(args.redis_sentinel_username_file).map(PathBuf::from),
            sentinel_password_file: non_empty(args.redis_sentinel_password_file).map(PathBuf::from),
        };
        self.check_redis(&redis);
        redis
    }

    /// The messages don't contain the URL, since it may contain a password.
    fn redis_url(&mut self, url: Option<SecretText>, admin_enabled: bool) -> SecretString {
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

    fn check_redis(&mut self, redis: &RedisSettings) {
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
