//! Flags and environment variables of `runtime-operator run`: read once, validated together at startup, typed from then on.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::admin::{AdminAuth, AdminSettings};
use crate::contract::routes::parse_boolean;
use crate::store::RedisSettings;
use crate::telemetry::LogFormat;

/// The flags of `runtime-operator run` as texts. Every flag can be an environment variable instead; an empty text counts as
/// not given. [`Settings::parse`] validates them.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    #[arg(
        help = "URL of the Redis to publish to, for example redis://redis:6379/0; rediss:// is TLS. Required",
        long,
        env = "REDIS_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Redis"
    )]
    redis_url: Option<SecretText>,
    /// File with the name of the ACL user; read on every connect [default: the user in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_username_file: Option<String>,
    /// File with the password; read on every connect, so that it can be rotated without a restart [default: the password
    /// in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_password_file: Option<String>,
    /// File with the CA certificates (PEM) to verify Redis' certificate with [default: the system's]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_ca_file: Option<String>,
    /// File with the client certificate (PEM), if Redis requires one
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_cert_file: Option<String>,
    /// File with the key (PEM) of the client certificate
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_key_file: Option<String>,
    /// Sentinels that monitor the primary, as host:port,host:port; only scheme, database and user of --redis-url are used
    /// then
    #[arg(long, env, value_name = "LIST", help_heading = "Redis")]
    redis_sentinel: Option<String>,
    /// Name of the primary in the Sentinels' configuration, for example mymaster
    #[arg(long, env, value_name = "NAME", help_heading = "Redis")]
    redis_sentinel_service: Option<String>,

    /// Namespaces to watch, separated by commas; a list needs Roles only, no ClusterRole [default: all]
    #[arg(long, env, value_name = "LIST", help_heading = "Kubernetes")]
    watch_namespaces: Option<String>,
    /// Name of this cluster in the ownership records in Redis; required if kube-system can't be read [default: the UID of
    /// the namespace kube-system]
    #[arg(long, env, value_name = "ID", help_heading = "Kubernetes")]
    cluster_id: Option<String>,
    /// Elect a leader among the replicas, with the Lease runtime-operator in the operator's namespace; only the leader
    /// writes [default: true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    leader_elect: Option<String>,
    /// Include the webhook secret in the configs in Redis; false: include a reference, which current runtimes can't resolve
    /// [default: true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    publish_webhook_secret: Option<String>,

    /// Address to serve the admin routes on [default: 127.0.0.1:8080]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    admin_addr: Option<String>,
    /// Address to serve /livez, /readyz and /metrics on [default: 0.0.0.0:8081]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    telemetry_addr: Option<String>,
    /// Enable the admin routes; otherwise every response is 503 [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    enable_runtime_admin: Option<String>,
    /// Allow admin reads to include the webhook secret, with ?includeSecrets=true [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    allow_runtime_secret_read: Option<String>,
    /// Authentication of the admin routes: kubernetes (bearer tokens that the API server reviews), or none (on a loopback
    /// address only) [default: kubernetes]
    #[arg(long, env, value_name = "HOW", help_heading = "HTTP")]
    runtime_admin_auth: Option<String>,
    /// Allow --runtime-admin-auth none on an address that other hosts can reach [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    runtime_admin_insecure: Option<String>,
    /// File with the certificate chain (PEM) to serve the admin routes with TLS; reloaded when it changes [default: plain
    /// HTTP]
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    admin_tls_cert_file: Option<String>,
    /// File with the key (PEM) of that certificate; reloaded when it changes
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    admin_tls_key_file: Option<String>,

    /// Format of log lines: text (for people) or json (one object a line) [default: text on a terminal, else json]
    #[arg(long, env, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<String>,
}

/// A text that `Debug` must not show.
#[derive(Clone, Default)]
struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The validated settings of `runtime-operator run`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The connection to Redis.
    pub redis: RedisSettings,
    /// The namespaces to watch; empty: all.
    pub watch_namespaces: Vec<String>,
    /// The name of this cluster in ownership records, if it is not the UID of kube-system.
    pub cluster_id: Option<String>,
    /// True: the replicas elect a leader. False: this process leads.
    pub leader_elect: bool,
    /// True: configs in Redis contain the webhook secret. False: a reference to it.
    pub publish_webhook_secret: bool,
    /// The admin routes.
    pub admin: AdminSettings,
    /// The address of probes and metrics.
    pub telemetry_addr: SocketAddr,
    /// The format of log lines; `None` depends on the output.
    pub log_format: Option<LogFormat>,
}

/// All invalid settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid settings:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
pub struct InvalidSettings(pub Vec<SettingError>);

/// An invalid setting. The message names the flag and the variable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{flag} ({}): {problem}", variable(.flag))]
pub struct SettingError {
    /// The setting's flag.
    pub flag: &'static str,
    /// The rule that the setting violates.
    pub problem: String,
}

