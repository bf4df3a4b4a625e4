//! The server's certificate and key, reloaded when their files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio::sync::watch;
use tracing::{info, warn};

/// The interval at which the files are checked: a kubelet or cert-manager changes them without a notification.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A certificate or key that can't be used. The message contains nothing of the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or contains no PEM of its kind.
    #[error("{flag} {}: {cause}", .file.display())]
    File {
        /// The setting.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// The error of the PEM reader.
        cause: pem::Error,
    },
    /// The key does not belong to the certificate, or one of them is of an unsupported kind.
    #[error("--admin-tls-cert-file and --admin-tls-key-file can't be used together: {0}")]
    Pair(#[from] rustls::Error),
}

/// The files of the certificate chain and the key.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// Identifies a version of a file: device, inode, modification time (seconds and nanoseconds) and size. `None`: the file
/// can't be accessed.
pub(super) type FileIdentity = Option<(u64, u64, i64, i64, u64)>;

/// Returns the identity of the file that the path names now.
pub(super) fn identity(path: &Path) -> FileIdentity {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
}

impl Files {
    pub(super) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let error = |flag, file: &Path| {
            let file = file.to_owned();
            move |cause| TlsError::File { flag, file, cause }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect);
        // The reader accepts a file without a certificate.
        let chain =
            chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(error("--admin-tls-cert-file", &self.cert))?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(error("--admin-tls-key-file", &self.key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn identities(&self) -> [FileIdentity; 2] {
        [identity(&self.cert), identity(&self.key)]
    }

    /// Reloads the files whenever they change, until every receiver is dropped. Keeps the current certificate while the new
    /// one can't be used: its key may be written a moment later.
    pub(super) async fn watch(self, configs: watch::Sender<Arc<ServerConfig>>) {
        // None at first, since the files may have changed after they were read at start.
        let mut loaded = None;
        let mut checks = tokio::time::interval(CHECK_INTERVAL);
        loop {
            let current = self.identities();
            if loaded.is_none_or(|loaded| loaded != current) {
                match self.load() {
                    Ok(config) => {
                        if loaded.is_some() {
                            info!("admin certificate reloaded");
                        }
                        configs.send_replace(config);
                    }
                    Err(error) => {
                        warn!(%error, "failed to reload admin certificate; keeping the current one");
                    }
                }
                loaded = Some(current);
            }
            tokio::select! {
                _ = checks.tick() => {}
                () = configs.closed() => return,
            }
        }
    }
}
