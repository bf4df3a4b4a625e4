//! RBAC permissions of an operator, for tests that revoke some of them.

use super::World;

/// The permissions of an operator in one namespace, with the verbs that tests change.
pub struct Permissions<'a> {
    pub namespace: &'a str,
    /// The subject of the `RoleBinding`, as YAML.
    pub subject: String,
    /// Verbs on Secrets, such as `get, list, watch`.
    pub secrets: &'a str,
    /// Verbs on Leases, if any.
    pub leases: Option<&'a str>,
}

/// Returns a `ServiceAccount` as the subject of a `RoleBinding`.
pub fn service_account(namespace: &str, name: &str) -> String {
    format!("{{ kind: ServiceAccount, name: {name}, namespace: {namespace} }}")
}

/// Returns a user as the subject of a `RoleBinding`.
pub fn user(name: &str) -> String {
    format!("{{ apiGroup: rbac.authorization.k8s.io, kind: User, name: {name} }}")
}

impl Permissions<'_> {
    /// Grants them, replacing those granted in this namespace before.
    pub async fn grant(&self, world: &World) {
        let Self { namespace, subject, secrets, leases } = self;
        let leases = leases.map_or_else(String::new, |verbs| {
            format!("- {{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [{verbs}] }}")
        });
        let roles = format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: operator, namespace: {namespace} }}
rules:
- {{ apiGroups: [runtime.veralux.io], resources: [runtimetenants], verbs: [get, list, watch, patch] }}
- {{ apiGroups: [runtime.veralux.io], resources: [runtimetenants/status], verbs: [patch] }}
- {{ apiGroups: [''], resources: [secrets], verbs: [{secrets}] }}
- {{ apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch] }}
{leases}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: operator, namespace: {namespace} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator }}
subjects: [{subject}]
"
        );
        world.cluster().apply_yaml(&roles).await.unwrap();
    }
}
