//! Whose a session is (MCP revisions up to 2025-11-25, "Session Management").

mod hash;
mod memory;
mod owner;
mod store;
mod table;

pub use self::{
    hash::SessionHash,
    memory::MemorySessionStore,
    owner::SessionOwner,
    store::{BoxSessionStore, SessionStore},
};
