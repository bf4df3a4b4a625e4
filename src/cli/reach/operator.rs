//! The operator in the cluster: its Deployment, its Lease, and the Pod that may be asked.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::answer::clause;
use crate::cli::common::{Access, is_forbidden};
use crate::cli::failure::Failure;
use crate::leader::DEFAULT_LEASE;

/// The label by which the operator's Deployment is found.
const LABEL: &str = "app.kubernetes.io/name=runtime-operator";
/// The name of the operator's container.
const CONTAINER: &str = "operator";

/// An operator.
pub struct Operator {
    /// Its namespace.
    pub namespace: String,
    /// Its Deployment.
    pub deployment: Deployment,
    /// Its Lease, if there is one; the error says why it was not read.
    pub lease: Result<Option<Lease>, String>,
    /// The Pod that may be asked: the leader's, else another that runs. It belongs to the Deployment. The error is a clause.
    pub pod: Result<String, String>,
}

/// Why no operator was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// More than one: a person must choose.
    #[error("several operators run in this cluster ({}): choose one with --operator-namespace", .0.join(", "))]
    Several(Vec<String>),
    /// None, or this user may not see it.
    #[error("{0}")]
    None(String),
}

impl Operator {
    /// Finds the operator.
    pub async fn find(access: &Access) -> Result<Self, FindError> {
        let deployment = find_deployment(access).await?;
        let namespace = deployment.namespace().unwrap_or_default();
        let leases: Api<Lease> = Api::namespaced(access.client.clone(), &namespace);
        let lease = leases.get_opt(&lease_name(&deployment)).await.map_err(|error| clause(&error));
        let holder = lease.as_ref().ok().and_then(Option::as_ref).and_then(holder_pod);
        let pod = find_pod(access, &namespace, &deployment, holder).await;
        Ok(Self { namespace, deployment, lease, pod })
    }

    /// Finds the operator, as a command does that goes on without one: the inner error is a clause. Several operators are a
    /// failure.
    pub async fn choose(access: &Access) -> Result<Result<Self, String>, Failure> {
        match Self::find(access).await {
            Ok(operator) => Ok(Ok(operator)),
            Err(error @ FindError::Several(_)) => Err(error.into()),
            Err(FindError::None(why)) => Ok(Err(why)),
        }
    }

    /// Its Lease, if there is one and it could be read.
    #[must_use]
    pub fn known_lease(&self) -> Option<&Lease> {
        self.lease.as_ref().ok()?.as_ref()
    }

    /// The operator's container.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        container(&self.deployment)
    }

    /// The value of one of its settings, by its Deployment. A value that is taken from a Secret is not known.
    #[must_use]
    pub fn setting(&self, variable: &str) -> Option<&str> {
        setting(&self.deployment, variable)
    }

    /// The version in the image's tag, if it has one.
    #[must_use]
    pub fn image_version(&self) -> Option<&str> {
        let image = self.container()?.image.as_deref()?;
        let image = image.split('@').next()?;
        image.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
    }
}

/// The Pod that holds a Lease: the first part of the holder's identity.
#[must_use]
fn holder_pod(lease: &Lease) -> Option<String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    holder.split('_').next().filter(|pod| !pod.is_empty()).map(str::to_owned)
}

async fn find_deployment(access: &Access) -> Result<Deployment, FindError> {
    let params = ListParams::default().labels(LABEL);
    let deployments_in = |namespace: &str| Api::<Deployment>::namespaced(access.client.clone(), namespace);
    let answer = match &access.args.operator_namespace {
        Some(namespace) => deployments_in(namespace).list(&params).await,
        None => match Api::<Deployment>::all(access.client.clone()).list(&params).await {
            Err(error) if is_forbidden(&error) => {
                let own = deployments_in(access.namespace()).list(&params).await;
                let own = own.map_err(|_| error)?;
                if own.items.is_empty() {
                    let namespace = access.namespace();
                    return Err(FindError::None(format!(
                        "no operator in the namespace {namespace}, and Deployments of other namespaces are forbidden: set \
                         --operator-namespace"
                    )));
                }
                Ok(own)
            }
            answer => answer,
        },
    };
    let mut found: Vec<Deployment> = answer?.items;
    found.retain(|deployment| container(deployment).is_some());
    let namespaces: BTreeSet<String> = found.iter().filter_map(ResourceExt::namespace).collect();
    if namespaces.len() > 1 {
        return Err(FindError::Several(namespaces.into_iter().collect()));
    }
    if found.len() > 1 {
        let name = |deployment: &Deployment| {
            format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
        };
        return Err(FindError::Several(found.iter().map(name).collect()));
    }
    found.pop().ok_or_else(|| {
        let place = access.args.operator_namespace.as_ref();
        let place = place.map_or("this cluster".to_owned(), |name| format!("the namespace {name}"));
        FindError::None(format!("no Deployment with the label {LABEL} in {place}"))
    })
}

impl From<kube::Error> for FindError {
    fn from(error: kube::Error) -> Self {
        Self::None(clause(&error))
    }
}

/// Finds the Pod to ask, which must belong to the Deployment: a Lease names any text as its holder.
async fn find_pod(
    access: &Access,
    namespace: &str,
    deployment: &Deployment,
    holder: Option<String>,
) -> Result<String, String> {
    let pods: Api<Pod> = Api::namespaced(access.client.clone(), namespace);
    let mut candidates = Vec::new();
    if let Some(holder) = holder {
        candidates.extend(pods.get_opt(&holder).await.map_err(|error| clause(&error))?);
    }
    if !candidates.iter().any(is_running) {
        let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
        let selector = selector.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
        let params = ListParams::default().labels(&selector.collect::<Vec<_>>().join(","));
        candidates.extend(pods.list(&params).await.map_err(|error| clause(&error))?.items);
    }
    let sets: Api<ReplicaSet> = Api::namespaced(access.client.clone(), namespace);
    for pod in candidates.iter().filter(|pod| is_running(pod)) {
        let Some(owner) = controller(&pod.metadata, "ReplicaSet") else { continue };
        let Some(set) = sets.get_opt(&owner.name).await.map_err(|error| clause(&error))? else { continue };
        let same_set = set.metadata.uid.as_deref() == Some(&*owner.uid);
        let of_deployment = controller(&set.metadata, "Deployment")
            .is_some_and(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref());
        if same_set && of_deployment {
            return Ok(pod.name_any());
        }
    }
    let name = deployment.name_any();
    Err(format!("no Pod of the Deployment {namespace}/{name} is running"))
}

fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// The controller of an object, if it is of this kind.
fn controller<'a>(meta: &'a ObjectMeta, kind: &str) -> Option<&'a OwnerReference> {
    let owners = meta.owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).find(|owner| owner.kind == kind)
}

fn container(deployment: &Deployment) -> Option<&Container> {
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == CONTAINER)
}

fn setting<'a>(deployment: &'a Deployment, variable: &str) -> Option<&'a str> {
    let variables = container(deployment)?.env.iter().flatten();
    variables.filter(|given| given.name == variable).find_map(|given| given.value.as_deref())
}

fn lease_name(deployment: &Deployment) -> String {
    setting(deployment, "LEASE_NAME").filter(|name| !name.is_empty()).unwrap_or(DEFAULT_LEASE).to_owned()
}
