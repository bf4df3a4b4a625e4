//! Toxiproxy, a TCP proxy that injects network faults (<https://github.com/Shopify/toxiproxy#http-api>). TLS passes through it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Error, Folder, Launch, Port, Process, Result, tools};

/// The timeout of a request to the proxy, which waits up to 5 s for data that it still has to forward.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A Toxiproxy server with any number of edges.
pub struct Toxiproxy {
    _process: Process,
    api: Port,
    _folder: Folder,
}

/// A connection path between clients and a server, into which faults can be injected. It ends with its [`Toxiproxy`].
pub struct Edge {
    api: String,
    name: String,
    port: Port,
}

/// The direction of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    There,
    /// From the server to the client.
    Back,
}

/// A fault in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toxic {
    /// Data is delayed by this time, in order and without loss.
    Latency(Duration),
    /// Data is lost, while the connection stays half-open. Connections end when the edge is healed.
    Silence,
    /// The connection is reset as soon as there is data.
    Reset,
    /// The connection ends after this many bytes, in the middle of a message.
    Limit(u32),
    /// Data arrives in pieces of about this many bytes, a millisecond apart.
    Slices(u32),
    /// The end of a connection is delayed by this time.
    SlowClose(Duration),
}

impl Toxic {
    fn kind(self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Silence => "timeout",
            Self::Reset => "reset_peer",
            Self::Limit(_) => "limit_data",
            Self::Slices(_) => "slicer",
            Self::SlowClose(_) => "slow_close",
        }
    }

    fn attributes(self) -> Value {
        match self {
            Self::Latency(by) => json!({ "latency": millis(by) }),
            Self::Silence | Self::Reset => json!({ "timeout": 0 }),
            Self::Limit(bytes) => json!({ "bytes": bytes }),
            Self::Slices(bytes) => {
                json!({ "average_size": bytes, "size_variation": bytes / 2, "delay": 1000 })
            }
            Self::SlowClose(by) => json!({ "delay": millis(by) }),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Toxiproxy {
    /// Starts a server without edges.
    pub async fn start() -> Result<Self> {
        let folder = Folder::new("toxiproxy")?;
        let api = Port::reserve()?;
        let (port, address) = (api.number().to_string(), api.address());
        let launch = Launch::new("toxiproxy", tools::find("toxiproxy-server")?, folder.file("toxiproxy.log"))
            .args(["-host", "127.0.0.1", "-port", &port])
            .env("LOG_LEVEL", "warn")
            .ready(move || ready(address.clone()));
        Ok(Self { _process: Process::start(launch).await?, api, _folder: folder })
    }

    /// Adds an edge to a server: `to` is `host:port`. The name is for messages, and must be unique.
    pub async fn edge(&self, name: &str, to: &str) -> Result<Edge> {
        let edge = Edge { api: self.api.address(), name: name.into(), port: Port::reserve()? };
        let proxy = json!({ "name": name, "listen": edge.address(), "upstream": to, "enabled": true });
        edge.ask("POST", "/proxies", Some(&proxy)).await?;
        Ok(edge)
    }
}

impl Edge {
    /// Returns `127.0.0.1:<port>`, to which clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Returns the port of that address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Closes every connection, and refuses new ones.
    pub async fn cut(&self) -> Result<()> {
        self.ask("POST", &self.path(""), Some(&json!({ "enabled": false }))).await?;
        Ok(())
    }

    /// Injects a fault into all connections, old and new, until [`Edge::heal`].
    pub async fn add(&self, toxic: Toxic, way: Way) -> Result<()> {
        let stream = match way {
            Way::There => "upstream",
            Way::Back => "downstream",
        };
        let toxic = json!({ "type": toxic.kind(), "stream": stream, "attributes": toxic.attributes() });
        self.ask("POST", &self.path("/toxics"), Some(&toxic)).await?;
        Ok(())
    }

    /// Removes all faults: delayed data arrives, and connections are accepted.
    pub async fn heal(&self) -> Result<()> {
        let toxics = self.ask("GET", &self.path("/toxics"), None).await?;
        for toxic in toxics.as_array().into_iter().flatten() {
            let name = toxic["name"].as_str().unwrap_or_default();
            self.ask("DELETE", &self.path(&format!("/toxics/{name}")), None).await?;
        }
        self.ask("POST", &self.path(""), Some(&json!({ "enabled": true }))).await?;
        Ok(())
    }

    fn path(&self, rest: &str) -> String {
        format!("/proxies/{}{rest}", self.name)
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let asked = timeout(TIMEOUT, http(&self.api, method, path, body)).await;
        let failed = |why: String| Error::Toxiproxy { what: format!("{method} {path}"), why };
        let (status, text) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no response within {TIMEOUT:?}"))),
        };
        if !(200..300).contains(&status) {
            return Err(failed(format!("{status} {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Sends a request on a connection of its own, with HTTP/1.0, so that the response ends with the connection. Returns status
/// and body.
async fn http(
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> std::io::Result<(u16, String)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("not HTTP: {head}")))?;
    Ok((status, text.to_owned()))
}

async fn ready(address: String) -> Result<(), String> {
    match http(&address, "GET", "/version", None).await {
        Ok((200, _)) => Ok(()),
        Ok((status, text)) => Err(format!("{status} {text}")),
        Err(error) => Err(error.to_string()),
    }
}
