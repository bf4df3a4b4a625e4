//! When the certificates end that the operator shows to others. The files are read whenever somebody asks, so that what is
//! told is what was put there last.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::metrics::Labels;

/// A certificate that the operator shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// To callers of the admin routes.
    Admin,
    /// To Redis.
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

/// The certificates that are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates(Arc<Mutex<Vec<(Certificate, PathBuf)>>>);

impl Certificates {
    pub(super) fn watch(&self, certificate: Certificate, file: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((certificate, file));
    }
}

impl Collector for Certificates {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if watched.is_empty() {
            return Ok(());
        }
        let mut ends = encoder.encode_descriptor(
            "certificate_expiry_timestamp",
            "When a certificate that the operator shows ends, the earliest of its chain, as seconds since the epoch",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (certificate, file) in watched {
            // One that can't be read has its own line in the log.
            if let Some(end) = end(&file) {
                let labels: Labels<1> = [("certificate", certificate.as_str())];
                ConstGauge::new(end).encode(ends.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// When the first of a chain's certificates ends, as seconds since the epoch (RFC 5280, notAfter).
fn end(file: &Path) -> Option<i64> {
    let chain: Vec<CertificateDer> =
        CertificateDer::pem_file_iter(file).ok()?.collect::<Result<_, _>>().ok()?;
    let ends = chain.iter().map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().min()
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
    fn a_chain_ends_with_the_first_of_its_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.crt");
        std::fs::write(&file, certificate(2040) + &certificate(2035)).unwrap();
        assert_eq!(end(&file), Some(2_051_222_400));
    }

    #[test]
    fn of_what_is_no_certificate_nothing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.crt");
        assert_eq!(end(&file), None);
        std::fs::write(&file, "no PEM").unwrap();
        assert_eq!(end(&file), None);
    }
}
