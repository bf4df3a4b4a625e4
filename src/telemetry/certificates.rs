//! The expiry of the certificates that the operator presents. The files are read at each scrape, so that the metric follows
//! a rotation.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::labels::Labels;

/// A certificate that the operator presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Presented to callers of the admin routes.
    Admin,
    /// Presented to Redis.
    RedisClient,
}

impl Certificate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::RedisClient => "redis-client",
        }
    }
}

/// Reads the watched certificate files at each scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct CertificateCollector(Arc<Mutex<Vec<(Certificate, PathBuf)>>>);

impl CertificateCollector {
    pub(super) fn watch(&self, certificate: Certificate, file: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((certificate, file));
    }
}

impl Collector for CertificateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if watched.is_empty() {
            return Ok(());
        }
        let mut expiries = encoder.encode_descriptor(
            "certificate_expiry_timestamp",
            "Expiry of the certificate presented by the operator (earliest of its chain), Unix time",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (certificate, file) in watched {
            // A file that can't be read has no series; the module that uses it logs the error.
            if let Some(expiry) = earliest_expiry(&file) {
                let labels: Labels<1> = [("certificate", certificate.as_str())];
                ConstGauge::new(expiry).encode(expiries.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// The earliest expiry in a chain of certificates, as Unix time (RFC 5280, notAfter).
fn earliest_expiry(file: &Path) -> Option<i64> {
    let chain: Vec<CertificateDer> =
        CertificateDer::pem_file_iter(file).ok()?.collect::<Result<_, _>>().ok()?;
    let expiries = chain.iter().map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    expiries.collect::<Option<Vec<_>>>()?.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_chain_expires_with_the_earliest_of_its_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.crt");
        std::fs::write(&file, certificate(2040) + &certificate(2035)).unwrap();
        assert_eq!(earliest_expiry(&file), Some(2_051_222_400));
    }

    #[test]
    fn a_file_without_a_certificate_has_no_expiry() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.crt");
        assert_eq!(earliest_expiry(&file), None);
        std::fs::write(&file, "no PEM").unwrap();
        assert_eq!(earliest_expiry(&file), None);
    }
}
