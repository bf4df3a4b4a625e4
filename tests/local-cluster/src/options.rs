//! Options of a cluster.

/// The audit policy of API servers: requests of `ServiceAccounts`, with user, verb and decision, without bodies.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ['system:serviceaccounts']
  - level: None
";

/// Options of a cluster. The default is the newest Kubernetes that the operator supports, without controllers for Pods.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct ClusterOptions {
    pub(crate) audited: bool,
    pub(crate) workloads: bool,
    pub(crate) oldest: bool,
    pub(crate) without_controllers: bool,
}

impl ClusterOptions {
    /// Writes the requests of `ServiceAccounts` to [`crate::Cluster::audit_log`].
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.audited = true;
        self
    }

    /// Starts more controllers, and a scheduler, so that Deployments get Pods, and Pods nodes. Nothing runs the Pods.
    #[must_use]
    pub fn workloads(mut self) -> Self {
        self.workloads = true;
        self
    }

    /// Uses the oldest Kubernetes that the operator supports (`tools/install.sh chart` builds it).
    #[must_use]
    pub fn oldest(mut self) -> Self {
        self.oldest = true;
        self
    }

    /// Starts no kube-controller-manager: no `ServiceAccount` is created, and nothing removes what is in a deleted namespace.
    #[must_use]
    pub fn without_controllers(mut self) -> Self {
        self.without_controllers = true;
        self
    }

    /// Returns a program's name in `tools/bin`.
    pub(crate) fn program(self, name: &str) -> String {
        if self.oldest { format!("oldest-{name}") } else { name.into() }
    }
}
