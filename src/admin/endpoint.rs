//! Resolves a request's method and path to a route. Pure.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::contract::routes::{
    ADMIN_PREFIX, HEALTH, INSPECT, LOOK_UP_DID, MAP_DID, Method, PUBLISH_CONFIG, READ_CONFIG,
    READ_QUICK_REPLIES, Route, UNMAP_DID, WRITE_QUICK_REPLIES,
};
use crate::contract::{Did, trim};

/// Replaces [`ADMIN_PREFIX`] in the path of an access review: a default role of every cluster lets every `ServiceAccount`
/// `get` every path under `/api/`.
pub const ACCESS_PREFIX: &str = "/runtime-operator/admin";
/// The path of the access review for reading webhook secrets.
pub const ACCESS_SECRETS: &str = "/runtime-operator/secrets";

/// The path of the OpenAPI description, after [`ADMIN_PREFIX`].
const OPENAPI_PATH: &str = "/openapi.json";

/// One of the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Stores a config.
    PublishConfig,
    /// Reads a config.
    ReadConfig,
    /// Reads a config's quick replies.
    ReadQuickReplies,
    /// Replaces a config's quick replies.
    WriteQuickReplies,
    /// Maps a DID to a tenant id.
    MapDid,
    /// Removes the mapping of a DID.
    UnmapDid,
    /// Returns the tenant id that a DID is mapped to.
    LookUpDid,
    /// Reports whether Redis replies.
    Health,
    /// Reports what Redis holds for some numbers and tenants.
    Inspect,
    /// Describes the routes.
    OpenApi,
}

impl Endpoint {
    /// Every route, in the contract's order.
    pub const ALL: [Self; 10] = [
        Self::PublishConfig,
        Self::ReadConfig,
        Self::ReadQuickReplies,
        Self::WriteQuickReplies,
        Self::MapDid,
        Self::UnmapDid,
        Self::LookUpDid,
        Self::Health,
        Self::Inspect,
        Self::OpenApi,
    ];

    /// The route's row; `None` for the description.
    #[must_use]
    pub const fn route(self) -> Option<&'static Route> {
        Some(match self {
            Self::PublishConfig => &PUBLISH_CONFIG,
            Self::ReadConfig => &READ_CONFIG,
            Self::ReadQuickReplies => &READ_QUICK_REPLIES,
            Self::WriteQuickReplies => &WRITE_QUICK_REPLIES,
            Self::MapDid => &MAP_DID,
            Self::UnmapDid => &UNMAP_DID,
            Self::LookUpDid => &LOOK_UP_DID,
            Self::Health => &HEALTH,
            Self::Inspect => &INSPECT,
            Self::OpenApi => return None,
        })
    }

    /// The route's method. `HEAD` is accepted in place of `GET`.
    #[must_use]
    pub fn method(self) -> Method {
        self.route().map_or(Method::Get, |route| route.method)
    }

    /// The route's path after [`ADMIN_PREFIX`]. A segment that begins with `:` stands for any text.
    #[must_use]
    pub fn template(self) -> &'static str {
        self.route().map_or(OPENAPI_PATH, |route| route.path)
    }

    /// The verb of an access review for the route: its method in lower case.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self.method() {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
        }
    }

    /// Returns true if the response may contain a webhook secret.
    #[must_use]
    pub fn shows_config(self) -> bool {
        matches!(self, Self::ReadConfig | Self::PublishConfig)
    }

    /// Returns true if the path names a tenant.
    #[must_use]
    pub fn names_tenant(self) -> bool {
        self.template().contains(":tenantId")
    }

    /// Returns true if the route changes Redis.
    #[must_use]
    pub fn writes(self) -> bool {
        self.method() != Method::Get
    }
}

/// The resolved method and path of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub endpoint: Endpoint,
    /// The text in place of the template's `:segment`, decoded. `None` if it is not percent-encoded UTF-8; empty for a
    /// template without such a segment.
    pub argument: Option<String>,
}

