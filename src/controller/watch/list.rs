//! Lists all objects of a kind, page by page.

use std::fmt::Debug;

use kube::Api;
use kube::api::ListParams;
use kube::core::ObjectList;
use serde::de::DeserializeOwned;

/// The objects of a page.
const PAGE: u32 = 500;

/// The pages of one list, all of one version.
pub struct Pages<K> {
    api: Api<K>,
    params: ListParams,
    complete: bool,
}

impl<K: Clone + DeserializeOwned + Debug> Pages<K> {
    /// The list of all objects that etcd holds now.
    pub fn new(api: &Api<K>) -> Self {
        Self { api: api.clone(), params: ListParams::default().limit(PAGE), complete: false }
    }

    /// Reads the next page; none after the last one.
    pub async fn next(&mut self) -> Result<Option<ObjectList<K>>, kube::Error> {
        if self.complete {
            return Ok(None);
        }
        let page = self.api.list(&self.params).await?;
        self.params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        self.complete = self.params.continue_token.is_none();
        Ok(Some(page))
    }
}
