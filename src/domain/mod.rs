//! The product's decisions: which tenant holds a DID, the config of a tenant, the plan of a reconcile, the status.
//! An "older publisher" is the imperative HTTP publisher that wrote the keys before: its keys have no ownership record.
//! Pure: no Kubernetes client, no Redis, no tokio, no tracing. It never reads a clock; the time is an argument.

pub mod assessment;
pub mod backoff;
pub mod claims;
pub mod compile;
pub mod event;
mod ids;
pub mod index;
pub mod plan;
pub mod rate_limit;
pub mod reason;
mod record;
pub mod secret;
pub mod status;
mod take_over;
pub mod warnings;

pub use ids::{ResourceName, Uid};
pub use record::{ClusterId, Epoch, Owner, OwnershipRecord};
pub use take_over::{OwnerElsewhere, TakeOver, TakeOverUse};
