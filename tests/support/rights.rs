//! Rights that an operator runs with, where a test takes some of them away.

use super::World;

/// To whom what an operator needs in one namespace is given, with these verbs where they make a difference.
pub struct Rights<'a> {
    pub namespace: &'a str,
    /// As a `RoleBinding` has it.
    pub subject: String,
    /// On Secrets, as in `get, list, watch`.
    pub secrets: &'a str,
    /// On Leases; none: nothing.
    pub leases: Option<&'a str>,
}

/// A `ServiceAccount`, as the subject of a `RoleBinding`.
pub fn service_account(namespace: &str, name: &str) -> String {
    format!("{{ kind: ServiceAccount, name: {name}, namespace: {namespace} }}")
}

/// A user, as the subject of a `RoleBinding`.
pub fn user(name: &str) -> String {
    format!("{{ apiGroup: rbac.authorization.k8s.io, kind: User, name: {name} }}")
}

impl Rights<'_> {
    /// Gives them, in the place of what was given in this namespace before.
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
