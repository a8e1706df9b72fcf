//! Answers only where it is meant to be reached, and only to pages that may read the answer: the
//! guard against DNS rebinding, and the CORS headers, from one setting.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{OriginGuardLayer, Origins, ResourceMetadata};
//!
//! let metadata = ResourceMetadata::new("https://mcp.example.com/mcp", ["https://idp.example.com"])?;
//! let layer = OriginGuardLayer::new(&metadata)
//!     .with_origins(Origins::new(&metadata).allow_origin("https://app.example.com")?);
//! # let _ = layer;
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! # Rules
//!
//! 1. The host that was asked for is the `Host` field or the authority of the request's URI (that
//!    is `:authority` in HTTP/2). Where both are there they must be equal. None, an empty one,
//!    several, or one that is not among the [`Origins`] is 403 without a challenge.
//! 2. A request with an `Origin` that is not among them is 403 without a challenge, and so is one
//!    with `Origin: null` or several. Without an `Origin` no page is asking, and it passes.
//! 3. `OPTIONS` with an allowed `Origin` is a CORS preflight: 204, without a token. It never goes
//!    inward.
//! 4. Every answer carries `Vary: Origin` and `Access-Control-Expose-Headers`, and those to an
//!    allowed `Origin` carry it in `Access-Control-Allow-Origin`, refusals by the layers inside
//!    included. Whom the service inside allows is dropped. Credentials are never allowed:
//!    a token is not a cookie.
//! 5. GET, HEAD and OPTIONS of the resource metadata's own paths are open to every origin, and what
//!    [`ResourceMetadataLayer`](crate::ResourceMetadataLayer) answers stays as it is. Rule 1 holds
//!    there too.

mod authority;
mod cors;
mod future;
mod gate;
mod layer;
mod origins;
mod service;

pub(crate) use self::{
    gate::{Entered, Leaving, is_preflight, preflight},
    layer::Config,
};
pub use self::{layer::OriginGuardLayer, origins::Origins, service::OriginGuardService};
