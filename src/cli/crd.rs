//! `runtime-operator crd`.

use std::io::Write;

use super::failure::Failure;

pub(super) fn run() -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(crate::api::crd_yaml()?.as_bytes())?)
}
