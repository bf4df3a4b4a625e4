//! Proxies between an operator and the API server or Redis: they forward everything, count every side effect, and inject a
//! fault where a test arms one.
//!
//! Another one stands between an API server and its etcd, and makes the API server's view stale; and one forgets idle
//! connections.
//!
//! A proxy is no mock: behind it are the real API server and the real Redis, and the operator is the real process.

mod etcd;
mod events;
mod forgetful_nat;
mod injector;
mod kube;
mod paths;
mod redis;
mod resp;
mod sentinel;

pub use etcd::EtcdProxy;
pub use forgetful_nat::ForgetfulNat;
pub use injector::{Fault, FaultInjector};
pub use kube::{ErrorResponse, KubeProxy};
pub use paths::PathFault;
pub use redis::RedisProxy;
pub use sentinel::{SentinelProxy, Translation};
