//! Serves the protected resource metadata (RFC 9728), open to everybody.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{ResourceMetadata, ResourceMetadataLayer};
//!
//! let metadata = ResourceMetadata::new("https://mcp.example.com/mcp", ["https://idp.example.com"])?;
//! let layer = ResourceMetadataLayer::new(&metadata);
//! # let _ = layer;
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! # Rules
//!
//! 1. GET and HEAD of the document's own path, and of the root one unless there are several
//!    resources, are answered here, without a token; OPTIONS is answered as the CORS preflight that
//!    it is; other methods are 405. The path must be equal, byte for byte.
//! 2. Everything else passes.
//!
//! Where a router strips prefixes in front of the layer, mount a [`ResourceMetadataEndpoint`] at
//! the path itself, [`ResourceMetadata::path`](crate::ResourceMetadata::path). The
//! [crate's page](crate#several-servers-behind-one-router) shows it.

mod layer;
mod service;

pub(crate) use self::service::Document;
pub use self::{
    layer::ResourceMetadataLayer,
    service::{ResourceMetadataEndpoint, ResourceMetadataService},
};
