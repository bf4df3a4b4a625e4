//! How a cluster is to be.

/// The policy by which API servers note what Pods ask for: who, what, and whether it was allowed; no bodies.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ['system:serviceaccounts']
  - level: None
";

/// How a cluster is to be. By default: the newest Kubernetes that the operator supports, and nothing that runs Pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterOptions {
    pub(crate) audited: bool,
    pub(crate) workloads: bool,
    pub(crate) oldest: bool,
}

impl ClusterOptions {
    /// What `ServiceAccounts` ask for is noted in [`crate::Cluster::audit_log`].
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.audited = true;
        self
    }

    /// Deployments get Pods, and Pods nodes: more controllers, and a scheduler. Nothing runs the Pods.
    #[must_use]
    pub fn workloads(mut self) -> Self {
        self.workloads = true;
        self
    }

    /// The oldest Kubernetes that the operator supports (`tools/install.sh chart` builds it).
    #[must_use]
    pub fn oldest(mut self) -> Self {
        self.oldest = true;
        self
    }

    /// A program of Kubernetes, by its name in `tools/bin`.
    pub(crate) fn program(self, name: &str) -> String {
        if self.oldest { format!("oldest-{name}") } else { name.into() }
    }
}
