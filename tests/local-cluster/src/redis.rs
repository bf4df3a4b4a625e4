//! One Redis server.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ClientTlsConfig, TlsCertificates};

use crate::error::Context;
use crate::pki::Authority;
use crate::{Folder, Launch, Port, Process, Result, TlsFiles, tools};

/// Options of a Redis server. The default is without password and TLS, and its data survives a kill.
#[derive(Clone, Default)]
pub struct RedisOptions {
    password: Option<String>,
    users: Vec<String>,
    tls: Option<Tls>,
    primary: Option<Primary>,
    in_memory: bool,
    settings: Vec<(String, String)>,
}

/// TLS on the server's port.
#[derive(Clone, Default)]
struct Tls {
    client_certificates: bool,
    /// A replica uses its primary's authority; others create their own.
    authority: Option<Arc<Authority>>,
}

#[derive(Clone)]
struct Primary {
    port: u16,
    password: Option<String>,
}

impl RedisOptions {
    /// Sets the default user's password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds an ACL user and its rules, as in `user("operator", ">secret ~tenant* +@all")`.
    #[must_use]
    pub fn user(mut self, name: &str, rules: &str) -> Self {
        self.users.push(format!("{name} on {rules}"));
        self
    }

    /// Accepts TLS only, with a certificate for 127.0.0.1 and localhost signed by an authority of its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls.get_or_insert_default();
        self
    }

    /// Accepts TLS only, and requires client certificates of that authority.
    #[must_use]
    pub fn client_certificates(mut self) -> Self {
        self.tls.get_or_insert_default().client_certificates = true;
        self
    }

    /// Makes it a replica of another server, with the same password and TLS.
    #[must_use]
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.password.clone_from(&primary.password);
        self.primary = Some(Primary { port: primary.port.number(), password: primary.password.clone() });
        self.tls = primary.tls.as_ref().map(|tls| tls.options.clone());
        self
    }

    /// Connects to the primary at another port than the primary's own, such as an [`Edge`](crate::Edge)'s.
    #[must_use]
    pub fn through(mut self, port: u16) -> Self {
        if let Some(primary) = &mut self.primary {
            primary.port = port;
        }
        self
    }

    pub(crate) fn no_password(mut self) -> Self {
        self.password = None;
        self
    }

    /// Sets `maxmemory`, as in `64mb`; eviction is another setting.
    #[must_use]
    pub fn max_memory(self, size: &str) -> Self {
        self.set("maxmemory", size)
    }

    /// Writes nothing to disk: the server is faster, and empty after a restart.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Adds a line to redis.conf.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Returns the lines of redis.conf for a server and for a Sentinel.
    fn common(&self, folder: &Folder, port: &Port, tls: Option<&TlsFiles>) -> Vec<String> {
        let mut lines = vec!["bind 127.0.0.1".into(), format!("dir {}", folder.path().display())];
        match (&self.tls, tls) {
            (Some(options), Some(files)) => lines.extend([
                "port 0".into(),
                format!("tls-port {}", port.number()),
                format!("tls-cert-file {}", files.cert.display()),
                format!("tls-key-file {}", files.key.display()),
                format!("tls-ca-cert-file {}", files.ca.display()),
                format!("tls-auth-clients {}", if options.client_certificates { "yes" } else { "no" }),
                "tls-replication yes".into(),
            ]),
            _ => lines.push(format!("port {}", port.number())),
        }
        lines.extend(self.password.iter().map(|password| format!("requirepass {password}")));
        lines.extend(self.users.iter().map(|user| format!("user {user}")));
        lines.extend(self.settings.iter().map(|(name, value)| format!("{name} {value}")));
        lines
    }

    fn server(&self) -> Vec<String> {
        let mut lines = vec!["save \"\"".into(), "enable-debug-command local".into()];
        if !self.in_memory {
            // Every write reaches the kernel before the reply; only a lost machine would lose it.
            lines.extend(["appendonly yes".into(), "appendfsync no".into()]);
        }
        if let Some(primary) = &self.primary {
            lines.push(format!("replicaof 127.0.0.1 {}", primary.port));
            lines.push("repl-diskless-sync-delay 0".into());
            lines.extend(primary.password.iter().map(|password| format!("masterauth {password}")));
        } else if let Some(password) = &self.password {
            // After a failover this server is the replica.
            lines.push(format!("masterauth {password}"));
        }
        lines
    }
}

/// A Redis server; it has the methods of its process.
pub struct Redis {
    process: Process,
    port: Port,
    password: Option<String>,
    tls: Option<ServerTls>,
    folder: Folder,
}

struct ServerTls {
    /// The options with the authority, which a replica uses too.
    options: Tls,
    files: TlsFiles,
    client: TlsFiles,
}

