//! What a replica may do with the Lease. One that lacks a right would wait in the election for ever without a word, or
//! find out only when the leader is gone.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};

use super::LEASE;

/// What an election does with the Lease that is there: read it, watch it, take and renew it.
const ALWAYS: [&str; 4] = ["get", "list", "watch", "patch"];

/// What this replica lacks, for a person to read; none: it has every right. The API server says so itself, without a
/// right that this would need (`system:basic-user`).
pub(super) async fn lacking(client: &Client) -> Result<Option<String>, kube::Error> {
    let mut denied = Vec::new();
    for verb in ALWAYS {
        if !may(client, verb, Some(LEASE)).await? {
            denied.push(verb);
        }
    }
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    // A Lease that is there need not be made. No role can allow that for one name alone.
    if !denied.contains(&"get")
        && leases.get_opt(LEASE).await?.is_none()
        && !may(client, "create", None).await?
    {
        denied.push("create");
    }
    if denied.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "can't read or write the Lease {LEASE} in the namespace {}: the API server forbids {} there. A Role must allow \
         {} and create on leases (coordination.k8s.io)",
        client.default_namespace(),
        denied.join(", "),
        ALWAYS.join(", "),
    )))
}

async fn may(client: &Client, verb: &str, name: Option<&str>) -> Result<bool, kube::Error> {
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