impl Settings {
    /// Validates all settings, and reports all errors together.
    pub fn parse(args: RunArgs) -> Result<Self, InvalidSettings> {
        let mut parser = Parser::default();
        let enabled = parser.boolean("--enable-runtime-admin", args.enable_runtime_admin, false);
        let redis = RedisSettings {
            url: parser.redis_url(args.redis_url, enabled),
            username_file: non_empty(args.redis_username_file).map(PathBuf::from),
            password_file: non_empty(args.redis_password_file).map(PathBuf::from),
            ca_file: non_empty(args.redis_ca_file).map(PathBuf::from),
            cert_file: non_empty(args.redis_cert_file).map(PathBuf::from),
            key_file: non_empty(args.redis_key_file).map(PathBuf::from),
            sentinels: list(args.redis_sentinel.as_deref()),
            sentinel_service: non_empty(args.redis_sentinel_service),
        };
        parser.check_redis(&redis);
        let auths = [("kubernetes", AdminAuth::Kubernetes), ("none", AdminAuth::None)];
        let allow_secret_read =
            parser.boolean("--allow-runtime-secret-read", args.allow_runtime_secret_read, false);
        let admin = AdminSettings {
            addr: parser.address("--admin-addr", args.admin_addr, ([127, 0, 0, 1], 8080).into()),
            enabled,
            allow_secret_read,
            auth: parser
                .one_of("--runtime-admin-auth", args.runtime_admin_auth, &auths)
                .unwrap_or(AdminAuth::Kubernetes),
            tls: parser.pair(
                ("--admin-tls-cert-file", non_empty(args.admin_tls_cert_file)),
                ("--admin-tls-key-file", non_empty(args.admin_tls_key_file)),
            ),
        };
        let insecure = parser.boolean("--runtime-admin-insecure", args.runtime_admin_insecure, false);
        parser.check_admin(&admin, insecure);
        let publish_webhook_secret =
            parser.boolean("--publish-webhook-secret", args.publish_webhook_secret, true);
        let telemetry_addr = ([0, 0, 0, 0], 8081).into();
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let settings = Self {
            redis,
            watch_namespaces: parser.namespaces(list(args.watch_namespaces.as_deref())),
            cluster_id: parser.cluster_id(non_empty(args.cluster_id)),
            leader_elect: parser.boolean("--leader-elect", args.leader_elect, true),
            publish_webhook_secret,
            admin,
            telemetry_addr: parser.address("--telemetry-addr", args.telemetry_addr, telemetry_addr),
            log_format: parser.one_of("--log-format", args.log_format, &formats),
        };
        if parser.errors.is_empty() { Ok(settings) } else { Err(InvalidSettings(parser.errors)) }
    }
}

/// Parses texts, and collects the errors.
#[derive(Default)]
struct Parser {
    errors: Vec<SettingError>,
}

impl Parser {
    fn reject(&mut self, flag: &'static str, problem: impl Into<String>) {
        self.errors.push(SettingError { flag, problem: problem.into() });
    }

    fn boolean(&mut self, flag: &'static str, text: Option<String>, default: bool) -> bool {
        let Some(text) = non_empty(text) else { return default };
        parse_boolean(&text).unwrap_or_else(|| {
            self.reject(flag, "must be true or false (1, yes, on; 0, no, off)");
            default
        })
    }

    fn address(&mut self, flag: &'static str, text: Option<String>, default: SocketAddr) -> SocketAddr {
        non_empty(text).map_or(default, |text| {
            text.parse().unwrap_or_else(|_| {
                self.reject(flag, format!("must be an address and a port, for example {default}"));
                default
            })
        })
    }

