//! Which route a request is for, by its method and path. Pure.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::contract::routes::{
    ADMIN_PREFIX, HEALTH, LOOK_UP_DID, MAP_DID, Method, PUBLISH_CONFIG, READ_CONFIG, Route, UNMAP_DID,
};
use crate::contract::{Did, trim};

/// What a path's right is asked for under, in place of [`ADMIN_PREFIX`]: a default role of every cluster lets every
/// `ServiceAccount` `get` what is under `/api/`.
pub const ACCESS_PREFIX: &str = "/runtime-operator/admin";
/// The path on which the right to read webhook secrets is asked for.
pub const ACCESS_SECRETS: &str = "/runtime-operator/secrets";

/// Where the description of the routes is served, after [`ADMIN_PREFIX`].
const OPENAPI_PATH: &str = "/openapi.json";

/// One of the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Stores a config.
    PublishConfig,
    /// Reads a config.
    ReadConfig,
    /// Maps a number.
    MapDid,
    /// Removes a number's mapping.
    UnmapDid,
    /// Says to which tenant a number is mapped.
    LookUpDid,
    /// Says whether Redis answers.
    Health,
    /// Describes the routes.
    OpenApi,
}

impl Endpoint {
    /// Every route, in the contract's order.
    pub const ALL: [Self; 7] = [
        Self::PublishConfig,
        Self::ReadConfig,
        Self::MapDid,
        Self::UnmapDid,
        Self::LookUpDid,
        Self::Health,
        Self::OpenApi,
    ];

    /// The contract's row; none for the description, which the contract does not know.
    #[must_use]
    pub const fn route(self) -> Option<&'static Route> {
        Some(match self {
            Self::PublishConfig => &PUBLISH_CONFIG,
            Self::ReadConfig => &READ_CONFIG,
            Self::MapDid => &MAP_DID,
            Self::UnmapDid => &UNMAP_DID,
            Self::LookUpDid => &LOOK_UP_DID,
            Self::Health => &HEALTH,
            Self::OpenApi => return None,
        })
    }

    /// Its method. `HEAD` is taken wherever `GET` is.
    #[must_use]
    pub fn method(self) -> Method {
        self.route().map_or(Method::Get, |route| route.method)
    }

    /// Its path after [`ADMIN_PREFIX`]; a segment that begins with `:` stands for any text.
    #[must_use]
    pub fn template(self) -> &'static str {
        self.route().map_or(OPENAPI_PATH, |route| route.path)
    }

    /// Whether it changes what is in Redis.
    #[must_use]
    pub fn writes(self) -> bool {
        self.method() == Method::Post
    }
}

/// A request's line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub endpoint: Endpoint,
    /// The text in place of the template's `:segment`, decoded; none where it is not percent-encoded UTF-8. Empty for a
    /// template without one.
    pub argument: Option<String>,
}

/// Why a request's line is for no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No route has this path.
    NotFound,
    /// The path's routes take other methods: the value of `Allow`.
    MethodNotAllowed(String),
}

impl Target {
    /// Finds the route of a method and a path as it stands in the request. One slash at the path's end is let pass.
    pub fn resolve(method: &str, path: &str) -> Result<Self, NoRoute> {
        let path = path.strip_prefix(ADMIN_PREFIX).ok_or(NoRoute::NotFound)?;
        let path = match path.strip_suffix('/') {
            Some(shorter) if matches(path).next().is_none() => shorter,
            _ => path,
        };
        let taken = |endpoint: Endpoint| {
            endpoint.method().as_str() == method || (method == "HEAD" && endpoint.method() == Method::Get)
        };
        match matches(path).find(|(endpoint, _)| taken(*endpoint)) {
            Some((endpoint, segment)) => Ok(Self {
                endpoint,
                argument: percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned),
            }),
            None if matches(path).next().is_none() => Err(NoRoute::NotFound),
            None => Err(NoRoute::MethodNotAllowed(allow(path))),
        }
    }

    /// The path on which the caller's right is asked for: one spelling for all that mean the same, in which an argument
    /// is always one segment.
    #[must_use]
    pub fn access_path(&self) -> String {
        let argument = self.argument.as_deref().unwrap_or_default();
        let argument = match self.endpoint {
            // What is no number stays as it is: without its white space it could be called like another route.
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

/// What stands for itself in a segment: unreserved (RFC 3986, 2.3), and the plus sign of a number.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+');

/// The routes that have this path, each with the text of its `:segment`. One that names the path itself leaves no room
/// for those that would take any text there (as OpenAPI has it): no number is called `map`.
fn matches(path: &str) -> impl Iterator<Item = (Endpoint, &str)> {
    let fixed = |endpoint: &Endpoint| !endpoint.template().contains(':');
    let named =
        Endpoint::ALL.iter().any(|endpoint| fixed(endpoint) && fit(endpoint.template(), path).is_some());
    let candidates = Endpoint::ALL.into_iter().filter(move |endpoint| !named || fixed(endpoint));
    candidates.filter_map(move |endpoint| Some((endpoint, fit(endpoint.template(), path)?)))
}

fn fit<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let (mut wanted, mut given, mut argument) = (template.split('/'), path.split('/'), "");
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(argument),
            (Some(wanted), Some(given)) if wanted.starts_with(':') => argument = given,
            // A letter means the same encoded and bare (RFC 3986, 6.2.2.2).
            (Some(wanted), Some(given))
                if wanted == given || percent_decode_str(given).eq(wanted.bytes()) => {}
            _ => return None,
        }
    }
}

