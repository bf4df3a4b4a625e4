//! Gates between an operator and what it writes to: they let everything through until a test arms a fault, number every
//! side effect, and note who was written to.
//!
//! Another one stands between an API server and its etcd, and lets its view grow old.
//!
//! A gate is no mock: behind it are the real API server and the real Redis, and the operator is the real process.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod etcd;
mod events;
mod fuse;
mod kube;
mod redis;
mod resp;

pub use etcd::EtcdGate;
pub use fuse::{Fault, Fuse};
pub use kube::{KubeGate, Refusal};
pub use redis::RedisGate;
