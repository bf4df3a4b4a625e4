//! Flags and environment: read once, checked all together at start, typed from then on.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::store::RedisSettings;

/// The flags of `runtime-operator run`, as given. Every one can be an environment variable instead; an empty one
/// counts as not given. [`Settings::check`] makes sense of them.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    #[arg(
        help = "Redis to publish to, as in redis://redis:6379/0; rediss:// is TLS. Must be given",
        long,
        env = "REDIS_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Redis"
    )]
    redis_url: Option<SecretText>,
    /// File with the name of the ACL user; read again on every connect [default: the one in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_username_file: Option<String>,
    /// File with the password; read again on every connect, so that it can be rotated without a restart [default: the
    /// one in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_password_file: Option<String>,
    /// File with the CA certificates (PEM) that Redis' own must be signed by [default: the system's]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_ca_file: Option<String>,
    /// File with a client certificate (PEM), where Redis asks for one
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_cert_file: Option<String>,
    /// File with the key (PEM) of the client certificate
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    redis_key_file: Option<String>,
    /// Sentinels that know where the primary is, as host:port,host:port; --redis-url then gives scheme, database and user
    /// only
    #[arg(long, env, value_name = "LIST", help_heading = "Redis")]
    redis_sentinel: Option<String>,
    /// Name that the Sentinels have for the primary, as in mymaster
    #[arg(long, env, value_name = "NAME", help_heading = "Redis")]
    redis_sentinel_service: Option<String>,

    /// Namespaces to watch, separated by commas; a list needs only Roles, no ClusterRole [default: all]
    #[arg(long, env, value_name = "LIST", help_heading = "Kubernetes")]
    watch_namespaces: Option<String>,
    /// Name of this cluster in the ownership records in Redis; must be given where kube-system can't be read [default:
    /// the UID of the namespace kube-system]
    #[arg(long, env, value_name = "ID", help_heading = "Kubernetes")]
    cluster_id: Option<String>,
    /// Whether replicas elect the one that writes, by the Lease runtime-operator in the operator's namespace [default:
    /// true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    leader_elect: Option<String>,
    /// Whether the configs in Redis carry the webhook secret itself; false: only a reference, which today's runtimes can't
    /// resolve [default: true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    publish_webhook_secret: Option<String>,

    /// Address to serve the admin routes on [default: 127.0.0.1:8080]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    admin_addr: Option<String>,
    /// Address to serve /livez, /readyz and /metrics on [default: 0.0.0.0:8081]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    telemetry_addr: Option<String>,
    /// Whether the admin routes are enabled; all answer 503 otherwise [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    enable_runtime_admin: Option<String>,
    /// Whether an admin read may ask for the webhook secret too, with ?includeSecrets=true [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    allow_runtime_secret_read: Option<String>,
    /// Who may call the admin routes: kubernetes (bearer tokens that the API server checks), or none (anyone; on a
    /// loopback address only) [default: kubernetes]
    #[arg(long, env, value_name = "HOW", help_heading = "HTTP")]
    runtime_admin_auth: Option<String>,
    /// Accept --runtime-admin-auth none on an address that others can reach too [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    runtime_admin_insecure: Option<String>,
    /// File with the certificate chain (PEM) for serving the admin routes by TLS; read again when it changes [default:
    /// plain HTTP]
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    admin_tls_cert_file: Option<String>,
    /// File with the key (PEM) of that certificate; read again when it changes
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    admin_tls_key_file: Option<String>,

    /// How log lines look: text (for people) or json (an object a line) [default: text on a terminal, else json]
    #[arg(long, env, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<String>,
}

/// A command-line text that must not be shown by `Debug`.
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

