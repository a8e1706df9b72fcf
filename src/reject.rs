//! What HTTP says when a request is refused.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{
    BodyExt, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    error::Reason,
    mcp::{McpRequest, RequestId},
    oauth::{Challenge, ErrorCode},
    token::Scope,
};

/// JSON-RPC codes of our own: outside of the range that JSON-RPC and MCP reserve.
pub(crate) mod code {
    pub(crate) const FORBIDDEN: i32 = -31403;
    pub(crate) const NO_SESSION: i32 = -31404;
    pub(crate) const LIMITED: i32 = -31429;
    pub(crate) const UNAVAILABLE: i32 = -31503;
    pub(crate) const UPSTREAM: i32 = -31502;
    pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
}

/// Why and how a request was refused: the facts, of which [`Reject`] makes a body.
///
/// It travels in the extensions of the response, so that a layer outside (the audit log, a
/// metric) knows the reason.
#[derive(Clone, Debug)]
pub struct Rejection(Arc<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    reason: Reason,
    status: StatusCode,
    message: &'static str,
    /// `WWW-Authenticate`.
    challenge: Option<HeaderValue>,
    retry_after: Option<Duration>,
    required: Scope,
    rpc: Option<Rpc>,
    /// The standard body, once it was asked for: what is refused often is refused by a clone.
    body: OnceLock<Bytes>,
}

/// What a JSON-RPC error says beside the message.
#[derive(Clone, Debug)]
struct Rpc {
    code: i32,
    id: Option<RequestId>,
}

impl Rejection {
    pub(crate) fn new(reason: Reason, status: StatusCode, message: &'static str) -> Self {
        Self(Arc::new(Facts {
            reason,
            status,
            message,
            challenge: None,
            retry_after: None,
            required: Scope::EMPTY,
            rpc: None,
            body: OnceLock::new(),
        }))
    }

    fn set(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        let facts = Arc::make_mut(&mut self.0);
        facts.body = OnceLock::new();
        change(facts);
        self
    }

    pub(crate) fn with_challenge(self, challenge: &Challenge) -> Self {
        self.set(|facts| facts.challenge = Some(challenge.to_header_value()))
    }

    pub(crate) fn with_retry_after(self, after: Duration) -> Self {
        self.set(|facts| facts.retry_after = Some(after))
    }

    pub(crate) fn with_required(self, required: Scope) -> Self {
        self.set(|facts| facts.required = required)
    }

    /// A message was read: the body is a JSON-RPC error that echoes its id.
    pub(crate) fn with_rpc(self, code: i32, id: Option<RequestId>) -> Self {
        self.set(|facts| facts.rpc = Some(Rpc { code, id }))
    }

    /// The same, for the request that was read, if one was.
    pub(crate) fn for_request(self, code: i32, request: Option<&McpRequest>) -> Self {
        match request {
            Some(request) if request.is_message() => self.with_rpc(code, request.id().cloned()),
            _ => self,
        }
    }

    /// A layer that this one needs is missing in front of it: 500, and the way to mend it goes to
    /// the log.
    pub(crate) fn layer_missing() -> Self {
        Self::new(
            Reason::LayerMissing,
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server is misconfigured",
        )
    }

