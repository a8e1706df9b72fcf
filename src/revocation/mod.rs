//! Tokens that are valid and must not be honoured any more.

mod store;

pub use self::store::{
    BoxRevocationStore, Revocation, RevocationStore, RevocationStoreFn, revocation_store_fn,
};
