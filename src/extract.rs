//! Extractors for axum handlers (feature `axum`): who calls, what is asked, what was granted.
//!
//! A handler that stands outside of the layers is a wiring mistake: it is answered 500, and the
//! way to mend it is logged.

use axum_core::{body::Body, extract::FromRequestParts, response::Response};
use http::request::Parts;

use crate::{mcp::McpRequest, policy::Granted, reject::Rejection, token::VerifiedToken};

/// Takes the value that a layer in front left.
macro_rules! extract {
    ($($value:ty, left by $layer:literal;)*) => {$(
        impl<S: Sync> FromRequestParts<S> for $value {
            type Rejection = Response;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
                parts.extensions.get::<Self>().cloned().ok_or_else(|| {
                    tracing::error!(concat!(
                        "a handler asks for what ", $layer, " leaves: add it around the handler"
                    ));
                    Rejection::layer_missing().into_response::<Body>()
                })
            }
        }
    )*};
}

extract! {
    VerifiedToken, left by "JwtValidateLayer";
    McpRequest, left by "McpRequestLayer";
    Granted, left by "ScopeGuardLayer";
}