    /// A store could not answer: 503.
    pub(crate) fn store_unavailable() -> Self {
        Self::new(
            Reason::StoreUnavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            "Temporarily unavailable",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// A path that leads nowhere: 404. For gateways; `request` is found in the extensions of the
    /// request, where one was read.
    #[must_use]
    pub fn not_found(request: Option<&McpRequest>) -> Self {
        Self::new(
            Reason::Denied,
            StatusCode::NOT_FOUND,
            "There is nothing at this path",
        )
        .for_request(code::FORBIDDEN, request)
    }

    /// The service behind could not be reached or broke: 502. For gateways; `request` is found in
    /// the extensions of the request that was to be sent.
    #[must_use]
    pub fn upstream_error(request: Option<&McpRequest>) -> Self {
        Self::new(
            Reason::UpstreamError,
            StatusCode::BAD_GATEWAY,
            "The upstream failed",
        )
        .for_request(code::UPSTREAM, request)
    }

    /// The service behind gave no answer in time: 504.
    #[must_use]
    pub fn upstream_timeout(request: Option<&McpRequest>) -> Self {
        Self::new(
            Reason::Timeout,
            StatusCode::GATEWAY_TIMEOUT,
            "The upstream did not answer in time",
        )
        .for_request(code::UPSTREAM, request)
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// One fixed sentence for the caller.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.0.message
    }

    /// All the scopes that the operation needs, where a lack of scopes is the reason.
    #[must_use]
    pub fn required(&self) -> &Scope {
        &self.0.required
    }

    /// When it is worth coming back, in whole seconds, rounded up, at least 1.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.0.retry_after.map(|after| {
            let seconds = after
                .as_secs()
                .saturating_add(u64::from(after.subsec_nanos() > 0));
            seconds.max(1)
        })
    }

    /// The response, with the standard body.
    #[must_use]
    pub fn into_response<B: RejectBody>(self) -> Response<B> {
        self.into_response_by(&JsonReject)
    }

    /// The response: the body is the rejecter's; status, challenge, `Retry-After`,
    /// `Cache-Control` and the extension are not.
    pub(crate) fn into_response_by<B: RejectBody>(self, by: &dyn Reject) -> Response<B> {
        let (mut head, body) = by.reject(&self).into_parts();
        head.status = self.status();
        let headers = &mut head.headers;
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &self.0.challenge {
            Some(challenge) => headers.insert(header::WWW_AUTHENTICATE, challenge.clone()),
            None => headers.remove(header::WWW_AUTHENTICATE),
        };
        headers.remove(header::RETRY_AFTER);
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status() == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
        }
        head.extensions.insert(self);
        Response::from_parts(head, B::from_bytes(body))
    }

    /// The code of an OAuth error body (RFC 6749 section 5.2, RFC 6750 section 3.1).
    fn oauth_error(&self) -> &'static str {
        match self.0.status {
            StatusCode::UNAUTHORIZED => ErrorCode::InvalidToken.as_str(),
            StatusCode::BAD_REQUEST => ErrorCode::InvalidRequest.as_str(),
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "server_error",
            _ if self.0.reason == Reason::InsufficientScope => {
                ErrorCode::InsufficientScope.as_str()
            }
            StatusCode::FORBIDDEN => "access_denied",
            _ => self.0.reason.as_str(),
        }
    }

    /// The standard body.
    pub(crate) fn to_json(&self) -> Bytes {
        self.0.body.get_or_init(|| self.write_json()).clone()
    }

    fn write_json(&self) -> Bytes {
        let mut body = Map::new();
        let Some(rpc) = &self.0.rpc else {
            body.insert("error".into(), self.oauth_error().into());
            body.insert("error_description".into(), self.0.message.into());
            return Value::Object(body).to_string().into();
        };
        let mut data = Map::new();
        if !self.0.required.is_empty() {
            let required = self
                .0
                .required
                .iter()
                .map(AsRef::<str>::as_ref)
                .collect::<Vec<_>>();
            data.insert("required".into(), required.into());
        }
        if let Some(seconds) = self.retry_after() {
            data.insert("retryAfterSeconds".into(), seconds.into());
        }
        let error = RpcError {
            code: rpc.code,
            message: self.0.message,
            data: (!data.is_empty()).then_some(data),
        };
        let response = RpcResponse {
            jsonrpc: "2.0",
            id: rpc
                .id
                .as_ref()
                .and_then(|id| RawValue::from_string(id.as_json().to_owned()).ok()),
            error,
        };
        // Strings, numbers and a map of both always serialise.
        serde_json::to_vec(&response).unwrap_or_default().into()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.reason)
    }
}

#[derive(serde::Serialize)]
struct RpcResponse {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Box<RawValue>>,
    error: RpcError,
}

#[derive(serde::Serialize)]
struct RpcError {
    code: i32,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

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

/// A response body that can be made of bytes, so that a refusal has something to send.
///
/// It is there for `Full<Bytes>`, `BoxBody`, `UnsyncBoxBody` and, with feature `axum`, for
/// axum's `Body`. Map any other body to one of these first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from bytes, so a refusal has no body to send",
    note = "map the response body of the inner service to `BoxBody<Bytes, E>` or `Full<Bytes>`"
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
