//! A certificate authority, and files signed by it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::{Folder, Result};

/// The PEM files of a certificate, its key, and the authority that signed it.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A certificate authority; its key is in memory only.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes the files of a server on loopback: `ca.pem`, `<name>.pem`, `<name>-key.pem`. The certificate is also one of a
    /// client, for a server that replicates another.
    pub(crate) fn server(&self, folder: &Folder, name: &str, other_names: &[&str]) -> Result<TlsFiles> {
        let names: Vec<String> =
            ["127.0.0.1", "localhost"].iter().chain(other_names).map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(folder, name, params)
    }

    /// Writes the files of a client: to Kubernetes the common name is the user, the organization its group.
    pub(crate) fn client(&self, folder: &Folder, user: &str, group: Option<&str>) -> Result<TlsFiles> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(folder, user, params)
    }

    fn sign(&self, folder: &Folder, name: &str, mut params: CertificateParams) -> Result<TlsFiles> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(TlsFiles {
            ca: folder.write("ca.pem", &self.pem)?,
            cert: folder.write(&format!("{name}.pem"), &cert.pem())?,
            key: folder.write(&format!("{name}-key.pem"), &key.serialize_pem())?,
        })
    }
}
