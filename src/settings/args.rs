//! The flags of `runtime-operator run`.

use std::fmt;

use clap::Args;

/// The flags of `runtime-operator run` as texts. Every flag can be an environment variable instead; an empty text counts as
/// not given. [`super::Settings::parse`] validates them.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) redis: RedisArgs,

    /// Namespaces to watch, separated by commas; a list needs Roles only, no ClusterRole [default: all]
    #[arg(long, env, value_name = "LIST", help_heading = "Kubernetes")]
    pub(super) watch_namespaces: Option<String>,
    /// Name of this cluster in the ownership records in Redis; required if kube-system can't be read [default: the UID of
    /// the namespace kube-system]
    #[arg(long, env, value_name = "ID", help_heading = "Kubernetes")]
    pub(super) cluster_id: Option<String>,
    /// Elect a leader among the replicas, with the Lease of --lease-name in the operator's namespace; only the leader
    /// writes [default: true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    pub(super) leader_elect: Option<String>,
    /// Name of the Lease; two operators in one namespace need two names [default: runtime-operator]
    #[arg(long, env, value_name = "NAME", help_heading = "Kubernetes")]
    pub(super) lease_name: Option<String>,
    /// Include the webhook secret in the configs in Redis; false: include a reference, which current runtimes can't resolve
    /// [default: true]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Kubernetes")]
    pub(super) publish_webhook_secret: Option<String>,
    /// Greatest length of a spec, as JSON: bytes, or with a suffix as in 512Ki; a longer one is not published. 64Ki to 1Mi
    /// [default: 1Mi]
    #[arg(long, env, value_name = "BYTES", help_heading = "Kubernetes")]
    pub(super) max_tenant_bytes: Option<String>,
    /// Maximum total size of the specs that are kept in memory; others are fetched for each reconcile
    /// [default: 64Mi]
    #[arg(long, env, value_name = "BYTES", help_heading = "Kubernetes")]
    pub(super) max_held_spec_bytes: Option<String>,

    /// Address to serve the admin routes on; :8080 is every address of the host [default: 127.0.0.1:8080]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    pub(super) admin_addr: Option<String>,
    /// Address to serve /livez, /readyz and /metrics on; :8081 is every address, IPv6 and IPv4 [default: :8081]
    #[arg(long, env, value_name = "ADDR", help_heading = "HTTP")]
    pub(super) telemetry_addr: Option<String>,
    /// Enable the admin routes; otherwise every response is 503 [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    pub(super) enable_runtime_admin: Option<String>,
    /// Allow admin reads to include the webhook secret, with ?includeSecrets=true [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    pub(super) allow_runtime_secret_read: Option<String>,
    /// Authentication of the admin routes: kubernetes (bearer tokens that the API server reviews), key (of
    /// --runtime-admin-key-file), or none (on a loopback address only) [default: kubernetes]
    #[arg(long, env, value_name = "HOW", help_heading = "HTTP")]
    pub(super) runtime_admin_auth: Option<String>,
    /// File with a line name:role:hash for each key of the admin routes, as runtime-operator admin-key makes it; reloaded when
    /// it changes
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    pub(super) runtime_admin_key_file: Option<String>,
    /// Origins of browser pages that may call the admin routes, separated by commas. Each is
    /// a scheme and a host, as in <https://panel.example.com>
    #[arg(long, env, value_name = "LIST", help_heading = "HTTP")]
    pub(super) admin_cors_origins: Option<String>,
    /// Allow --runtime-admin-auth none, or key without TLS, on an address that other hosts can reach [default: false]
    #[arg(long, env, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "HTTP")]
    pub(super) runtime_admin_insecure: Option<String>,
    /// File with the certificate chain (PEM) to serve the admin routes with TLS; reloaded when it changes [default: plain
    /// HTTP]
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    pub(super) admin_tls_cert_file: Option<String>,
    /// File with the key (PEM) of that certificate; reloaded when it changes
    #[arg(long, env, value_name = "FILE", help_heading = "HTTP")]
    pub(super) admin_tls_key_file: Option<String>,

    /// Format of log lines: text (for people) or json (one object a line) [default: text on a terminal, else json]
    #[arg(long, env, value_name = "FORMAT", help_heading = "Log")]
    pub(super) log_format: Option<String>,
}

/// The flags of the connection to Redis, of `runtime-operator run` and of the commands for people.
#[derive(Args, Clone, Debug, Default)]
#[allow(clippy::struct_field_names, reason = "the names of the flags")]
pub struct RedisArgs {
    #[arg(
        help = "URL of the Redis to publish to, for example redis://redis:6379/0; rediss:// is TLS. Required",
        long,
        env = "REDIS_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Redis"
    )]
    pub(super) redis_url: Option<SecretText>,
    /// File with the name of the ACL user; read on every connect [default: the user in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_username_file: Option<String>,
    /// File with the password; read on every connect, so that it can be rotated without a restart [default: the password
    /// in the URL]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_password_file: Option<String>,
    /// File with the CA certificates (PEM) to verify Redis' certificate with [default: the system's]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_ca_file: Option<String>,
    /// File with the client certificate (PEM), if Redis requires one
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_cert_file: Option<String>,
    /// File with the key (PEM) of the client certificate
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_key_file: Option<String>,
    /// Sentinels that monitor the primary, as host:port,host:port; only scheme, database and user of --redis-url are used
    /// then
    #[arg(long, env, value_name = "LIST", help_heading = "Redis")]
    pub(super) redis_sentinel: Option<String>,
    /// Name of the primary in the Sentinels' configuration, for example mymaster
    #[arg(long, env, value_name = "NAME", help_heading = "Redis")]
    pub(super) redis_sentinel_service: Option<String>,
    /// File with the Sentinels' ACL user; read on every connect [default: Redis' user, if they require a login]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_sentinel_username_file: Option<String>,
    /// File with the Sentinels' password; read on every connect [default: Redis' password, if they require a login]
    #[arg(long, env, value_name = "FILE", help_heading = "Redis")]
    pub(super) redis_sentinel_password_file: Option<String>,
}

/// A text that `Debug` must not show.
#[derive(Clone, Default)]
pub(super) struct SecretText(pub(super) String);

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
