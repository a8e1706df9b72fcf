//! The facts of a refusal, and the response that they make.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{JsonReject, Reject, RejectBody, code};
use crate::{
    error::Reason,
    mcp::{McpRequest, RequestId},
    oauth::Challenge,
    token::Scope,
};

/// Why and how a request was refused: the facts, of which [`Reject`] makes a body.
///
/// It travels in the extensions of the response, so that a layer outside (the audit log, a
/// metric) knows the reason.
#[derive(Clone, Debug)]
pub struct Rejection(pub(super) Arc<Facts>);

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) reason: Reason,
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
    /// `WWW-Authenticate`.
    challenge: Option<HeaderValue>,
    retry_after: Option<Duration>,
    pub(super) required: Scope,
    pub(super) rpc: Option<Rpc>,
    /// The standard body, once it was asked for: what is refused often is refused by a clone.
    body: OnceLock<Bytes>,
}

/// What a JSON-RPC error says beside the message.
#[derive(Clone, Debug)]
pub(super) struct Rpc {
    pub(super) code: i32,
    pub(super) id: Option<RequestId>,
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

    /// The standard body.
    pub(crate) fn to_json(&self) -> Bytes {
        self.0.body.get_or_init(|| self.write_json()).clone()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.reason)
    }
}
