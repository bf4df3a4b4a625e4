//! The values of the runtime's variables, from a file with a line NAME=VALUE for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use secrecy::SecretString;

use super::super::failure::Failure;

/// The longest file that is read.
const MAX_BYTES: u64 = 4 << 20;

/// Reads a file of values. A value is everything behind the first `=`; blank lines and lines that begin with `#` are skipped. An
/// error names the line and quotes nothing.
pub fn read(path: &Path) -> Result<BTreeMap<String, SecretString>, Failure> {
    let named = |why: String| format!("--env-values {}: {why}", path.display());
    let length = fs::metadata(path).map_err(|error| named(error.to_string()))?.len();
    if length > MAX_BYTES {
        return Err(named(format!("is longer than {} MiB", MAX_BYTES >> 20)).into());
    }
    let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            line.split_once('=').ok_or_else(|| named(format!("line {} must be NAME=VALUE", index + 1)))?;
        values.insert(name.trim().to_owned(), value.into());
    }
    Ok(values)
}
