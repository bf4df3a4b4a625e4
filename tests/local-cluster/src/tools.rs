//! The programs that `tools/install.sh` links into `tools/bin` of the repository.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Returns the path of a program of `tools/bin`.
pub fn find(name: &str) -> Result<PathBuf> {
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
