//! How Redis is reached, checked before anything connects.

use std::fs;
use std::path::{Path, PathBuf};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates,
};
use secrecy::{ExposeSecret, SecretString};

use super::StoreError;

/// How Redis is reached. The files are read again on every connect, so that what they hold can be rotated.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, with host, port, database, user and password as usual.
    pub url: SecretString,
    /// Holds the ACL user; it goes before the URL's.
    pub username_file: Option<PathBuf>,
    /// Holds the password; it goes before the URL's.
    pub password_file: Option<PathBuf>,
    /// PEM: the certificate authorities to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM: the client certificate with its chain.
    pub cert_file: Option<PathBuf>,
    /// PEM: the client certificate's private key.
    pub key_file: Option<PathBuf>,
    /// `host:port` of each Sentinel. With them, the URL gives scheme, database and user only.
    pub sentinels: Vec<String>,
    /// The name under which the Sentinels know the primary.
    pub sentinel_service: Option<String>,
}

impl RedisSettings {
    /// A server that needs nothing but its URL.
    #[must_use]
    pub fn at(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            username_file: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            sentinels: Vec::new(),
            sentinel_service: None,
        }
    }
}

/// Settings with which no connection can come about; every fault, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

/// Where Redis is, from settings that were checked.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    settings: RedisSettings,
    info: ConnectionInfo,
    pub(super) sentinels: Vec<(String, u16)>,
}

/// The port on which Sentinels listen unless told otherwise.
const SENTINEL_PORT: u16 = 26379;

impl Endpoint {
    /// Checks the settings: the URL, what goes together, and that every file can be read.
    pub(super) fn check(settings: RedisSettings) -> Result<Self, SettingsError> {
        let mut faults = Vec::new();
        let info = parse_url(settings.url.expose_secret()).map_err(|fault| faults.push(fault)).ok();
        let tls = info.as_ref().is_none_or(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }));
        for (name, file) in settings.files() {
            if let Some(Err(error)) = file.map(fs::read) {
                faults.push(format!("the {name} file can't be read: {error}"));
            }
        }
        if !tls && (settings.ca_file.is_some() || settings.cert_file.is_some() || settings.key_file.is_some())
        {
            faults.push("a CA, certificate or key file needs a URL that begins with rediss://".to_owned());
        }
        if settings.cert_file.is_some() != settings.key_file.is_some() {
            faults.push("a client certificate needs both a certificate and a key file".to_owned());
        }
        let mut sentinels = Vec::new();
        for text in &settings.sentinels {
            match parse_host_port(text) {
                Some(sentinel) => sentinels.push(sentinel),
                None => faults.push(format!("the Sentinel \"{text}\" must be host or host:port")),
            }
        }
        if settings.sentinels.is_empty() != settings.sentinel_service.is_none() {
            faults.push("Sentinel needs both a list of Sentinels and the name of the service".to_owned());
        }
        match info {
            Some(info) if faults.is_empty() => Ok(Self { settings, info, sentinels }),
            _ => Err(SettingsError(faults)),
        }
    }

    /// The service that the Sentinels are asked for, when there are any.
    pub(super) fn sentinel_service(&self) -> Option<&str> {
        self.settings.sentinel_service.as_deref()
    }

    /// Whether connections are TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// `host:port` as the URL has it.
    pub(super) fn address(&self) -> String {
        self.info.addr().to_string()
    }

    /// A client for the URL's own address, with the files as they are now.
    pub(super) fn client(&self) -> Result<Client, StoreError> {
        self.build(self.info.clone().set_redis_settings(self.redis_settings()?))
    }

    /// A client for `host:port`, with the URL's scheme, database and user and the files as they are now.
    pub(super) fn client_at(&self, host: &str, port: u16) -> Result<Client, StoreError> {
        self.build(
            self.info.clone().set_addr(self.addr(host, port)).set_redis_settings(self.redis_settings()?),
        )
    }

    /// A client for a Sentinel, which has no databases; its user and password are Redis' own or none.
    pub(super) fn sentinel_client(&self, host: &str, port: u16, login: bool) -> Result<Client, StoreError> {
        let redis = if login { self.redis_settings()?.set_db(0) } else { RedisConnectionInfo::default() };
        self.build(self.info.clone().set_addr(self.addr(host, port)).set_redis_settings(redis))
    }

    fn addr(&self, host: &str, port: u16) -> ConnectionAddr {
        if self.is_tls() {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.to_owned(), port)
        }
    }

    fn redis_settings(&self) -> Result<RedisConnectionInfo, StoreError> {
        let mut redis = self.info.redis_settings().clone();
        if let Some(file) = &self.settings.username_file {
            redis = redis.set_username(read_line(file)?.expose_secret());
        }
        if let Some(file) = &self.settings.password_file {
            redis = redis.set_password(read_line(file)?.expose_secret());
        }
        Ok(redis.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name())
    }

    fn build(&self, info: ConnectionInfo) -> Result<Client, StoreError> {
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        let files = &self.settings;
        let client = if files.ca_file.is_some() || files.cert_file.is_some() {
            let root_cert = files.ca_file.as_deref().map(read).transpose()?;
            let client_tls = match (&files.cert_file, &files.key_file) {
                (Some(cert), Some(key)) => {
                    Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
                }
                _ => None,
            };
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(|error| {
                let file = files.ca_file.clone().or_else(|| files.cert_file.clone()).unwrap_or_default();
                StoreError::File { file, cause: error.to_string() }
            })
        } else {
            Client::open(info).map_err(|error| StoreError::from_redis(&error, &self.address()))
        }?;
        Ok(client)
    }
}

