//! One writer: a Lease says which replica leads, and an epoch in Redis fences off the leaders before it.
//!
//! The Lease alone does not stop a leader that was paused and superseded. So after acquiring it a replica acquires the next
//! epoch (a fencing token), *then* reads the Lease again, and only if it still holds it begins to write; every write carries
//! the epoch, and Redis rejects every write with another one.
//!
//! The election is our own ([decision](../../docs/decisions/0008-own-leader-election.md)): only who can do the work competes
//! ([`Ability`]), a holder that can't marks the Lease for another to take over, and silence counts by the candidate's own
//! clock alone.
//!
//! | module | subject |
//! | --- | --- |
//! | `election` | competes for the Lease, and leads one term after the other |
//! | `candidate` | when a candidate may take the Lease, as a pure decision |
//! | `term` | renews the Lease and marks it, from its take to its loss |
//! | `lease` | reads and writes the Lease, with its version tested |
//! | `epochs` | acquires one epoch after the other |
//! | `installs` | finds other installs that write for the same namespaces |
//! | `state` | the one state of this replica as a writer |
//! | `ability`, `clock`, `permissions` | whether it can work; the clock; the rights on the Lease |

mod ability;
mod candidate;
mod clock;
mod election;
mod epochs;
mod installs;
mod lease;
mod permissions;
mod term;
mod writer_state;

pub use ability::Ability;
pub use election::{LeaderError, with_lease, without_election};
pub use installs::Install;
pub use lease::{CANNOT_WORK, DEFAULT_LEASE, WATCHED_NAMESPACES};
pub use writer_state::{LeaseNotice, Notices, Writer, WriterState};