impl Redis {
    /// Starts a server; on return it replies.
    pub async fn start(options: RedisOptions) -> Result<Self> {
        let lines = options.server();
        Self::launch("redis", &[], &options, lines).await
    }

    /// Starts a Sentinel, which is a Redis server too.
    pub(crate) async fn sentinel(options: &RedisOptions, lines: Vec<String>) -> Result<Self> {
        Self::launch("sentinel", &["--sentinel"], options, lines).await
    }

    async fn launch(name: &str, args: &[&str], options: &RedisOptions, lines: Vec<String>) -> Result<Self> {
        let folder = Folder::new(name)?;
        let port = Port::reserve()?;
        let tls = options.tls.clone().map(|tls| ServerTls::new(tls, &folder)).transpose()?;
        let mut config = options.common(&folder, &port, tls.as_ref().map(|tls| &tls.files));
        config.extend(lines);
        let path = folder.write("redis.conf", &(config.join("\n") + "\n"))?;

        let password = options.password.clone();
        let client = client(&url(&port, password.as_deref(), tls.is_some()), tls.as_ref())?;
        let launch = Launch::new(name, tools::find("redis-server")?, folder.file("redis.log"))
            .args([path])
            .args(args.iter().copied())
            .ready(move || answers(client.clone()));
        Ok(Self { process: Process::start(launch).await?, port, password, tls, folder })
    }

    /// Returns a URL `redis://` or `rediss://`, with the default user's password, database 0.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.port, self.password.as_deref(), self.tls.is_some())
    }

    /// Returns the URL without a password, for clients that read it elsewhere.
    #[must_use]
    pub fn bare_url(&self) -> String {
        url(&self.port, None, self.tls.is_some())
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The default user's password.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the files of a TLS client: the authority, and a certificate of its own.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref().map(|tls| &tls.client)
    }

    /// Replaces its certificate for new connections, signed by a new authority or by the same one. The files of [`Redis::tls`]
    /// change too.
    pub async fn renew_certificate(&self, new_authority: bool) -> Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let mut connection = self.connection().await?;
        let authority = match (&tls.options.authority, new_authority) {
            (Some(authority), false) => Arc::clone(authority),
            _ => Arc::new(Authority::new("redis renewed")?),
        };
        let files = authority.server(&self.folder, "server", &[])?;
        authority.client(&self.folder, "client", None)?;
        let mut config = redis::cmd("CONFIG");
        config.arg("SET");
        for (name, file) in
            [("tls-cert-file", files.cert), ("tls-key-file", files.key), ("tls-ca-cert-file", files.ca)]
        {
            config.arg(name).arg(file.display().to_string());
        }
        Ok(config.exec_async(&mut connection).await?)
    }

    /// Returns a client as the default user.
    pub fn client(&self) -> Result<Client> {
        client(&self.url(), self.tls.as_ref())
    }

    /// Returns a connection as the default user, bound to the calling runtime. Its timeout is 10 s.
    pub async fn connection(&self) -> Result<MultiplexedConnection> {
        connect(&self.client()?, Duration::from_secs(10)).await
    }
}

impl Deref for Redis {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl ServerTls {
    fn new(mut options: Tls, folder: &Folder) -> Result<Self> {
        let authority = match options.authority.take() {
            Some(authority) => authority,
            None => Arc::new(Authority::new("redis")?),
        };
        let files = authority.server(folder, "server", &[])?;
        let client = authority.client(folder, "client", None)?;
        options.authority = Some(authority);
        Ok(Self { options, files, client })
    }
}

fn url(port: &Port, password: Option<&str>, tls: bool) -> String {
    let scheme = if tls { "rediss" } else { "redis" };
    let user = password.map(|password| format!(":{}@", percent_encoded(password))).unwrap_or_default();
    format!("{scheme}://{user}{}/0", port.address())
}

/// Encodes text for a URL: characters that are not unreserved become %XX (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

fn client(url: &str, tls: Option<&ServerTls>) -> Result<Client> {
    let Some(ServerTls { client: files, .. }) = tls else { return Ok(Client::open(url)?) };
    let read = |path: &std::path::Path| std::fs::read(path).context(|| format!("read {}", path.display()));
    let own = ClientTlsConfig { client_cert: read(&files.cert)?, client_key: read(&files.key)? };
    let certificates = TlsCertificates { client_tls: Some(own), root_cert: Some(read(&files.ca)?) };
    Ok(Client::build_with_tls(url, certificates)?)
}

async fn connect(client: &Client, timeout: Duration) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Waits until the server replies; while it loads its data it replies with an error.
async fn answers(client: Client) -> Result<(), String> {
    let ask = async {
        let mut connection = connect(&client, Duration::from_secs(2)).await?;
        Result::<_>::Ok(redis::cmd("PING").query_async::<String>(&mut connection).await?)
    };
    ask.await.map(drop).map_err(|error| error.to_string())
}
