//! Lists all objects of a kind, page by page. The pages adapt to the size of the objects, which may differ a thousandfold: one
//! that becomes too large is cut off and asked for again with fewer objects.

use std::fmt::Debug;

use kube::Api;
use kube::Resource;
use kube::api::ListParams;
use kube::core::{ObjectList, Request};
use serde::de::DeserializeOwned;

use super::super::bounded::{self, Bounded};

/// The objects of the first page, from whose size that of the next one follows.
const FIRST_PAGE: u32 = 50;
/// The maximum number of objects of a page.
const LARGEST_PAGE: usize = 500;
/// The intended bytes of a page. One with more than [`bounded::MAX_BODY`] is cut off.
pub const PAGE_BYTES: usize = 2 << 20;
/// The divisor of the number of objects after a page that was cut off.
const FEWER: u32 = 4;

/// The pages of one list, all of one version.
pub struct Pages<K> {
    api: Api<K>,
    /// Without a version, so that etcd is read: a list of version 0 may be older than what was seen before.
    params: ListParams,
    complete: bool,
}

impl<K: Resource + Clone + DeserializeOwned + Debug> Pages<K> {
    /// The list of all objects that etcd holds now.
    #[must_use]
    pub fn new(api: &Api<K>) -> Self {
        Self { api: api.clone(), params: ListParams::default().limit(FIRST_PAGE), complete: false }
    }

    /// Reads the next page; none after the last one.
    pub async fn next(&mut self) -> Result<Option<ObjectList<K>>, kube::Error> {
        if self.complete {
            return Ok(None);
        }
        let (page, bytes) = loop {
            match self.read().await? {
                Bounded::Read(page, bytes) => break (page, bytes),
                Bounded::TooLarge if self.limit() == 1 => return Err(bounded::too_large()),
                // The same page again: the token stays.
                Bounded::TooLarge => self.params.limit = Some((self.limit() / FEWER).max(1)),
            }
        };
        let size = bytes / page.items.len().max(1) + 1;
        self.params.limit = u32::try_from((PAGE_BYTES / size).clamp(1, LARGEST_PAGE)).ok();
        self.params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        self.complete = self.params.continue_token.is_none();
        Ok(Some(page))
    }

    async fn read(&self) -> Result<Bounded<ObjectList<K>>, kube::Error> {
        let list = Request::new(self.api.resource_url());
        let list = if K::metadata_api() { list.list_metadata(&self.params) } else { list.list(&self.params) };
        bounded::read(&self.api.clone().into_client(), list.map_err(kube::Error::BuildRequest)?).await
    }

    fn limit(&self) -> u32 {
        self.params.limit.unwrap_or(FIRST_PAGE)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;
    use kube::{Client, ResourceExt};
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// The limits and tokens of the requests, and the objects that were listed.
    type Listed = (Vec<(usize, usize)>, Vec<String>);

    /// Lists objects with texts of these lengths, in order of their names.
    async fn list(sizes: Vec<usize>) -> Listed {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let service = service_fn(move |request: hyper::Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let number = |name: &str| {
                let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                value.map(|value| value.parse::<usize>().unwrap())
            };
            assert_eq!(number("resourceVersion"), None, "{query}");
            let (limit, first) = (number("limit").unwrap(), number("continue").unwrap_or(0));
            seen.lock().unwrap().push((limit, first));
            let end = (first + limit).min(sizes.len());
            let object = |place: usize| {
                let text = "x".repeat(sizes[place]);
                json!({ "metadata": { "name": format!("{place:05}") }, "data": { "text": text } })
            };
            let items: Vec<_> = (first..end).map(object).collect();
            let token = (end < sizes.len()).then(|| end.to_string());
            let page = json!({
                "apiVersion": "v1", "kind": "ConfigMapList",
                "metadata": { "resourceVersion": "7", "continue": token }, "items": items,
            });
            async move { Ok::<_, Infallible>(hyper::Response::new(Body::from(page.to_string().into_bytes()))) }
        });
        let mut pages = Pages::new(&Api::<ConfigMap>::all(Client::new(service, "voice")));
        let mut names = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            names.extend(page.items.iter().map(ResourceExt::name_any));
        }
        let requests = requests.lock().unwrap().clone();
        (requests, names)
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|place| format!("{place:05}")).collect()
    }

    #[tokio::test]
    async fn large_objects_behind_small_ones_are_listed_in_smaller_pages() {
        let sizes = [vec![100; 600], vec![1_300_000; 20]].concat();
        let (requests, listed) = list(sizes).await;
        assert_eq!(listed, names(620));
        assert_eq!(requests[0], (50, 0), "the first page is small");
        let cut: Vec<_> = requests.windows(2).filter(|pair| pair[0].1 == pair[1].1).collect();
        assert!(!cut.is_empty(), "a page is cut off, and its token asked for again");
        assert!(cut.iter().all(|pair| pair[1].0 == pair[0].0 / 4), "{requests:?}");
        assert!(requests.len() < 40, "{}", requests.len());
    }

    #[tokio::test]
    async fn small_objects_are_listed_in_large_pages() {
        let (requests, listed) = list(vec![100; 2000]).await;
        assert_eq!(listed, names(2000));
        assert_eq!(requests.len(), 5, "{requests:?}");
    }
}
