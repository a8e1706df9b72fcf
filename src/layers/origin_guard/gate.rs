//! Who may come in, and what his answer is to say.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};

use super::{
    cors::{self, sign, strip},
    layer::Config,
};
use crate::{
    error::Reason,
    layers::shared::{Field, Several},
    reject::{RejectBody, Rejection},
};

/// A request that may come in.
pub(crate) enum Entered {
    /// It goes on, and its answer comes back here.
    Passes(Leaving),
    /// It asks only whether a page may ask.
    Preflight(HeaderMap),
}

/// What becomes of the head of an answer.
pub(crate) enum Leaving {
    /// The resource metadata: it stays as it is.
    Open,
    /// No page asks.
    Plain,
    /// A page asks, and is told so by these.
    Page(Box<HeaderMap>),
}

impl Leaving {
    #[inline]
    pub(crate) fn head(self, headers: &mut HeaderMap) {
        match self {
            Self::Open => return,
            Self::Plain => strip(headers),
            Self::Page(cors) => {
                strip(headers);
                headers.extend(*cors);
            }
        }
        sign(headers);
    }
}

/// The answer to a preflight.
pub(crate) fn preflight<B: RejectBody>(cors: HeaderMap) -> Response<B> {
    let mut response = Response::new(B::from_bytes(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = cors;
    sign(response.headers_mut());
    response
}

/// Whether a page asks, before it asks, what it may: for the audit log.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ORIGIN)
}

/// Who asks, where it may pass.
enum Asker {
    /// Whoever wants the resource metadata.
    Anybody,
    /// No page.
    Client,
    /// A page of an allowed origin.
    Page,
}

impl Config {
    /// Whether a request may come in, by its fields `Host` and `Origin`.
    #[inline]
    pub(crate) fn enter(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        [host, origin]: [Field<'_>; 2],
    ) -> Result<Entered, Rejection> {
        Ok(Entered::Passes(
            match self.judge(method, uri, host, origin)? {
                Asker::Anybody => Leaving::Open,
                Asker::Client => Leaving::Plain,
                Asker::Page => {
                    let cors = cors::headers(method, headers);
                    if *method == Method::OPTIONS {
                        return Ok(Entered::Preflight(cors));
                    }
                    Leaving::Page(Box::new(cors))
                }
            },
        ))
    }

    fn judge(
        &self,
        method: &Method,
        uri: &Uri,
        host: Field<'_>,
        origin: Field<'_>,
    ) -> Result<Asker, Rejection> {
        let denied = |reason, message| Err(Rejection::new(reason, StatusCode::FORBIDDEN, message));
        let host = authority(uri, host);
        if !host.is_some_and(|host| self.origins.allows(host)) {
            return denied(Reason::HostDenied, "The Host is not allowed");
        }
        let is_metadata = self.metadata.is_at(uri.path());
        if is_metadata && is_read(method) {
            return Ok(Asker::Anybody);
        }
        let origin = match origin.only() {
            Ok(None) if is_metadata => return Ok(Asker::Anybody),
            Ok(None) => return Ok(Asker::Client),
            Ok(Some(origin)) => origin.to_str().ok(),
            Err(Several) => None,
        };
        if origin.is_some_and(|origin| self.origins.allows_origin(origin)) {
            Ok(Asker::Page)
        } else {
            denied(Reason::OriginDenied, "The Origin is not allowed")
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host that was asked for, if it is one.
fn authority<'a>(uri: &'a Uri, host: Field<'a>) -> Option<&'a [u8]> {
    let field = host.only().ok()?.map(HeaderValue::as_bytes);
    let authority = uri.authority().map(|it| it.as_str().as_bytes());
    match (authority, field) {
        (Some(authority), Some(field)) => authority.eq_ignore_ascii_case(field).then_some(field),
        (authority, field) => authority.or(field),
    }
}
