//! `runtime-operator crd`.

use std::io::Write;

use super::Failure;

pub(super) fn call() -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(crate::api::crd_yaml()?.as_bytes())?)
}
