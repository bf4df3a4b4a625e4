//! Flags and environment variables of `runtime-operator run`: read once, validated together at startup, typed from then on.

mod args;
mod error;
mod parser;
mod redis;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use args::{RedisArgs, RunArgs};
pub use error::{InvalidSettings, SettingError};
use parser::{Parser, list, non_empty};

use crate::admin::{AdminAuth, AdminSettings, InvalidOrigin, Origin};
use crate::domain::compile::MAX_SPEC_BYTES;
use crate::domain::index::MAX_HELD_SPECS;
use crate::http::ListenAddress;
use crate::leader::DEFAULT_LEASE;
use crate::store::RedisSettings;
use crate::telemetry::LogFormat;

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
    /// The name of the Lease for which the replicas compete.
    pub lease_name: String,
    /// True: configs in Redis contain the webhook secret. False: a reference to it.
    pub publish_webhook_secret: bool,
    /// The greatest length of a spec, in bytes of JSON.
    pub max_tenant_bytes: usize,
    /// The greatest length of all specs together that are held.
    pub max_held_spec_bytes: usize,
    /// The admin routes.
    pub admin: AdminSettings,
    /// The address of probes and metrics.
    pub telemetry_addr: ListenAddress,
    /// The format of log lines; `None` depends on the output.
    pub log_format: Option<LogFormat>,
}

impl Settings {
    /// Validates all settings, and reports all errors together.
    pub fn parse(args: RunArgs) -> Result<Self, InvalidSettings> {
        let mut parser = Parser::default();
        let enabled = parser.boolean("--enable-runtime-admin", args.enable_runtime_admin, false);
        let redis = parser.redis(args.redis, enabled);
        let auths =
            [("kubernetes", AdminAuth::Kubernetes), ("key", AdminAuth::Key), ("none", AdminAuth::None)];
        let allow_secret_read =
            parser.boolean("--allow-runtime-secret-read", args.allow_runtime_secret_read, false);
        let admin = AdminSettings {
            addr: parser.address(
                "--admin-addr",
                args.admin_addr,
                ListenAddress::One(([127, 0, 0, 1], 8080).into()),
            ),
            enabled,
            allow_secret_read,
            auth: parser
                .one_of("--runtime-admin-auth", args.runtime_admin_auth, &auths)
                .unwrap_or(AdminAuth::Kubernetes),
            key_file: non_empty(args.runtime_admin_key_file).map(PathBuf::from),
            origins: parser.origins(list(args.admin_cors_origins.as_deref())),
            tls: parser.pair(
                ("--admin-tls-cert-file", non_empty(args.admin_tls_cert_file)),
                ("--admin-tls-key-file", non_empty(args.admin_tls_key_file)),
            ),
        };
        let insecure = parser.boolean("--runtime-admin-insecure", args.runtime_admin_insecure, false);
        parser.check_admin(&admin, insecure);
        let publish_webhook_secret =
            parser.boolean("--publish-webhook-secret", args.publish_webhook_secret, true);
        let telemetry_addr = ListenAddress::Every(8081);
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let settings = Self {
            redis,
            watch_namespaces: parser.namespaces(list(args.watch_namespaces.as_deref())),
            cluster_id: parser.cluster_id(non_empty(args.cluster_id)),
            leader_elect: parser.boolean("--leader-elect", args.leader_elect, true),
            lease_name: parser.lease_name(non_empty(args.lease_name)),
            publish_webhook_secret,
            max_tenant_bytes: parser.bytes(
                "--max-tenant-bytes",
                args.max_tenant_bytes,
                MAX_SPEC_BYTES,
                64 << 10..=MAX_SPEC_BYTES,
            ),
            max_held_spec_bytes: parser.bytes(
                "--max-held-spec-bytes",
                args.max_held_spec_bytes,
                MAX_HELD_SPECS,
                0..=usize::MAX,
            ),
            admin,
            telemetry_addr: parser.address("--telemetry-addr", args.telemetry_addr, telemetry_addr),
            log_format: parser.one_of("--log-format", args.log_format, &formats),
        };
        if parser.errors.is_empty() { Ok(settings) } else { Err(InvalidSettings(parser.errors)) }
    }
}

impl Parser {
    fn check_admin(&mut self, admin: &AdminSettings, insecure: bool) {
        let addr = admin.addr;
        if admin.auth == AdminAuth::Key && admin.key_file.is_none() {
            self.reject("--runtime-admin-key-file", "is required with --runtime-admin-auth key");
        }
        if admin.auth == AdminAuth::Key && !addr.is_loopback() && admin.tls.is_none() && !insecure {
            self.reject(
                "--runtime-admin-auth",
                format!(
                    "key requires TLS on {addr}, which other hosts can reach: add --admin-tls-cert-file and \
                     --admin-tls-key-file, or --runtime-admin-insecure"
                ),
            );
        }
        if admin.auth == AdminAuth::None && !addr.is_loopback() && !insecure {
            self.reject(
                "--runtime-admin-auth",
                format!(
                    "none requires a loopback address, and {addr} is not one: use kubernetes, or add \
                     --runtime-admin-insecure"
                ),
            );
        }
    }

    fn origins(&mut self, texts: Vec<String>) -> Vec<Origin> {
        let mut origins = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(origin) => origins.push(origin),
                Err(InvalidOrigin) => {
                    self.reject("--admin-cors-origins", format!("{text:?} {InvalidOrigin}"));
                }
            }
        }
        origins
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

    fn lease_name(&mut self, name: Option<String>) -> String {
        let name = name.unwrap_or_else(|| DEFAULT_LEASE.to_owned());
        if name.len() > 253 || !name.split('.').all(is_dns_label) {
            self.reject("--lease-name", format!("{name:?} must be an object's name (RFC 1123 subdomain)"));
        }
        name
    }

    fn cluster_id(&mut self, id: Option<String>) -> Option<String> {
        let valid = |id: &String| id.len() <= 253 && id.chars().all(|c| c.is_ascii_graphic());
        if id.as_ref().is_some_and(|id| !valid(id)) {
            self.reject("--cluster-id", "must be up to 253 visible ASCII characters");
        }
        id
    }
}

fn is_dns_label(name: &str) -> bool {
    let valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(valid)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