/// What `runtime-operator run` does, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How Redis is reached.
    pub redis: RedisSettings,
    /// The namespaces to watch; empty: all.
    pub watch_namespaces: Vec<String>,
    /// This cluster's name in ownership records, if given.
    pub cluster_id: Option<String>,
    /// Whether a Lease decides who writes.
    pub leader_elect: bool,
    /// Whether the webhook secret's value is published.
    pub publish_webhook_secret: bool,
    /// The admin routes.
    pub admin: AdminSettings,
    /// Where probes and metrics are served.
    pub telemetry_addr: SocketAddr,
    /// How log lines look; none: as fits the output.
    pub log_format: Option<LogFormat>,
}

/// The admin routes.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where they are served.
    pub addr: SocketAddr,
    /// Whether they answer at all.
    pub enabled: bool,
    /// Whether `includeSecrets` may show webhook secrets.
    pub allow_secret_read: bool,
    /// Who may call them.
    pub auth: AdminAuth,
    /// Certificate chain and key.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Who may call the admin routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAuth {
    /// Whoever the API server's TokenReview and SubjectAccessReview let.
    Kubernetes,
    /// Anyone who reaches the address.
    None,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors, an object a line.
    Json,
}

/// Everything that is wrong with the settings, one line each, every line naming its flag and variable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{} of the settings can't be used:\n  {}", .0.len(), .0.join("\n  "))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// Checks everything and reports all faults at once.
    pub fn check(args: RunArgs) -> Result<Self, InvalidSettings> {
        let mut check = Check::default();
        let enabled = check.boolean("--enable-runtime-admin", args.enable_runtime_admin, false);
        let redis = RedisSettings {
            url: check.redis_url(args.redis_url, enabled),
            username_file: given(args.redis_username_file).map(PathBuf::from),
            password_file: given(args.redis_password_file).map(PathBuf::from),
            ca_file: given(args.redis_ca_file).map(PathBuf::from),
            cert_file: given(args.redis_cert_file).map(PathBuf::from),
            key_file: given(args.redis_key_file).map(PathBuf::from),
            sentinels: list(args.redis_sentinel.as_deref()),
            sentinel_service: given(args.redis_sentinel_service),
        };
        check.redis(&redis);
        let admin = AdminSettings {
            addr: check.address("--admin-addr", args.admin_addr, ([127, 0, 0, 1], 8080).into()),
            enabled,
            allow_secret_read: check.boolean(
                "--allow-runtime-secret-read",
                args.allow_runtime_secret_read,
                false,
            ),
            auth: check.one_of(
                "--runtime-admin-auth",
                args.runtime_admin_auth,
                AdminAuth::Kubernetes,
                &[("kubernetes", AdminAuth::Kubernetes), ("none", AdminAuth::None)],
            ),
            tls: check.pair(
                ("--admin-tls-cert-file", given(args.admin_tls_cert_file)),
                ("--admin-tls-key-file", given(args.admin_tls_key_file)),
            ),
        };
        let insecure = check.boolean("--runtime-admin-insecure", args.runtime_admin_insecure, false);
        if admin.auth == AdminAuth::None && !admin.addr.ip().is_loopback() && !insecure {
            check.fault(
                "--runtime-admin-auth",
                &format!("none is for loopback addresses, and {} is not one: use kubernetes, or add --runtime-admin-insecure", admin.addr),
            );
        }
        let settings = Self {
            redis,
            watch_namespaces: check.namespaces(list(args.watch_namespaces.as_deref())),
            cluster_id: check.cluster_id(given(args.cluster_id)),
            leader_elect: check.boolean("--leader-elect", args.leader_elect, true),
            publish_webhook_secret: check.boolean(
                "--publish-webhook-secret",
                args.publish_webhook_secret,
                true,
            ),
            admin,
            telemetry_addr: check.address(
                "--telemetry-addr",
                args.telemetry_addr,
                ([0, 0, 0, 0], 8081).into(),
            ),
            log_format: given(args.log_format).map(|text| {
                let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
                check.one_of("--log-format", Some(text), LogFormat::Json, &formats)
            }),
        };
        if check.0.is_empty() { Ok(settings) } else { Err(InvalidSettings(check.0)) }
    }
}

