//! runtime-operator keeps the Redis keys that a voice runtime reads on every call exactly equal to
//! `RuntimeTenant` resources.
//!
//! Data flows one way: watch -> index (claims) -> plan (compile) -> publish -> status, events.
//!
//! | room | responsibility |
//! | --- | --- |
//! | [`cli`] | the command line: one file or folder for each subcommand |
//! | [`settings`] | flags and environment, typed and checked at start |
//! | [`api`] | the resource: spec, status, conditions. No logic |
//! | [`contract`] | E.164, keys, the tenant's config, the report. Pure |
//! | [`domain`] | the decisions: index, claims, compile, plan, status. Pure: no client, no clock |
//! | [`store`] | Redis: connection, scripts, publish, lookup |
//! | [`controller`] | the reconcile loop: watches, queues, reconcile, Secrets, status, events |
//! | [`leader`] | the one writer: the Lease, and the epoch that fences other writers in Redis |
//! | [`http`] | HTTP: the accept loop and its limits, for the two below |
//! | [`probes`] | HTTP: liveness, readiness and metrics |
//! | [`admin`] | HTTP: the admin routes |
//! | [`telemetry`] | metrics, logs and traces |

pub mod admin;
pub mod api;
pub mod cli;
pub mod contract;
pub mod controller;
pub mod domain;
pub mod http;
pub mod leader;
pub mod probes;
pub mod settings;
pub mod store;
pub mod telemetry;