/// The reason why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No route has the path.
    NotFound,
    /// The routes of the path have other methods, listed for the `Allow` header.
    MethodNotAllowed(String),
}

impl Target {
    /// Finds the route of a method and an undecoded path. One slash at the end of the path is ignored.
    pub fn resolve(method: &str, path: &str) -> Result<Self, NoRoute> {
        let path = path.strip_prefix(ADMIN_PREFIX).ok_or(NoRoute::NotFound)?;
        let path = match path.strip_suffix('/') {
            Some(shorter) if matches(path).next().is_none() => shorter,
            _ => path,
        };
        let accepts = |endpoint: Endpoint| {
            endpoint.method().as_str() == method || (method == "HEAD" && endpoint.method() == Method::Get)
        };
        match matches(path).find(|(endpoint, _)| accepts(*endpoint)) {
            Some((endpoint, segment)) => Ok(Self {
                endpoint,
                argument: percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned),
            }),
            None if matches(path).next().is_none() => Err(NoRoute::NotFound),
            None => Err(NoRoute::MethodNotAllowed(allow(path))),
        }
    }

    /// The path of the caller's access review: the same for every spelling of a request, and with the argument as one
    /// segment.
    #[must_use]
    pub fn access_path(&self) -> String {
        let argument = self.argument.as_deref().unwrap_or_default();
        let argument = match self.endpoint {
            // A text that is no DID keeps its white space: without it, it could equal the name of another route.
            Endpoint::LookUpDid => {
                Did::parse(argument).map_or(argument.to_owned(), |did| did.as_str().to_owned())
            }
            _ => trim(argument).to_owned(),
        };
        let mut path = ACCESS_PREFIX.to_owned();
        for segment in self.endpoint.template().split('/').skip(1) {
            path.push('/');
            if segment.starts_with(':') {
                path.extend(utf8_percent_encode(&argument, SEGMENT));
            } else {
                path.push_str(segment);
            }
        }
        path
    }
}

/// The characters that are not encoded in a segment: unreserved ones (RFC 3986, 2.3), and the plus sign of a DID.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+');

/// The routes of a path, each with the text of its `:segment`. A template without a `:segment` takes precedence, as defined
/// by OpenAPI: `map` is no DID.
fn matches(path: &str) -> impl Iterator<Item = (Endpoint, &str)> {
    let fixed = |endpoint: &Endpoint| !endpoint.template().contains(':');
    let named =
        Endpoint::ALL.iter().any(|endpoint| fixed(endpoint) && fit(endpoint.template(), path).is_some());
    let candidates = Endpoint::ALL.into_iter().filter(move |endpoint| !named || fixed(endpoint));
    candidates.filter_map(move |endpoint| Some((endpoint, fit(endpoint.template(), path)?)))
}

fn fit<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let (mut names, mut segments, mut argument) = (template.split('/'), path.split('/'), "");
    loop {
        match (names.next(), segments.next()) {
            (None, None) => return Some(argument),
            (Some(name), Some(segment)) if name.starts_with(':') => argument = segment,
            // Encoded and plain letters are equivalent (RFC 3986, 6.2.2.2).
            (Some(name), Some(segment))
                if name == segment || percent_decode_str(segment).eq(name.bytes()) => {}
            _ => return None,
        }
    }
}