/// The faults found so far.
#[derive(Default)]
struct Check(Vec<String>);

impl Check {
    fn fault(&mut self, flag: &str, what: &str) {
        let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
        self.0.push(format!("{flag} ({variable}): {what}"));
    }

    fn boolean(&mut self, flag: &str, text: Option<String>, default: bool) -> bool {
        let Some(text) = given(text) else { return default };
        parse_boolean(&text).unwrap_or_else(|| {
            self.fault(flag, "must be true or false (1, yes, on; 0, no, off)");
            default
        })
    }

    fn address(&mut self, flag: &str, text: Option<String>, default: SocketAddr) -> SocketAddr {
        given(text).map_or(default, |text| {
            text.parse().unwrap_or_else(|_| {
                self.fault(flag, &format!("must be an address and a port, as in {default}"));
                default
            })
        })
    }

    fn one_of<T: Copy>(&mut self, flag: &str, text: Option<String>, default: T, values: &[(&str, T)]) -> T {
        let Some(text) = given(text) else { return default };
        let found = values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.unwrap_or_else(|| {
            let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
            self.fault(flag, &format!("must be {}", names.join(" or ")));
            default
        })
    }

    fn pair(
        &mut self,
        one: (&str, Option<String>),
        other: (&str, Option<String>),
    ) -> Option<(PathBuf, PathBuf)> {
        match (one.1, other.1) {
            (Some(one), Some(other)) => Some((one.into(), other.into())),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(other.0, &format!("must be given with {}", one.0));
                None
            }
            (None, Some(_)) => {
                self.fault(one.0, &format!("must be given with {}", other.0));
                None
            }
        }
    }

    fn redis_url(&mut self, url: Option<SecretText>, admin_enabled: bool) -> SecretString {
        let url = given(url.map(|url| url.0)).unwrap_or_default();
        if url.is_empty() {
            let need =
                if admin_enabled { "; the admin routes (ENABLE_RUNTIME_ADMIN) read it too" } else { "" };
            self.fault("--redis-url", &format!("must be given, as in redis://redis:6379/0{need}"));
            return url.into();
        }
        // A wrong URL is not repeated: it may hold a password.
        match Url::parse(&url) {
            Err(error) => {
                self.fault("--redis-url", &format!("must be a URL ({error}), as in redis://redis:6379/0"));
            }
            Ok(parsed) if !matches!(parsed.scheme(), "redis" | "rediss") => {
                self.fault("--redis-url", "must begin with redis:// or rediss://");
            }
            Ok(parsed) if parsed.host_str().is_none_or(str::is_empty) => {
                self.fault("--redis-url", "must name a host, as in redis://redis:6379/0");
            }
            Ok(parsed) => {
                let database = parsed.path().trim_start_matches('/');
                if !database.is_empty() && database.parse::<u32>().is_err() {
                    self.fault("--redis-url", "must end in a database's number, as in redis://redis:6379/0");
                }
            }
        }
        url.into()
    }

    fn redis(&mut self, redis: &RedisSettings) {
        let tls = redis.url.expose_secret().starts_with("rediss://");
        for (flag, file, of_tls) in [
            ("--redis-username-file", &redis.username_file, false),
            ("--redis-password-file", &redis.password_file, false),
            ("--redis-ca-file", &redis.ca_file, true),
            ("--redis-cert-file", &redis.cert_file, true),
            ("--redis-key-file", &redis.key_file, true),
        ] {
            let Some(file) = file else { continue };
            if let Err(error) = std::fs::metadata(file) {
                self.fault(flag, &format!("{}: {error}", file.display()));
            }
            if of_tls && !tls {
                self.fault(flag, "is for TLS: --redis-url must begin with rediss://");
            }
        }
        match (&redis.cert_file, &redis.key_file) {
            (Some(_), None) => self.fault("--redis-key-file", "must be given with --redis-cert-file"),
            (None, Some(_)) => self.fault("--redis-cert-file", "must be given with --redis-key-file"),
            _ => {}
        }
        match (redis.sentinels.is_empty(), &redis.sentinel_service) {
            (false, None) => self.fault("--redis-sentinel-service", "must be given with --redis-sentinel"),
            (true, Some(_)) => self.fault("--redis-sentinel", "must be given with --redis-sentinel-service"),
            _ => {}
        }
        for sentinel in &redis.sentinels {
            let port = sentinel.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                self.fault("--redis-sentinel", &format!("{sentinel} must be host:port"));
            }
        }
    }

    fn namespaces(&mut self, namespaces: Vec<String>) -> Vec<String> {
        for namespace in &namespaces {
            if !is_dns_label(namespace) {
                self.fault(
                    "--watch-namespaces",
                    &format!("{namespace:?} must be a namespace's name (RFC 1123 label)"),
                );
            }
        }
        let mut unique = namespaces;
        unique.sort();
        unique.dedup();
        unique
    }

    fn cluster_id(&mut self, id: Option<String>) -> Option<String> {
        let shaped = |id: &String| id.len() <= 253 && id.chars().all(|c| c.is_ascii_graphic());
        if id.as_ref().is_some_and(|id| !shaped(id)) {
            self.fault("--cluster-id", "must be up to 253 visible ASCII characters");
        }
        id
    }
}

