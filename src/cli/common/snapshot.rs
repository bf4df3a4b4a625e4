//! The cluster's resources, loaded into the index with which the controller decides who holds what.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Resource};

use super::client::{explained, is_forbidden};
use crate::controller::{Pages, SecretMeta, WatchedTenant};
use crate::domain::compile::{self, Claimed};
use crate::domain::index::{Index, Interners, name_of};
use crate::domain::secret::SecretVersion;
use crate::leader::WATCHED_NAMESPACES;

/// Which Secrets are listed too, by their metadata alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// None.
    Unread,
    /// Those of the same namespaces.
    Listed,
}

/// The resources of a cluster at one moment.
pub struct ClusterSnapshot {
    /// Everything that is claimed. No ownership record is in it unless the caller adds it.
    pub index: Index,
    /// The parts that were not read, and why: a clause each. While this is not empty, who holds a number is not known.
    pub missing: Vec<String>,
    /// The Secrets that were not read, and why.
    pub secrets_missing: Option<String>,
}

/// A request for the resources of a cluster.
pub struct Snapshots {
    /// The client.
    pub client: Client,
    /// The namespaces that the operator watches; empty: all.
    pub watched: Vec<String>,
    /// The namespace that is read where not all may be.
    pub fallback: String,
    /// The Secrets that are listed.
    pub secrets: Secrets,
    /// The most bytes of specs that are held; 0: only what they claim.
    pub held_spec_bytes: usize,
}

impl Snapshots {
    /// The namespaces that the operator watches, by the annotation of its Lease; empty: all.
    #[must_use]
    pub fn watched_by(lease: &Lease) -> Vec<String> {
        let annotations = lease.metadata.annotations.as_ref();
        let watched = annotations.and_then(|annotations| annotations.get(WATCHED_NAMESPACES));
        match watched.map(String::as_str) {
            None | Some("*" | "") => Vec::new(),
            Some(list) => list.split(',').map(str::to_owned).collect(),
        }
    }

    /// Loads everything. Only a failure of the resources' first list is an error; a list that is forbidden is said.
    pub async fn load(&self) -> Result<ClusterSnapshot, kube::Error> {
        let mut snapshot = ClusterSnapshot {
            index: Index::new(true).with_held_spec_bytes(self.held_spec_bytes),
            missing: Vec::new(),
            secrets_missing: None,
        };
        let mut interners = Interners::default();
        let scopes: Vec<Option<&str>> = match self.watched.as_slice() {
            [] => vec![None],
            some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
        };
        let mut read = Vec::new();
        for scope in scopes {
            match self.tenants(scope, &mut snapshot.index, &mut interners).await {
                Ok(()) => read.push(scope),
                Err(error) if is_forbidden(&error) => {
                    let place =
                        scope.map_or("all namespaces".to_owned(), |name| format!("the namespace {name}"));
                    snapshot.missing.push(format!("RuntimeTenants of {place}: {}", explained(&error)));
                    if scope.is_none() {
                        let fallback = Some(self.fallback.as_str());
                        self.tenants(fallback, &mut snapshot.index, &mut interners).await?;
                        read.push(fallback);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if self.secrets == Secrets::Listed {
            for scope in read {
                if let Err(error) = self.secrets(scope, &mut snapshot.index).await {
                    snapshot.secrets_missing = Some(explained(&error));
                }
            }
        }
        Ok(snapshot)
    }

    async fn tenants(
        &self,
        namespace: Option<&str>,
        index: &mut Index,
        interners: &mut Interners,
    ) -> Result<(), kube::Error> {
        let mut pages = Pages::new(&self.api::<WatchedTenant>(namespace));
        while let Some(page) = pages.next().await? {
            for mut tenant in page.items {
                let claimed = tenant.take_claimed();
                let object = tenant.cache(1, None, interners);
                let claimed: Claimed = claimed.unwrap_or_else(|| compile::claimed(object.spec()));
                let _ = index.apply(object, Some(claimed), true);
            }
        }
        Ok(())
    }

    async fn secrets(&self, namespace: Option<&str>, index: &mut Index) -> Result<(), kube::Error> {
        let mut pages = Pages::new(&self.api::<SecretMeta>(namespace));
        while let Some(page) = pages.next().await? {
            for secret in page.items {
                let meta = secret.meta();
                let version = SecretVersion::new(meta.uid.as_deref(), meta.resource_version.as_deref());
                let _ = index.apply_secret(&name_of(meta), Some((version, 1)));
            }
        }
        Ok(())
    }

    fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}
