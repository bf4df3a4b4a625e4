//! The permissions that leader election needs. A replica without them would wait in the election for ever and report
//! nothing, or notice only when the leader is gone.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};

/// The verbs that an election needs on an existing lease: to read, watch, acquire and renew it.
const VERBS: [&str; 4] = ["get", "list", "watch", "patch"];

/// The permissions that this replica lacks, as a sentence; none: it has all. Every user may ask the API server for this
/// (`system:basic-user`).
pub(super) async fn missing(client: &Client, lease: &str) -> Result<Option<String>, kube::Error> {
    let mut denied = Vec::new();
    for verb in VERBS {
        if !is_allowed(client, verb, Some(lease)).await? {
            denied.push(verb);
        }
    }
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    // An existing lease need not be created. No role can allow that for one name alone.
    if !denied.contains(&"get")
        && leases.get_opt(lease).await?.is_none()
        && !is_allowed(client, "create", None).await?
    {
        denied.push("create");
    }
    if denied.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "can't read or write the Lease {lease} in the namespace {}: the API server forbids {} there. A Role must allow \
         {} and create on leases (coordination.k8s.io)",
        client.default_namespace(),
        denied.join(", "),
        VERBS.join(", "),
    )))
}

async fn is_allowed(client: &Client, verb: &str, name: Option<&str>) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        group: Some("coordination.k8s.io".to_owned()),
        resource: Some("leases".to_owned()),
        namespace: Some(client.default_namespace().to_owned()),
        name: name.map(str::to_owned),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}
