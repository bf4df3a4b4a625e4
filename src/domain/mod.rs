//! What the product decides: who holds a number, what a tenant's config is, what a look calls for,
//! what a status says.
//! Pure: no kube client, no Redis, no tokio, no tracing, no clock (`now` is an argument).

pub mod assessment;
pub mod claims;
pub mod compile;
mod ids;
pub mod plan;
pub mod reason;
mod record;
pub mod status;

pub use ids::{ResourceName, Uid};
pub use record::{ClusterId, Epoch, Owner, OwnershipRecord};
