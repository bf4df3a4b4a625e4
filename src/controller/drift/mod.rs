//! What Redis holds against what it should: the audit compares everything now and then, the orphan sweep removes what
//! resources left that are gone. Changes that Redis signals arrive in the leader's loop.

mod audit;
mod orphans;

pub use audit::run as audit;
pub use orphans::sweep;
