//! The checks of the cluster: API server, CRD, permissions, operator and tenants.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, CustomResourceExt, ResourceExt};

use super::document::OneCheck;
use crate::api::RuntimeTenant;
use crate::cli::common::{Access, ClusterSnapshot, age, explained, is_forbidden};
use crate::cli::reach::Operator;
use crate::domain::index::CachedTenant;
use crate::leader::CANNOT_WORK;

/// The supported minor versions of Kubernetes 1.
const MINORS: std::ops::RangeInclusive<u32> = 33..=37;
/// The time after which a Lease that was not renewed is stale, with room for the difference of two clocks.
const STALE: Duration = Duration::from_secs(60);
/// The verbs that the operator uses, by group, resource and subresource, in the namespaces that it watches.
const PERMISSIONS: [(&str, &str, &str, &[&str]); 4] = [
    ("runtime.veralux.io", "runtimetenants", "", &["get", "list", "watch", "patch"]),
    ("runtime.veralux.io", "runtimetenants", "status", &["patch"]),
    ("", "secrets", "", &["get", "list", "watch"]),
    ("events.k8s.io", "events", "", &["create", "patch"]),
];

/// Checks the API server. The first one fails where there is no cluster.
pub async fn api_server(access: &Access) -> Vec<OneCheck> {
    let description = "the API server answers";
    let version = match access.client.apiserver_version().await {
        Ok(version) => version,
        Err(error) => return vec![OneCheck::unknown(description, "docs/install.md", explained(&error))],
    };
    let minor = version.minor.trim_end_matches('+').parse().unwrap_or_default();
    vec![
        OneCheck::fine(format!("{description} ({})", version.git_version)),
        OneCheck::rather(
            MINORS.contains(&minor),
            "its version is supported",
            "docs/support.md",
            "Kubernetes 1.33 to 1.37 is supported",
        ),
    ]
}

/// Checks the CRD.
pub async fn definition(access: &Access, before: bool) -> Vec<OneCheck> {
    let definitions: Api<CustomResourceDefinition> = Api::all(access.client.clone());
    let page = "docs/upgrade.md";
    let installed = match definitions.get_opt(RuntimeTenant::crd_name()).await {
        Ok(installed) => installed,
        Err(error) => return vec![OneCheck::unknown("the CRD is installed", page, explained(&error))],
    };
    let Some(installed) = installed else {
        return vec![if before {
            OneCheck::fine("the CRD can be installed: there is none")
        } else {
            OneCheck::error(
                "the CRD is installed",
                "docs/install.md",
                "install it: runtime-operator crd | kubectl apply -f -",
            )
        }];
    };
    let schema = |definition: &CustomResourceDefinition| {
        let version = definition.spec.versions.first()?;
        serde_json::to_value(version.schema.as_ref()?).ok()
    };
    vec![
        OneCheck::fine("the CRD is installed"),
        OneCheck::rather(
            schema(&installed) == schema(&crate::api::crd()),
            "it is that of this program",
            page,
            "it is another version's: install the newer of the two (runtime-operator crd | kubectl apply -f -)",
        ),
    ]
}

/// Checks the operator and its Lease.
#[must_use]
pub fn operator(found: &Result<Operator, String>, now: Timestamp) -> Vec<OneCheck> {
    let page = "docs/runbooks/RuntimeOperatorNoLeader.md";
    let operator = match found {
        Ok(operator) => operator,
        Err(why) => return vec![OneCheck::error("an operator is installed", "docs/install.md", why)],
    };
    let name = format!("{}/{}", operator.namespace, operator.deployment.name_any());
    let wanted = operator.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = operator.deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let mut checks = vec![
        OneCheck::fine(format!("an operator is installed ({name})")),
        OneCheck::that(
            ready >= wanted && wanted > 0,
            "its replicas are ready",
            "docs/runbooks/RuntimeOperatorAbsent.md",
            &format!("{ready} of {wanted} are: kubectl -n {} get pods", operator.namespace),
        ),
    ];
    let lease = match &operator.lease {
        Err(why) => {
            checks.push(OneCheck::unknown("a replica leads", page, why));
            return checks;
        }
        Ok(None) => {
            checks.push(OneCheck::error("a replica leads", page, "there is no Lease"));
            return checks;
        }
        Ok(Some(lease)) => lease,
    };
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
    let fresh = renewed.is_some_and(|renewed| now.duration_since(renewed).unsigned_abs() < STALE);
    let since = renewed.map_or("never".to_owned(), |renewed| format!("{} ago", age(renewed, now)));
    checks.push(OneCheck::that(
        !holder.is_empty() && fresh,
        "a replica leads",
        page,
        &format!("the Lease was renewed {since}, by {holder:?}"),
    ));
    let marked = lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CANNOT_WORK));
    checks.push(OneCheck::that(
        marked.is_none(),
        "the leader can work",
        page,
        marked.map(String::as_str).unwrap_or_default(),
    ));
    checks
}

