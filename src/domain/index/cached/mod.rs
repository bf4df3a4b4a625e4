//! Resources in the form in which they are cached: there are many, so texts are shared and nothing is held that no decision
//! needs.

mod intern;
mod object;
mod spec;
mod status;

pub use intern::Interner;
pub use object::{ByName, CachedTenant, Interners, name_of, uid_of};
pub use spec::{CachedSpec, MAX_HELD_SPEC};
pub use status::{CachedStatus, ConditionText};
