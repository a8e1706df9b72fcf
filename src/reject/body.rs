//! Bodies that a refusal can be sent in.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{
    BodyExt, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};

/// A response body that can be made of bytes, so that a refusal has something to send.
///
/// It is there for `Full<Bytes>`, `BoxBody`, `UnsyncBoxBody` and, with feature `axum`, for
/// axum's `Body`. Map any other body to one of these first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from bytes, so a refusal has no body to send",
    note = "for the `Body` of axum, switch on the feature `axum` of mcp-auth",
    note = "any other response body of the inner service is mapped to `BoxBody<Bytes, E>` or `Full<Bytes>`"
)]
pub trait RejectBody: Body<Data = Bytes> {
    /// A body of these bytes.
    fn from_bytes(bytes: Bytes) -> Self;
}

impl RejectBody for Full<Bytes> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self::new(bytes)
    }
}

impl<E: 'static> RejectBody for BoxBody<Bytes, E> {
    fn from_bytes(bytes: Bytes) -> Self {
        Full::new(bytes).map_err(|never| match never {}).boxed()
    }
}

impl<E: 'static> RejectBody for UnsyncBoxBody<Bytes, E> {
    fn from_bytes(bytes: Bytes) -> Self {
        Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync()
    }
}

#[cfg(feature = "axum")]
impl RejectBody for axum_core::body::Body {
    fn from_bytes(bytes: Bytes) -> Self {
        Self::from(bytes)
    }
}
