//! The rules of the crate, numbered, over HTTP's own words and through the whole stack: each a
//! table of requests with the exact answer, the exact audit event, and what the service behind saw.
#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exhaustive_structs
)]

mod house;
mod rule_01_tokens;
mod rule_02_outages;
mod rule_03_answers;
mod rule_04_bodies;
mod rule_04_messages;
mod rule_05_policy;
mod rule_06_upstream_keys;
mod rule_07_revocation;
mod rule_08_limits;
mod rule_09_audit;
