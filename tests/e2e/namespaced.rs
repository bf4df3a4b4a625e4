//! An installation with Helm 3 on the oldest Kubernetes, by a user with permissions in three namespaces only.

use local_cluster::ClusterOptions;

use crate::audit;
use crate::pages::{Reader, blocks};
use crate::site::Site;

/// The namespace that the page uses.
const NAMESPACE: &str = "voice-system";

pub async fn story() {
    let site = Site::start(ClusterOptions::default().oldest()).await;
    // The CRD is cluster-wide: an administrator installs it.
    let admin = Reader::new(&site, site.cluster.kubeconfig(), "admin", "helm3");
    let [definition, install] = &blocks("install", "For some namespaces only")[..] else {
        panic!("two blocks")
    };
    admin.runs(definition).await;
    for namespace in [NAMESPACE, "voice-a", "voice-b", "voice-c"] {
        site.namespace(namespace).await;
        if namespace != "voice-c" {
            // A RoleBinding to cluster-admin grants all permissions in one namespace and none elsewhere.
            let bind = "create rolebinding installer --clusterrole=cluster-admin --user=installer";
            admin.runs(&format!("kubectl -n {namespace} {bind}")).await;
        }
    }

    let installer = site.cluster.user_kubeconfig("installer", None).unwrap();
    let installer = Reader::new(&site, &installer, "installer", "helm3");
    installer.runs(install).await;
    for (namespace, tenant, did) in [
        ("voice-a", "acme", "+15550100001"),
        ("voice-b", "harbor", "+15550100002"),
        ("voice-c", "other", "+15550100003"),
    ] {
        site.apply(namespace, tenant, did).await;
    }
    site.wait_reason("voice-a", "acme", "Published").await;
    site.wait_reason("voice-b", "harbor", "Published").await;
    let other = site.tenants("voice-c").get("other").await.unwrap();
    assert!(other.data.get("status").is_none(), "a tenant of another namespace is left alone");

    let asked = audit::asked(&site.cluster.audit_log());
    assert!(asked.len() > 20, "{asked:#?}");
    let beyond: Vec<_> = asked
        .iter()
        .filter(|asked| {
            let there = [NAMESPACE, "voice-a", "voice-b"];
            // Every user may review his own permissions; nothing of it is stored (`system:basic-user`).
            let about_itself = asked.resource == "selfsubjectaccessreviews";
            let inside = asked.namespace.as_deref().is_some_and(|namespace| there.contains(&namespace));
            asked.denied || !(inside || about_itself)
        })
        .collect();
    assert!(beyond.is_empty(), "{beyond:#?}");

    installer.runs(&format!("helm uninstall runtime-operator --namespace {NAMESPACE} --wait")).await;
    site.tenants("voice-a").get("acme").await.unwrap();
}
