//! Verifies the bearer token of every request (RFC 6750 section 2.1, RFC 9068 section 4).
//!
//! # Example
//!
//! ```
//! use mcp_auth::{JwtValidateLayer, JwtValidator, StaticJwks};
//!
//! let issuer = "https://idp.example.com";
//! # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let layer = JwtValidateLayer::new(
//!     JwtValidator::new(issuer, "https://mcp.example.com/mcp")?,
//!     StaticJwks::from_json(issuer, jwks)?,
//! );
//! # let _ = layer;
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! # Rules
//!
//! 1. Exactly one `Authorization` field, `Bearer` in any case, one token. None, or another scheme:
//!    401 without `error`. Several, or a token in the query: 400 `invalid_request`.
//! 2. The token is checked by [`JwtValidator`](crate::JwtValidator): 401 `invalid_token`.
//! 3. Keys that could not be had: 503 with `Retry-After`.
//! 4. Inside, the request carries a [`VerifiedToken`](crate::VerifiedToken) in its extensions and no
//!    `Authorization` any more.
//! 5. A token that was verified is remembered, and not verified again until it expires, its key is
//!    no longer in force, or five minutes have passed.

mod bearer;
mod gate;
mod layer;
mod refusals;
mod service;

pub(crate) use self::gate::{Checked, Gate, Waiting};
pub use self::{layer::JwtValidateLayer, service::JwtValidateService};
