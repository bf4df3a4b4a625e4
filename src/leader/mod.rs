//! One writer: a Lease says which replica leads, and an epoch in Redis fences off the leaders before it.
//!
//! The Lease alone does not stop a leader that was paused and superseded. So after acquiring it a replica acquires the next
//! epoch (a fencing token), *then* reads the Lease again, and only if it still holds it begins to write; every write carries
//! the epoch, and Redis rejects every write with another one.

mod election;
mod lease;
mod permissions;
mod state;

pub use election::{LeaderError, with_lease, without_election};
pub use lease::LEASE;
pub use state::{Writer, WriterState};
