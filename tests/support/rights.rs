//! Users that may do as much as an operator without a ClusterRole, or less.

use std::path::PathBuf;

use super::World;

impl World {
    /// A kubeconfig of a user with the rights of a Role in the world's namespace: to Secrets only with `verbs`.
    pub async fn kubeconfig_with(&self, user: &str, verbs: &str) -> PathBuf {
        self.grant(user, self.namespace(), verbs).await;
        self.cluster().user_kubeconfig(user, None).unwrap()
    }

    /// The same rights in another namespace.
    pub async fn grant(&self, user: &str, namespace: &str, verbs: &str) {
        let roles = format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: operator, namespace: {namespace} }}
rules:
- {{ apiGroups: [runtime.veralux.io], resources: [runtimetenants], verbs: [get, list, watch, patch] }}
- {{ apiGroups: [runtime.veralux.io], resources: [runtimetenants/status], verbs: [patch] }}
- {{ apiGroups: [''], resources: [secrets], verbs: [{verbs}] }}
- {{ apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch] }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: operator, namespace: {namespace} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator }}
subjects: [{{ apiGroup: rbac.authorization.k8s.io, kind: User, name: {user} }}]
"
        );
        self.cluster().apply_yaml(&roles).await.unwrap();
    }
}