fn allow(path: &str) -> String {
    let takes = |method: Method| matches(path).any(|(endpoint, _)| endpoint.method() == method);
    let methods = [(Method::Get, "GET, HEAD"), (Method::Post, "POST")];
    let names = methods.into_iter().filter(|(method, _)| takes(*method)).map(|(_, name)| name);
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
    fn an_encoded_slash_does_not_part_segments() {
        assert_eq!(resolve("GET", "/tenants/a%2Fb/config").unwrap(), found(Endpoint::ReadConfig, "a/b"));
        assert_eq!(resolve("GET", "/tenants/a/b/config"), Err(NoRoute::NotFound));
    }

    #[test]
    fn what_is_empty_or_no_utf8_is_told_apart_from_no_route() {
        assert_eq!(resolve("GET", "/dids/").unwrap(), found(Endpoint::LookUpDid, ""));
        assert_eq!(resolve("GET", "/tenants//config").unwrap(), found(Endpoint::ReadConfig, ""));
        assert_eq!(resolve("GET", "/tenants/%ff/config"), Ok((Endpoint::ReadConfig, None)));
        for path in ["", "/", "/dids", "/tenants/acme", "/health/x", "x/health", "//health"] {
            assert_eq!(resolve("GET", path), Err(NoRoute::NotFound), "{path:?}");
        }
        assert_eq!(Target::resolve("GET", "/health"), Err(NoRoute::NotFound));
    }

    #[test]
    fn another_method_is_answered_with_those_that_there_are() {
        let allow = |path, method| match resolve(method, path) {
            Err(NoRoute::MethodNotAllowed(allow)) => allow,
            other => panic!("{other:?}"),
        };
        assert_eq!(allow("/tenants/acme/config", "DELETE"), "GET, HEAD, POST");
        assert_eq!(allow("/dids/+15551234567", "POST"), "GET, HEAD");
        assert_eq!(allow("/dids/map", "PUT"), "POST");
        assert_eq!(allow("/dids/unmap/", "GET"), "POST");
        assert_eq!(allow("/dids/%6Dap", "GET"), "POST");
        assert_eq!(resolve("HEAD", "/health").unwrap().0, Endpoint::Health);
    }

    #[test]
    fn a_right_is_asked_for_on_one_spelling_of_each_path() {
        let asked =
            |path: &str| Target::resolve("GET", &format!("{ADMIN_PREFIX}{path}")).unwrap().access_path();
        for path in ["/dids/+15551234567", "/dids/%2B1%20555%20123%204567", "/dids/%2b15551234567/"] {
            assert_eq!(asked(path), "/runtime-operator/admin/dids/+15551234567");
        }
        assert_eq!(asked("/tenants/%20acme/config"), "/runtime-operator/admin/tenants/acme/config");
        // A role for `…/tenants/acme/*` is none for a tenant whose id begins with `acme/`.
        assert_eq!(asked("/tenants/acme%2Fx/config"), "/runtime-operator/admin/tenants/acme%2Fx/config");
        // Nor is one for a route that a text without its white space would be called like.
        assert_eq!(asked("/dids/map%20"), "/runtime-operator/admin/dids/map%20");
        assert_eq!(asked("/tenants/%2A/config"), "/runtime-operator/admin/tenants/%2A/config");
    }
}
