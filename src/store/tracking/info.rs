//! The reply to `INFO`.

use crate::store::connection::info_field;

/// Returns one field of a reply to `INFO`.
pub(super) fn field(info: &str, name: &str) -> Option<String> {
    info_field(info, name).map(str::to_owned)
}
