//! The server's certificate and key, read again when their files change.

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

/// How often the files are looked at: a kubelet or cert-manager changes them, and tells nobody.
const LOOKS: Duration = Duration::from_secs(1);

/// Why a certificate or key can't be used. Says nothing of what is in the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds no PEM of its kind.
    #[error("{flag} {}: {cause}", .file.display())]
    File {
        /// The setting.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        cause: pem::Error,
    },
    /// The two don't belong together, or are of a kind that can't be used.
    #[error("--admin-tls-cert-file and --admin-tls-key-file can't be used together: {0}")]
    Pair(#[from] rustls::Error),
}

/// The two files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// Which state of a file was read; none while it can't be looked at.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl Files {
    pub(super) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let of = |flag, file: &Path| {
            let file = file.to_owned();
            move |cause| TlsError::File { flag, file, cause }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect);
        // A file without a certificate is no error to the reader.
        let chain =
            chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(of("--admin-tls-cert-file", &self.cert))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(of("--admin-tls-key-file", &self.key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn stamps(&self) -> [Stamp; 2] {
        [&self.cert, &self.key].map(|file| {
            let file = fs::metadata(file).ok()?;
            Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
        })
    }

    /// Reads the files whenever they change, for as long as anybody listens. What can't be used (a new certificate whose
    /// key is still to come) leaves what was in use.
    pub(super) async fn follow(self, configs: watch::Sender<Arc<ServerConfig>>) {
        // None: the files may have changed since they were read at start.
        let mut seen = None;
        loop {
            let stamps = self.stamps();
            if seen.is_none_or(|seen| seen != stamps) {
                match self.load() {
                    Ok(config) => {
                        if seen.is_some() {
                            info!("the certificate of the admin routes was read again");
                        }
                        configs.send_replace(config);
                    }
                    Err(error) => warn!(%error, "the certificate of the admin routes stays as it was"),
                }
                seen = Some(stamps);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOKS) => {}
                () = configs.closed() => return,
            }
        }
    }
}
