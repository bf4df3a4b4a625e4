//! Decides who may call a route: by the API server's reviews, or by the keys of a file.

mod cache;
mod key_auth;
mod key_file;
mod keys;
mod kubernetes;

pub(super) use key_auth::{KeyAuth, credentials};
pub use key_file::KeyFileNotice;
pub(super) use key_file::{KeyFile, KeyFileError};
pub use keys::{KeyLineError, Keys, NewKey, Role};
pub use kubernetes::AUDIENCE;
pub(super) use kubernetes::Authorizer;
