//! The programs that `tools/install.sh` links into `tools/bin` of the repository.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The variable with the path of another Redis server, such as a Valkey; `make test-redis` sets it.
const REDIS_SERVER: &str = "TEST_REDIS_SERVER";

/// Returns the path of a program of `tools/bin`.
pub fn find(name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(REDIS_SERVER).filter(|_| name == "redis-server") {
        return Ok(path.into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/bin");
    let path = folder.join(name);
    // Follows the link, which may point into a cache that was cleared.
    if path.is_file() {
        Ok(path)
    } else {
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Err(Error::ToolMissing { name: name.into(), folder })
    }
}