/// Checks the permissions of the operator's `ServiceAccount`, in the namespaces that it watches.
pub async fn permissions(access: &Access, operator: &Operator, watched: &[String]) -> Vec<OneCheck> {
    let page = "docs/security.md";
    let template = operator.deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let account = template.and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let user = format!("system:serviceaccount:{}:{account}", operator.namespace);
    let scopes: Vec<Option<&str>> = match watched {
        [] => vec![None],
        some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    let mut checks = Vec::new();
    for (group, resource, subresource, verbs) in PERMISSIONS {
        let path =
            if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
        let description = format!("the operator may {} {path}", verbs.join(", "));
        let mut denied = Vec::new();
        for scope in &scopes {
            for verb in verbs {
                let attributes = ResourceAttributes {
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource: Some(subresource.to_owned()).filter(|name| !name.is_empty()),
                    namespace: scope.map(str::to_owned),
                    verb: Some((*verb).to_owned()),
                    ..ResourceAttributes::default()
                };
                match is_allowed(access, &user, attributes).await {
                    Ok(true) => {}
                    Ok(false) => denied.push(format!("{verb} in {}", scope.unwrap_or("all namespaces"))),
                    Err(error) => {
                        checks.push(OneCheck::unknown(&description, page, explained(&error)));
                        // A user who may not ask once may not ask again.
                        if is_forbidden(&error) {
                            return checks;
                        }
                    }
                }
            }
        }
        let error = format!("{user} may not {}", denied.join(", "));
        checks.push(OneCheck::that(denied.is_empty(), &description, page, &error));
    }
    checks
}

async fn is_allowed(
    access: &Access,
    user: &str,
    attributes: ResourceAttributes,
) -> Result<bool, kube::Error> {
    let namespace = user.split(':').nth(2).unwrap_or_default();
    let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some([&groups[..], &[format!("system:serviceaccounts:{namespace}")]].concat()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(access.client.clone());
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let review = reviews.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

/// Checks the resources: no backlog, and their Secrets.
#[must_use]
pub fn tenants(snapshot: &Result<ClusterSnapshot, String>) -> Vec<OneCheck> {
    let page = "docs/runbooks/RuntimeOperatorTenantNotReady.md";
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(why) => return vec![OneCheck::unknown("RuntimeTenants can be read", page, why)],
    };
    let objects = snapshot.index.objects();
    let live: Vec<&CachedTenant> =
        objects.iter().map(|object| &**object).filter(|object| !object.is_deleting()).collect();
    let mut checks = vec![OneCheck::fine(format!("RuntimeTenants can be read ({})", objects.len()))];
    checks.extend(
        snapshot.missing.iter().map(|missing| OneCheck::unknown("all of them can be", page, missing)),
    );
    let behind: Vec<String> =
        named(live.iter().filter(|object| object.observed_generation() < object.generation()));
    checks.push(OneCheck::that(
        behind.is_empty(),
        "the status of each is about its newest generation",
        "docs/runbooks/RuntimeOperatorBacklog.md",
        &listed(&behind),
    ));
    let secrets = "docs/runbooks/RuntimeOperatorSecretMissing.md";
    let description = "the webhook Secret of each exists";
    if let Some(why) = &snapshot.secrets_missing {
        checks.push(OneCheck::unknown(description, secrets, why));
        return checks;
    }
    let lacks = |object: &&&CachedTenant| {
        let key = snapshot.index.secret_key(&object.uid());
        key.is_some_and(|key| snapshot.index.secret_version(&key.secret).is_none())
    };
    let without = named(live.iter().filter(lacks));
    checks.push(OneCheck::that(without.is_empty(), description, secrets, &listed(&without)));
    checks
}

fn named<'a>(objects: impl Iterator<Item = &'a &'a CachedTenant>) -> Vec<String> {
    let mut names: Vec<String> = objects.map(|object| object.name().to_string()).collect();
    names.sort();
    names
}

/// Lists as many names as a person reads.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { format!("not of {shown}") } else { format!("not of {shown} and {more} more") }
}
