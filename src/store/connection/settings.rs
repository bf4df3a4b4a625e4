//! The connection settings, checked before anything connects.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::error::StoreError;
use super::open::tcp_settings;
use super::url::{parse_redis_url, parse_sentinel};

/// The connection settings. The files are read again on every connect, so that their content can be rotated.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, with host, port, database, user and password as usual.
    pub url: SecretString,
    /// The file with the ACL user; it takes precedence over the URL's.
    pub username_file: Option<PathBuf>,
    /// The file with the password; it takes precedence over the URL's.
    pub password_file: Option<PathBuf>,
    /// PEM: the certificate authorities to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM: the client certificate with its chain.
    pub cert_file: Option<PathBuf>,
    /// PEM: the client certificate's private key.
    pub key_file: Option<PathBuf>,
    /// `host:port` of each Sentinel. With Sentinels, only scheme, database and user of the URL are used.
    pub sentinels: Vec<String>,
    /// The name by which the Sentinels know the primary.
    pub sentinel_service: Option<String>,
    /// The file with the Sentinels' ACL user, if it is not Redis' own.
    pub sentinel_username_file: Option<PathBuf>,
    /// The file with the Sentinels' password, if it is not Redis' own.
    pub sentinel_password_file: Option<PathBuf>,
}

impl RedisSettings {
    /// Settings with a URL and nothing else.
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
            sentinel_username_file: None,
            sentinel_password_file: None,
        }
    }
}

/// All errors of the settings, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

/// The server's address and credentials, from settings that were checked.
#[derive(Debug)]
pub(in crate::store) struct Endpoint {
    settings: RedisSettings,
    info: ConnectionInfo,
    pub(super) sentinels: Vec<(String, u16)>,
    /// The primary to which the last connection led, as Sentinels named it.
    current_primary: Mutex<Option<(String, u16)>>,
}

