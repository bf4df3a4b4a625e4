//! Who leads, as a replica takes it.

/// How far a replica is in leading, and with which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Following,
    /// Has won the Lease.
    Won,
    /// Has taken a number, and reads the Lease again.
    Took(u64),
    /// Leads; Redis is to be read before it writes.
    Leading(u64),
    /// Writes.
    Begun(u64),
    /// A write was refused for its number: reads the Lease.
    Refused(u64),
}
