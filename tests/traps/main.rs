//! Twenty-four traps that naive authentication in front of an MCP server falls into. Each test is
//! named after its trap, and fails once the guard against it is taken out.
//!
//! The stack under test is that of the rules; what belongs to a process is tested on the gateway.
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

#[path = "../rules/house.rs"]
#[allow(dead_code)]
mod house;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod batches;
mod discovery;
mod limits;
mod lists;
mod messages;
mod operations;
mod outages;
mod pages;
mod process;
mod sessions;
mod streams;
mod tokens;