/// A boolean as the contract has it: `1`, `true`, `yes`, `on` in any case are true.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn given(text: Option<String>) -> Option<String> {
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
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
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

    fn check(flags: &[&str]) -> Result<Settings, InvalidSettings> {
        Settings::check(Line::parse_from([&["run"], flags].concat()).run)
    }

    #[test]
    fn a_url_is_enough() {
        let settings = check(&["--redis-url", "redis://localhost"]).unwrap();
        assert!(settings.leader_elect && settings.publish_webhook_secret && !settings.admin.enabled);
        assert_eq!(settings.admin.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.telemetry_addr.to_string(), "0.0.0.0:8081");
    }

    #[test]
    fn all_faults_are_told_at_once_and_each_names_its_flag_and_variable() {
        let flags = ["--leader-elect", "maybe", "--admin-addr", "8080", "--watch-namespaces", "ok,Not_ok"];
        let InvalidSettings(faults) = check(&flags).unwrap_err();
        for named in [
            "--redis-url (REDIS_URL)",
            "--leader-elect (LEADER_ELECT)",
            "--admin-addr (ADMIN_ADDR)",
            "\"Not_ok\"",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(named)), "{named}: {faults:?}");
        }
        assert_eq!(faults.len(), 4);
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        for url in
            ["http://user:hunter2@host", "redis://user:hunter2@", "redis://user:hunter2@host/zero", "hunter2"]
        {
            let error = check(&["--redis-url", url]).unwrap_err().to_string();
            assert!(error.contains("REDIS_URL") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_authentication_is_for_loopback_only() {
        let open =
            ["--redis-url", "redis://h", "--runtime-admin-auth", "none", "--admin-addr", "0.0.0.0:8080"];
        assert!(check(&open).unwrap_err().to_string().contains("--runtime-admin-insecure"));
        assert!(check(&[&open[..], &["--runtime-admin-insecure"]].concat()).is_ok());
        assert!(check(&open[..4]).is_ok());
    }

    #[test]
    fn files_that_belong_together_are_asked_for_together() {
        let error =
            check(&["--redis-url", "redis://h", "--admin-tls-cert-file", "c"]).unwrap_err().to_string();
        assert!(error.contains("--admin-tls-key-file"), "{error}");
        let error =
            check(&["--redis-url", "redis://h", "--redis-sentinel", "a:26379"]).unwrap_err().to_string();
        assert!(error.contains("--redis-sentinel-service"), "{error}");
    }

    #[test]
    fn settings_show_no_password() {
        let settings = check(&["--redis-url", "redis://:hunter2@localhost"]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
