//! Thin adapters between HTTP and the nouns: one room a layer.
//!
//! A layer imports the nouns and what all layers share, never another layer.

pub(crate) mod shared;

pub mod audit_log;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub mod jwt_validate;
pub mod key_map;
pub mod list_filter;
pub mod mcp_request;
pub mod origin_guard;
pub mod rate_limit;
pub mod resource_metadata;
pub mod revocation;
pub mod scope_guard;
pub mod session_guard;
pub mod stream_guard;
