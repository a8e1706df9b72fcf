//! Whose a session is (MCP revisions up to 2025-11-25, "Session Management").

mod hash;
mod memory;
mod owner;
mod store;
mod table;

use std::time::Duration;

pub use self::{
    hash::SessionHash,
    memory::MemorySessionStore,
    owner::SessionOwner,
    store::{BoxSessionStore, SessionStore},
};

/// How long a session lives that nobody uses.
pub(crate) const IDLE: Duration = Duration::from_secs(24 * 60 * 60);
