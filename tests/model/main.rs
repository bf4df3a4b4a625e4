//! A model of claims, publishing, fencing, deletion and audit. The model checker stateright explores every order in which
//! things can happen, up to a budget of faults, and checks the promises in each state.
//!
//! Modelled: the API server with two resources, which users edit, delete and create again under a new uid; the Lease;
//! Redis, with the rules of the scripts in Rust (`redis.rs`; `agree.rs` compares them with the real scripts); one or two
//! replicas that see resources late, lead, crash, are frozen (any of their actions may come arbitrarily late) and are
//! superseded at any point; late scripts and lost replies; another client that deletes and reroutes keys or flushes Redis,
//! with or without a signal; the operator of another cluster on the same Redis, which holds a DID, and restores it at any time
//! after a flush, from which a DID is taken over, and which takes it back; an older publisher's config; `suspend`; Secrets that can't
//! be read for a while. There are two DIDs, one or both of which two resources claim. A
//! Lease that was marked and taken over by another replica is, for the one before, one that expired while it was frozen.
//!
//! The decisions are the product's own. Each replica holds the product's `domain::index` and feeds it with the same calls as
//! `controller`: what its watch shows, what it reads in Redis, what its scripts did. The effects that the index returns feed
//! the replica's queues of reconciles and statuses, and its snapshots feed `domain::plan`, with `domain::compile` below it.
//! What `controller` and `leader` do around that, with their I/O, is in `replica.rs`. Two states are the same when the facts
//! in their indexes are (`index.rs`), not the counters and times.
//!
//! Not modelled: time (a grace period is "the watch has caught up", backoff is "something has changed", drift is never so
//! frequent that repairs are deferred, the interval of audits ends when signals were lost, and holders have restored what they
//! held before the wait after a loss is over), the values of Secrets and their rotation, `Retain`,
//! the polls for what is released elsewhere, conflicts about a tenant id other than with a resource that was created again, a
//! failover of Redis that loses some writes, the time of the last publish in a status, and lost writes to the API server (a
//! status that is not written is written later).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

mod agree;
mod bugs;
mod events;
mod flight;
mod holds;
mod index;
mod objects;
mod plans;
mod reading;
mod redis;
mod replica;
mod role;
mod scenario;
mod shared;
mod truth;
mod values;
mod world;
