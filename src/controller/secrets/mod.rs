//! Webhook Secrets: the watch shows which version a Secret has; its value is read when a publish needs it, and lives no
//! longer than that.

mod prefetch;
mod prefetch_cache;
mod read;
mod reader;

pub use prefetch::{MAX_HELD_VALUES, PrefetchPlan, SecretPrefetch};
pub use read::ResolvedSecret;
pub use reader::SecretReader;
