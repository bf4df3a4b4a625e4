//! A trial on the oldest Kubernetes by somebody who has three namespaces and no right beyond them, installed by Helm 3.

use local_cluster::ClusterOptions;

use crate::audit;
use crate::helm::{Release, chart};
use crate::site::Site;

const NAMESPACE: &str = "voice-system";
const VALUES: &str = "
watchNamespaces: [voice-a, voice-b]
clusterId: cluster-1
crds: { install: false }
redis: { embedded: { enabled: true, image: { tag: '7.4' } } }
";

pub async fn story() {
    let site = Site::start(ClusterOptions::default().oldest()).await;
    // The definition is cluster-wide: an administrator's.
    site.cluster.apply_yaml(&runtime_operator::api::crd_yaml().unwrap()).await.unwrap();
    let installer = site.cluster.user_kubeconfig("installer", None).unwrap();
    let admin = site.cluster.kubeconfig().to_owned();
    let release = |kubeconfig| Release { site: &site, program: "helm3", kubeconfig, namespace: NAMESPACE };
    let (admin, own) = (release(admin), release(installer));
    for namespace in [NAMESPACE, "voice-a", "voice-b", "voice-c"] {
        site.namespace(namespace).await;
        if namespace != "voice-c" {
            // In one namespace, a cluster's administrator has all rights there and none beyond.
            let args =
                ["create", "rolebinding", "installer", "--clusterrole=cluster-admin", "--user=installer"];
            admin.kubectl(&[&["-n", namespace], &args[..]].concat()).await;
        }
    }

    let values = site.folder.write("values.yaml", VALUES).unwrap();
    let chart = chart();
    let args = [chart.to_str().unwrap(), "--values", values.to_str().unwrap(), "--wait", "--timeout=180s"];
    own.helm(&["install"], &args).await;
    for (namespace, tenant, did) in [
        ("voice-a", "acme", "+15550100001"),
        ("voice-b", "harbor", "+15550100002"),
        ("voice-c", "other", "+15550100003"),
    ] {
        site.apply(namespace, tenant, did).await;
    }
    site.wait_reason("voice-a", "acme", "Published").await;
    site.wait_reason("voice-b", "harbor", "Published").await;
    let told = own.helm(&["test"], &["--timeout=120s"]).await;
    assert!(told.contains("Succeeded"), "{told}");
    let other = site.tenants("voice-c").get("other").await.unwrap();
    assert!(other.data.get("status").is_none(), "a tenant of another namespace is left alone");

    let asked = audit::asked(&site.cluster.audit_log());
    assert!(asked.len() > 20, "{asked:#?}");
    let beyond: Vec<_> = asked
        .iter()
        .filter(|asked| {
            let there = [NAMESPACE, "voice-a", "voice-b"];
            asked.denied || !asked.namespace.as_deref().is_some_and(|namespace| there.contains(&namespace))
        })
        .collect();
    assert!(beyond.is_empty(), "{beyond:#?}");

    own.helm(&["uninstall"], &["--wait", "--timeout=120s"]).await;
    site.tenants("voice-a").get("acme").await.unwrap();
}
