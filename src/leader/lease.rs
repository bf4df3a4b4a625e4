//! The Lease for which the replicas compete.

/// The Lease's name, in the operator's own namespace.
pub const LEASE: &str = "runtime-operator";
