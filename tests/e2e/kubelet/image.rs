//! The known images.

use std::path::PathBuf;

use crate::upgrade::{TAG, older};

/// An image's own programs and its default command. All images have the libraries of this machine.
pub(super) struct Image {
    pub(super) entrypoint: Vec<String>,
    /// Files of this machine, each with its path in the image.
    pub(super) programs: Vec<(PathBuf, String)>,
}

/// The path of the program in the operator's image, which is its entry point.
const OPERATOR: &str = "/usr/local/bin/runtime-operator";

impl Image {
    /// Returns the image of a reference, as in `host/path/name:tag`.
    pub(super) fn find(reference: &str) -> Option<Self> {
        let mut parts = reference.rsplit('/').next()?.split([':', '@']);
        let (name, tag) = (parts.next()?, parts.next());
        match name {
            "runtime-operator" => {
                let program = match older().filter(|_| tag == Some(TAG)) {
                    Some(older) => older.join("target/release/runtime-operator"),
                    None => env!("CARGO_BIN_EXE_runtime-operator").into(),
                };
                Some(Self { entrypoint: vec![OPERATOR.into()], programs: vec![(program, OPERATOR.into())] })
            }
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
