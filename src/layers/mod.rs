//! Thin adapters between HTTP and the nouns: one room a layer.
//!
//! A layer imports the nouns and [`shared`], never another layer.

mod shared;

pub(crate) mod audit_log;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) mod jwt_validate;
pub(crate) mod key_map;
pub(crate) mod mcp_request;
pub(crate) mod rate_limit;
pub(crate) mod resource_metadata;
pub(crate) mod revocation;
pub(crate) mod scope_guard;
