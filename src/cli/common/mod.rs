//! The common parts of the commands for people: flags, exit codes, JSON, text, the clients, the cluster's resources.

mod args;
mod client;
mod envelope;
mod outcome;
mod run;
mod snapshot;
mod text;
mod time;

pub use args::{ClusterArgs, OutputArgs, OutputFormat, RedisArgs, parse_time};
pub use client::{Access, Namespaces, explained, is_forbidden};
pub use envelope::{API_VERSION, Document, json_of, schema_of};
pub use outcome::{Failed, Outcome};
pub use run::{block_on, show};
pub use snapshot::{ClusterSnapshot, Secrets, Snapshots};
pub use text::{Color, Mark, Style, escaped, grouped, print_note, print_result};
pub use time::{age, ago};
