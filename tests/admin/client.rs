//! A client of the admin routes. Checks every response against the served description: an undocumented status or code
//! fails the test.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use runtime_operator::admin::endpoint::{Endpoint, Target};
use runtime_operator::admin::openapi;
use serde_json::{Value, json};
use test_support::{Operator, OperatorBuilder, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PREFIX: &str = "/api/admin/runtime";
pub const KOKORO: &str = include_str!("../fixtures/tenant-kokoro.json");

/// An operator whose admin routes serve every client.
pub fn open(world: &World) -> OperatorBuilder<'_> {
    world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUNTIME_ADMIN_AUTH", "none")
}

/// A config that the runtime accepts.
pub fn config(tenant: &str, dids: &[&str]) -> Value {
    let mut config: Value = serde_json::from_str(KOKORO).unwrap();
    config["tenantId"] = json!(tenant);
    config["dids"] = json!(dids);
    config["webhookSecret"] = json!(format!("whsec-of-{tenant}"));
    config
}

#[derive(Clone)]
pub struct Admin {
    url: String,
    token: Option<String>,
    http: reqwest::Client,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Admin {
    pub fn of(operator: &Operator) -> Self {
        Self::at(operator.admin_url())
    }

    /// `http://127.0.0.1:<port>`.
    pub fn at(url: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        Self { url, token: None, http }
    }

    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// A request for a path after [`PREFIX`], to be sent by [`Self::send`].
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{PREFIX}{path}", self.url));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        send(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        send(self.request("POST", path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Response {
        send(self.request("PUT", path).json(&body)).await
    }

    /// A body that may not be JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        send(self.request("POST", path).header("content-type", "application/json").body(body)).await
    }

    pub async fn map(&self, did: &str, tenant: &str) -> Response {
        self.post("/dids/map", json!({ "didE164": did, "tenantId": tenant })).await
    }

    pub async fn unmap(&self, did: &str) -> Response {
        self.post("/dids/unmap", json!({ "didE164": did })).await
    }

    pub async fn publish(&self, config: &Value) -> Response {
        let tenant = config["tenantId"].as_str().unwrap();
        self.post(&format!("/tenants/{tenant}/config"), config.clone()).await
    }
}

pub async fn send(request: RequestBuilder) -> Response {
    let request = request.build().unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
    let target = Target::resolve(request.method().as_str(), request.url().path());
    let response = client.execute(request).await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let response = Response { status, headers, text: response.text().await.unwrap() };
    if let Ok(target) = target {
        response.is_described(target.endpoint);
    }
    response
}

impl Response {
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body()
    }

    /// Asserts an error response with this status and code.
    #[track_caller]
    pub fn rejected(&self, status: u16, code: &str) -> Value {
        let body = self.body();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(code)), "{self:?}");
        body
    }

    #[track_caller]
    fn is_described(&self, endpoint: Endpoint) {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
        if self.text.is_empty() || self.status == 200 {
            return;
        }
        let code = self.body()["error"].as_str().unwrap().to_owned();
        let described = openapi::codes(endpoint);
        let described = described.iter().any(|known| known.status() == self.status && known.as_str() == code);
        let unhealthy = endpoint == Endpoint::Health && self.body()["ok"] == json!(false);
        assert!(described || unhealthy, "{endpoint:?}: undocumented response: {self:?}");
    }
}

/// Sends raw bytes, and returns everything received until the server closes the connection.
pub async fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_all(&mut stream).await
}

/// Everything received until the connection is closed or reset.
pub async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            text.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::time::timeout(Duration::from_secs(90), read).await.expect("the server closes the connection");
    String::from_utf8(text).unwrap()
}
