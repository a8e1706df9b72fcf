//! Tokens that are valid and must not be honoured any more.

mod entries;
mod follow;
mod line;
mod memory;
mod store;

pub use self::{
    memory::MemoryRevocationStore,
    store::{
        BoxRevocationStore, Revocation, RevocationStore, RevocationStoreFn, revocation_store_fn,
    },
};