impl RedisSettings {
    fn files(&self) -> [(&'static str, Option<&Path>); 5] {
        [
            ("username", self.username_file.as_deref()),
            ("password", self.password_file.as_deref()),
            ("CA", self.ca_file.as_deref()),
            ("certificate", self.cert_file.as_deref()),
            ("key", self.key_file.as_deref()),
        ]
    }
}

/// Takes a Redis URL apart; a fault never quotes it, since it may hold a password.
fn parse_url(text: &str) -> Result<ConnectionInfo, String> {
    if !text.starts_with("redis://") && !text.starts_with("rediss://") {
        return Err("the Redis URL must begin with redis:// or rediss://".to_owned());
    }
    if text.contains('#') {
        return Err(
            "the Redis URL must have no fragment: a server's certificate is always verified (a password's # \
                    is written %23)"
                .to_owned(),
        );
    }
    text.into_connection_info().map_err(|error| {
        let why = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        format!("the Redis URL must be redis://[user[:password]@]host[:port][/database]: {why}")
    })
}

fn parse_host_port(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    // An IPv6 address without brackets has colons, but no port.
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Some((address.to_string(), SENTINEL_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, SENTINEL_PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn read(file: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(file).map_err(|error| StoreError::File { file: file.to_owned(), cause: error.to_string() })
}

/// A credential's file: its text without the line end that editors and `echo` add.
fn read_line(file: &Path) -> Result<SecretString, StoreError> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| StoreError::File { file: file.to_owned(), cause: "it is not UTF-8".to_owned() })?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> RedisSettings {
        RedisSettings::at(url)
    }

    #[test]
    fn what_can_never_connect_is_said_at_once() {
        for url in
            ["http://h", "h:6379", "", "redis://", "redis://h/x", "rediss://h#insecure", "unix:///run/redis"]
        {
            assert_eq!(Endpoint::check(settings(url)).unwrap_err().0.len(), 1, "{url}");
        }
        let wrong = RedisSettings {
            ca_file: Some("/nonexistent".into()),
            key_file: Some("/nonexistent".into()),
            sentinels: vec![":1".into()],
            ..settings("redis://h")
        };
        let faults = Endpoint::check(wrong).unwrap_err().0;
        assert_eq!(faults.len(), 6, "{faults:?}");
    }

    #[test]
    fn no_fault_and_no_debug_text_quotes_a_password() {
        for url in
            ["http://u:hunter2@h", "redis://u:hunter2@h/x", "redis://u:hunter2@/", "rediss://u:hunter2@h#x"]
        {
            let error = Endpoint::check(settings(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let endpoint = Endpoint::check(settings("redis://u:hunter2@h")).unwrap();
        assert!(!format!("{endpoint:?} {:?}", endpoint.client()).contains("hunter2"));
    }

    #[test]
    fn sentinels_are_hosts_with_or_without_a_port() {
        let read = |text| parse_host_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("a.b"), Some("a.b 26379".to_owned()));
        assert_eq!(read(" a:1 "), Some("a 1".to_owned()));
        assert_eq!(read("[::1]:2"), Some("::1 2".to_owned()));
        assert_eq!(read("::1"), Some("::1 26379".to_owned()));
        assert_eq!(read("a:b"), None);
        assert_eq!(read(""), None);
    }
}