    fn one_of<T: Copy>(
        &mut self,
        flag: &'static str,
        text: Option<String>,
        values: &[(&str, T)],
    ) -> Option<T> {
        let text = non_empty(text)?;
        let found = values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
            self.reject(flag, format!("must be {}", names.join(" or ")));
        }
        found
    }

    /// Two files that are only useful together.
    fn pair(
        &mut self,
        (one_flag, one): (&'static str, Option<String>),
        (other_flag, other): (&'static str, Option<String>),
    ) -> Option<(PathBuf, PathBuf)> {
        match (one, other) {
            (Some(one), Some(other)) => return Some((one.into(), other.into())),
            (None, None) => {}
            (Some(_), None) => self.reject(other_flag, format!("is required with {one_flag}")),
            (None, Some(_)) => self.reject(one_flag, format!("is required with {other_flag}")),
        }
        None
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
        match Url::parse(&url) {
            Err(error) => {
                self.reject(FLAG, format!("must be a URL ({error}), for example redis://redis:6379/0"));
            }
            Ok(parsed) if !matches!(parsed.scheme(), "redis" | "rediss") => {
                self.reject(FLAG, "must begin with redis:// or rediss://");
            }
            Ok(parsed) if parsed.host_str().is_none_or(str::is_empty) => {
                self.reject(FLAG, "must contain a host, for example redis://redis:6379/0");
            }
            Ok(parsed) => {
                let database = parsed.path().trim_start_matches('/');
                if !database.is_empty() && database.parse::<u32>().is_err() {
                    self.reject(
                        FLAG,
                        "must end with the number of the database, for example redis://redis:6379/0",
                    );
                }
            }
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
        for sentinel in &redis.sentinels {
            let port = sentinel.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                self.reject("--redis-sentinel", format!("{sentinel} must be host:port"));
            }
        }
    }

    fn check_admin(&mut self, admin: &AdminSettings, insecure: bool) {
        let addr = admin.addr;
        if admin.auth == AdminAuth::None && !addr.ip().is_loopback() && !insecure {
            self.reject(
                "--runtime-admin-auth",
                format!(
                    "none requires a loopback address, and {addr} is not one: use kubernetes, or add \
                     --runtime-admin-insecure"
                ),
            );
        }
    }

    fn namespaces(&mut self, mut namespaces: Vec<String>) -> Vec<String> {
        for namespace in &namespaces {
            if !is_dns_label(namespace) {
                self.reject(
                    "--watch-namespaces",
                    format!("{namespace:?} must be a namespace's name (RFC 1123 label)"),
                );
            }
        }
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    fn cluster_id(&mut self, id: Option<String>) -> Option<String> {
        let valid = |id: &String| id.len() <= 253 && id.chars().all(|c| c.is_ascii_graphic());
        if id.as_ref().is_some_and(|id| !valid(id)) {
            self.reject("--cluster-id", "must be up to 253 visible ASCII characters");
        }
        id
    }
}

/// The environment variable of a flag.
fn variable(flag: &str) -> String {
    flag.trim_start_matches('-').replace('-', "_").to_uppercase()
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn list(text: Option<&str>) -> Vec<String> {
    text.iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_dns_label(name: &str) -> bool {
    let valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(valid)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parse(flags: &[&str]) -> Result<Settings, InvalidSettings> {
        Settings::parse(Line::parse_from([&["run"], flags].concat()).run)
    }

    #[test]
    fn a_redis_url_is_the_only_required_setting() {
        let settings = parse(&["--redis-url", "redis://localhost"]).unwrap();
        assert!(settings.leader_elect && settings.publish_webhook_secret && !settings.admin.enabled);
        assert_eq!(settings.admin.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.telemetry_addr.to_string(), "0.0.0.0:8081");
    }

    #[test]
    fn all_errors_are_reported_together_with_their_flag_and_variable() {
        let flags = ["--leader-elect", "maybe", "--admin-addr", "8080", "--watch-namespaces", "ok,Not_ok"];
        let InvalidSettings(errors) = parse(&flags).unwrap_err();
        for named in [
            "--redis-url (REDIS_URL)",
            "--leader-elect (LEADER_ELECT)",
            "--admin-addr (ADMIN_ADDR)",
            "\"Not_ok\"",
        ] {
            assert!(errors.iter().any(|error| error.to_string().contains(named)), "{named}: {errors:?}");
        }
        assert_eq!(errors.len(), 4);
    }

    #[test]
    fn an_invalid_url_is_not_shown() {
        for url in
            ["http://user:hunter2@host", "redis://user:hunter2@", "redis://user:hunter2@host/zero", "hunter2"]
        {
            let error = parse(&["--redis-url", url]).unwrap_err().to_string();
            assert!(error.contains("REDIS_URL") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_authentication_requires_a_loopback_address() {
        let open =
            ["--redis-url", "redis://h", "--runtime-admin-auth", "none", "--admin-addr", "0.0.0.0:8080"];
        assert!(parse(&open).unwrap_err().to_string().contains("--runtime-admin-insecure"));
        assert!(parse(&[&open[..], &["--runtime-admin-insecure"]].concat()).is_ok());
        assert!(parse(&open[..4]).is_ok());
    }

    #[test]
    fn settings_that_belong_together_are_required_together() {
        let error =
            parse(&["--redis-url", "redis://h", "--admin-tls-cert-file", "c"]).unwrap_err().to_string();
        assert!(error.contains("--admin-tls-key-file"), "{error}");
        let error =
            parse(&["--redis-url", "redis://h", "--redis-sentinel", "a:26379"]).unwrap_err().to_string();
        assert!(error.contains("--redis-sentinel-service"), "{error}");
    }

    #[test]
    fn debug_output_shows_no_password() {
        let settings = parse(&["--redis-url", "redis://:hunter2@localhost"]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
