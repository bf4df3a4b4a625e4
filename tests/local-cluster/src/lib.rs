//! etcd, kube-apiserver, kube-controller-manager, Redis and Toxiproxy on loopback, each on ports and in a folder of its own,
//! for the demo, the tests and the benches.
//!
//! A started process lives as long as its value, and never longer than the process that started it: the kernel kills children
//! when their parent ends (see [`process`]), and folders are removed (see [`folder`]). Several clusters run side by side, in
//! one process or in many (see [`ports`]).
//!
//! ```no_run
//! # async fn f() -> Result<(), local_cluster::Error> {
//! use local_cluster::{Cluster, Redis, RedisOptions};
//!
//! let cluster = Cluster::start().await?;
//! let redis = Redis::start(RedisOptions::default().password("hunter2")).await?;
//! println!("KUBECONFIG={} REDIS_URL={}", cluster.kubeconfig().display(), redis.url());
//! cluster.api_server().freeze().await?;
//! redis.restart().await?;
//! # Ok(()) }
//! ```
//!
//! No value here is bound to the tokio runtime that created it, so that a `static` cluster serves tests that each have their
//! own runtime. Clients and connections are bound, so that each test creates new ones.

mod api_server;
mod apply;
mod cluster;
mod error;
pub mod folder;
mod kubeconfig;
mod options;
mod pki;
pub mod ports;
pub mod process;
mod redis;
mod sentinel;
pub mod tools;
mod toxiproxy;

pub use api_server::ApiServer;
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use folder::Folder;
pub use options::ClusterOptions;
pub use pki::TlsFiles;
pub use ports::Port;
pub use process::{Launch, Process, Stopped};
pub use redis::{Redis, RedisOptions};
pub use sentinel::{SentinelOptions, Sentinels};
pub use toxiproxy::{Edge, Toxic, Toxiproxy, Way};
