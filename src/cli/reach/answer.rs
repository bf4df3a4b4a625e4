//! The answers of Pods, and errors as clauses.

use crate::cli::common::escaped;
use crate::cli::failure::explain;
use crate::store::Facts;

/// Decodes an answer. It comes out of a Pod, and is not trusted to be one.
pub(super) fn decode(text: &[u8]) -> Result<Facts, String> {
    serde_json::from_slice(text).map_err(|error| format!("the answer can't be decoded: {error}"))
}

/// Returns an error as a clause, in a form that a terminal can show.
pub(super) fn clause(error: &kube::Error) -> String {
    escaped(&explain(error)).into_owned()
}
