//! The role of a replica, as it knows it.

/// The role of a replica, with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Following,
    /// Acquired the Lease.
    HoldsLease,
    /// Acquired an epoch, and reads the Lease again.
    AcquiredEpoch(u64),
    /// Leads, and reads Redis before it writes.
    Leading(u64),
    /// Writes.
    Writing(u64),
    /// A write was rejected for its epoch: reads the Lease.
    EpochLost(u64),
}
