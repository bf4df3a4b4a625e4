//! The search for differences that Redis does not signal: the audit compares everything every five minutes, the orphan sweep
//! removes the keys of resources that no longer exist. Changes that Redis signals arrive in `resync`.

mod audit;
mod orphans;

pub use audit::run as audit;
pub use orphans::sweep;
