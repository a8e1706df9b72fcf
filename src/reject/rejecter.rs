//! Who makes the bodies of refusals.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::Rejection;

/// Makes the body of a refusal.
///
/// Its headers and body are sent; status, challenge, `Retry-After`, `Cache-Control` and the
/// [`Rejection`] in the extensions are the layer's own, whatever it gives.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use mcp_auth::{Rejection, reject_fn};
///
/// let plain = reject_fn(|rejection: &Rejection| {
///     Response::new(Bytes::from_static(rejection.message().as_bytes()))
/// });
/// # let _: &dyn mcp_auth::Reject = &plain;
/// ```
pub trait Reject: fmt::Debug + Send + Sync {
    /// Headers and body for a refusal.
    fn reject(&self, rejection: &Rejection) -> Response<Bytes>;
}

/// The standard body: a JSON-RPC error once a message was read, an OAuth error before.
#[derive(Clone, Copy, Debug, Default)]
// A unit struct for good: it has nothing to set.
#[allow(clippy::exhaustive_structs)]
pub struct JsonReject;

impl Reject for JsonReject {
    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        let mut response = Response::new(rejection.to_json());
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    }
}

impl<R: Reject + ?Sized> Reject for Arc<R> {
    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        (**self).reject(rejection)
    }
}

/// A rejecter made of a closure.
pub const fn reject_fn<F>(reject: F) -> RejectFn<F>
where
    F: Fn(&Rejection) -> Response<Bytes> + Send + Sync,
{
    RejectFn { reject }
}

/// What [`reject_fn`] makes.
#[derive(Clone, Copy)]
#[must_use]
pub struct RejectFn<F> {
    reject: F,
}

impl<F> fmt::Debug for RejectFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectFn").finish_non_exhaustive()
    }
}

impl<F> Reject for RejectFn<F>
where
    F: Fn(&Rejection) -> Response<Bytes> + Send + Sync,
{
    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        (self.reject)(rejection)
    }
}
