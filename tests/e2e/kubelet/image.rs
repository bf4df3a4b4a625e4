//! What images hold, as far as it is known here.

use std::path::PathBuf;

/// An image's own programs and what it runs unless it is told otherwise. Everything has the libraries of this machine.
pub(super) struct Image {
    pub(super) entrypoint: Vec<String>,
    /// Files of this machine and where they are in the image.
    pub(super) programs: Vec<(PathBuf, String)>,
}

/// Where the operator's image has the program; its entry point.
const OPERATOR: &str = "/usr/local/bin/runtime-operator";

impl Image {
    /// The image of a reference, as in `host/path/name:tag`.
    pub(super) fn find(reference: &str) -> Option<Self> {
        let name = reference.rsplit('/').next()?.split([':', '@']).next()?;
        match name {
            "runtime-operator" => Some(Self {
                entrypoint: vec![OPERATOR.into()],
                programs: vec![(env!("CARGO_BIN_EXE_runtime-operator").into(), OPERATOR.into())],
            }),
            "redis" => {
                let server = local_cluster::tools::find("redis-server").ok()?.canonicalize().ok()?;
                Some(Self {
                    entrypoint: vec!["docker-entrypoint.sh".into()],
                    programs: vec![(server, "/usr/local/bin/redis-server".into())],
                })
            }
            _ => None,
        }
    }
}
