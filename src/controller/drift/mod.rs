//! The search for differences that Redis does not signal: the audit compares everything now and then, the orphan sweep
//! removes what resources left that are gone. Changes that Redis signals arrive in `leadership`.

mod audit;
mod orphans;

pub use audit::run as audit;
pub use orphans::sweep;
