//! A model of claims, publish, fence, deletion and audit: every order in which things can happen, up to a budget of
//! mishaps, is gone through by stateright, and in each state it is asked whether the promises hold.
//!
//! What is modelled: the API server with two resources, which users edit, delete and make again under a new uid; the
//! Lease; Redis, with the scripts' rules in Rust (`redis.rs`; `agree.rs` holds them to the real scripts); one or two
//! replicas that see resources late, lead, crash, are frozen (any step of theirs may come arbitrarily late) and
//! superseded at every step; scripts that come late, answers that never come; somebody else who deletes and reroutes
//! keys, flushes Redis, and of whom nothing is heard. There are two numbers, of which one or both are claimed twice.
//!
//! What decides is the product itself: `domain::claims` (who holds what, who is concerned, in which order), the plan of
//! `domain::plan` with `domain::compile` below it, and the steps and answers of `store`. `replica.rs` does with them what
//! `controller` and `leader` do around their I/O.
//!
//! What is not modelled: time (a grace period is "the watch has caught up"; backoff is "something has changed"), Secrets
//! and their rotation, `suspend`, `Retain`, `take-over`, other clusters and older publishers, contests for a tenant id
//! other than by a resource that was made again, a failover of Redis that loses writes without losing all, and writes
//! of the API server that are lost half-way (a status that is not written is written later).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

mod agree;
mod bugs;
mod cast;
mod events;
mod flight;
mod holds;
mod index;
mod kept;
mod plans;
mod reading;
mod redis;
mod replica;
mod role;
mod scenario;
mod truth;
mod world;