impl Endpoint {
    /// Checks the settings: the URL, the combinations, and that every file can be read.
    pub(in crate::store) fn check(settings: RedisSettings) -> Result<Self, SettingsError> {
        let mut errors = Vec::new();
        let info = parse_redis_url(settings.url.expose_secret());
        let info = info.map_err(|error| errors.push(format!("the Redis URL {error}"))).ok();
        let tls = info.as_ref().is_none_or(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }));
        for (name, file) in settings.files() {
            if let Some(Err(error)) = file.map(fs::read) {
                errors.push(format!("the {name} file can't be read: {error}"));
            }
        }
        if !tls && (settings.ca_file.is_some() || settings.cert_file.is_some() || settings.key_file.is_some())
        {
            errors.push("a CA, certificate or key file needs a URL that begins with rediss://".to_owned());
        }
        if settings.cert_file.is_some() != settings.key_file.is_some() {
            errors.push("a client certificate needs both a certificate and a key file".to_owned());
        }
        let mut sentinels = Vec::new();
        for text in &settings.sentinels {
            match parse_sentinel(text) {
                Ok(sentinel) => sentinels.push(sentinel),
                Err(problem) => errors.push(format!("the list of Sentinels {problem}")),
            }
        }
        if settings.sentinels.is_empty() != settings.sentinel_service.is_none() {
            errors.push("Sentinel needs both a list of Sentinels and the name of the service".to_owned());
        }
        match info {
            Some(info) if errors.is_empty() => {
                Ok(Self { settings, info, sentinels, current_primary: Mutex::default() })
            }
            _ => Err(SettingsError(errors)),
        }
    }

    /// Returns the primary's service name if there are Sentinels.
    pub(in crate::store) fn sentinel_service(&self) -> Option<&str> {
        self.settings.sentinel_service.as_deref()
    }

    /// Returns `true` if connections use TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns `host:port` of the URL.
    pub(super) fn address(&self) -> String {
        self.info.addr().to_string()
    }

    /// Returns the number of the database.
    pub(super) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Creates a client for the URL's address; reads the files.
    pub(super) fn client(&self) -> Result<Client, StoreError> {
        self.build(self.info.clone().set_redis_settings(self.redis_settings()?))
    }

    /// Creates a client for `host:port`, with the URL's scheme, database and user; reads the files.
    pub(super) fn client_at(&self, host: &str, port: u16) -> Result<Client, StoreError> {
        self.build(
            self.info.clone().set_addr(self.addr(host, port)).set_redis_settings(self.redis_settings()?),
        )
    }

    /// Returns the primary to which the last connection led, if Sentinels named it.
    pub(super) fn current_primary(&self) -> Option<(String, u16)> {
        self.current_primary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the primary to which a connection leads.
    pub(super) fn set_current_primary(&self, primary: (String, u16)) {
        *self.current_primary.lock().unwrap_or_else(PoisonError::into_inner) = Some(primary);
    }

    /// Returns `true` if the Sentinels have a user or a password of their own.
    pub(super) const fn has_sentinel_login(&self) -> bool {
        self.settings.sentinel_username_file.is_some() || self.settings.sentinel_password_file.is_some()
    }

    /// Creates a client for a Sentinel, which has no databases. With `login`, it uses the Sentinels' user and password if
    /// there are any, else Redis' own.
    pub(super) fn sentinel_client(&self, host: &str, port: u16, login: bool) -> Result<Client, StoreError> {
        let redis = if self.has_sentinel_login() {
            let files = &self.settings;
            let (user, password) = (&files.sentinel_username_file, &files.sentinel_password_file);
            with_login(RedisConnectionInfo::default(), user.as_deref(), password.as_deref())?
        } else if login {
            self.redis_settings()?.set_db(0)
        } else {
            RedisConnectionInfo::default()
        };
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
        let files = &self.settings;
        let redis = self.info.redis_settings().clone();
        with_login(redis, files.username_file.as_deref(), files.password_file.as_deref())
    }

    fn build(&self, info: ConnectionInfo) -> Result<Client, StoreError> {
        let info = info.set_tcp_settings(tcp_settings());
        let files = &self.settings;
        let client = if files.ca_file.is_some() || files.cert_file.is_some() {
            let root_cert = files.ca_file.as_deref().map(read_certificates).transpose()?;
            let client_tls = match (&files.cert_file, &files.key_file) {
                (Some(cert), Some(key)) => Some(ClientTlsConfig {
                    client_cert: read_certificates(cert)?,
                    client_key: read_key(key)?,
                }),
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
    fn files(&self) -> [(&'static str, Option<&Path>); 7] {
        [
            ("username", self.username_file.as_deref()),
            ("password", self.password_file.as_deref()),
            ("CA", self.ca_file.as_deref()),
            ("certificate", self.cert_file.as_deref()),
            ("key", self.key_file.as_deref()),
            ("Sentinel username", self.sentinel_username_file.as_deref()),
            ("Sentinel password", self.sentinel_password_file.as_deref()),
        ]
    }
}

fn read(file: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(file).map_err(|error| StoreError::File { file: file.to_owned(), cause: error.to_string() })
}

/// Reads a file of certificates (PEM), which must hold at least one.
fn read_certificates(file: &Path) -> Result<Vec<u8>, StoreError> {
    let bytes = read(file)?;
    let unusable = |cause: String| StoreError::File { file: file.to_owned(), cause };
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        certificate.map_err(|error| unusable(format!("it is no valid PEM: {error}")))?;
        count += 1;
    }
    if count == 0 { Err(unusable("it contains no certificate (PEM)".to_owned())) } else { Ok(bytes) }
}

/// Reads a file with a private key (PEM).
fn read_key(file: &Path) -> Result<Vec<u8>, StoreError> {
    let bytes = read(file)?;
    if PrivateKeyDer::from_pem_slice(&bytes).is_ok() {
        return Ok(bytes);
    }
    // The library's error could hold a part of the key.
    Err(StoreError::File { file: file.to_owned(), cause: "it contains no private key (PEM)".to_owned() })
}

/// Sets the user and the password that these files hold.
fn with_login(
    mut redis: RedisConnectionInfo,
    username_file: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<RedisConnectionInfo, StoreError> {
    if let Some(file) = username_file {
        redis = redis.set_username(read_credential(file)?.expose_secret());
    }
    if let Some(file) = password_file {
        redis = redis.set_password(read_credential(file)?.expose_secret());
    }
    Ok(redis.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name())
}

/// Reads a credential's file, without the line end that editors and `echo` add.
fn read_credential(file: &Path) -> Result<SecretString, StoreError> {
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
    fn invalid_settings_are_reported_without_a_connect() {
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
        let errors = Endpoint::check(wrong).unwrap_err().0;
        assert_eq!(errors.len(), 6, "{errors:?}");
    }

    #[test]
    fn errors_and_debug_texts_quote_no_password() {
        for url in
            ["http://u:hunter2@h", "redis://u:hunter2@h/x", "redis://u:hunter2@/", "rediss://u:hunter2@h#x"]
        {
            let error = Endpoint::check(settings(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let endpoint = Endpoint::check(settings("redis://u:hunter2@h")).unwrap();
        assert!(!format!("{endpoint:?} {:?}", endpoint.client()).contains("hunter2"));
    }
}