fn allow(path: &str) -> String {
    let accepts = |method: Method| matches(path).any(|(endpoint, _)| endpoint.method() == method);
    let methods = [(Method::Get, "GET, HEAD"), (Method::Post, "POST"), (Method::Put, "PUT")];
    let names = methods.into_iter().filter(|(method, _)| accepts(*method)).map(|(_, name)| name);
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(method: &str, path: &str) -> Result<(Endpoint, Option<String>), NoRoute> {
        let target = Target::resolve(method, &format!("{ADMIN_PREFIX}{path}"))?;
        Ok((target.endpoint, target.argument))
    }

    fn found(endpoint: Endpoint, argument: &str) -> (Endpoint, Option<String>) {
        (endpoint, Some(argument.to_owned()))
    }

    #[test]
    fn each_route_is_found_by_its_own_template() {
        for endpoint in Endpoint::ALL {
            let path = endpoint.template().replace(":tenantId", "acme").replace(":didE164", "+15551234567");
            assert_eq!(resolve(endpoint.method().as_str(), &path).unwrap().0, endpoint);
        }
    }

    #[test]
    fn a_plus_sign_arrives_encoded_or_bare_and_never_means_a_space() {
        for path in ["/dids/+15551234567", "/dids/%2B15551234567", "/dids/%2b15551234567/"] {
            assert_eq!(resolve("GET", path).unwrap(), found(Endpoint::LookUpDid, "+15551234567"), "{path}");
        }
        assert_eq!(resolve("GET", "/dids/+1%20555").unwrap(), found(Endpoint::LookUpDid, "+1 555"));
    }

    #[test]
    fn an_encoded_slash_does_not_separate_segments() {
        assert_eq!(resolve("GET", "/tenants/a%2Fb/config").unwrap(), found(Endpoint::ReadConfig, "a/b"));
        assert_eq!(resolve("GET", "/tenants/a/b/config"), Err(NoRoute::NotFound));
    }

    #[test]
    fn an_empty_or_undecodable_argument_still_has_its_route() {
        assert_eq!(resolve("GET", "/dids/").unwrap(), found(Endpoint::LookUpDid, ""));
        assert_eq!(resolve("GET", "/tenants//config").unwrap(), found(Endpoint::ReadConfig, ""));
        assert_eq!(resolve("GET", "/tenants/%ff/config"), Ok((Endpoint::ReadConfig, None)));
        for path in ["", "/", "/dids", "/tenants/acme", "/health/x", "x/health", "//health"] {
            assert_eq!(resolve("GET", path), Err(NoRoute::NotFound), "{path:?}");
        }
        assert_eq!(Target::resolve("GET", "/health"), Err(NoRoute::NotFound));
    }

    #[test]
    fn a_wrong_method_lists_the_allowed_ones() {
        let allow = |path, method| match resolve(method, path) {
            Err(NoRoute::MethodNotAllowed(allow)) => allow,
            other => panic!("{other:?}"),
        };
        assert_eq!(allow("/tenants/acme/config", "DELETE"), "GET, HEAD, POST");
        assert_eq!(allow("/dids/+15551234567", "POST"), "GET, HEAD");
        assert_eq!(allow("/dids/map", "PUT"), "POST");
        assert_eq!(allow("/tenants/acme/quick-replies", "POST"), "GET, HEAD, PUT");
        assert_eq!(allow("/dids/unmap/", "GET"), "POST");
        assert_eq!(allow("/dids/%6Dap", "GET"), "POST");
        assert_eq!(resolve("HEAD", "/health").unwrap().0, Endpoint::Health);
    }

    #[test]
    fn every_spelling_of_a_path_has_one_access_path() {
        let access =
            |path: &str| Target::resolve("GET", &format!("{ADMIN_PREFIX}{path}")).unwrap().access_path();
        for path in ["/dids/+15551234567", "/dids/%2B1%20555%20123%204567", "/dids/%2b15551234567/"] {
            assert_eq!(access(path), "/runtime-operator/admin/dids/+15551234567");
        }
        assert_eq!(access("/tenants/%20acme/config"), "/runtime-operator/admin/tenants/acme/config");
        // A role for `…/tenants/acme/*` must not include a tenant whose id begins with `acme/`.
        assert_eq!(access("/tenants/acme%2Fx/config"), "/runtime-operator/admin/tenants/acme%2Fx/config");
        // A text must not become the name of another route by losing its white space.
        assert_eq!(access("/dids/map%20"), "/runtime-operator/admin/dids/map%20");
        assert_eq!(access("/tenants/%2A/config"), "/runtime-operator/admin/tenants/%2A/config");
    }
}
