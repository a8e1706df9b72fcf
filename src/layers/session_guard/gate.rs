//! Whose the session is that a request names.

use http::{HeaderMap, StatusCode};

use super::headers::{LAST_EVENT, Named, SESSION, named};
use crate::{
    error::{Reason, StoreError},
    layers::shared::{Common, remove_rare},
    mcp::McpRequest,
    reject::{Rejection, code},
    session::{SessionHash, SessionOwner},
};

/// The session that a request names. Where it names none, nothing of one passes.
#[inline]
pub(crate) fn named_by(
    headers: &mut HeaderMap,
    asked: &McpRequest,
) -> Result<Option<SessionHash>, Rejection> {
    let named = if asked.version().is_stateless() || !asked.has_session() {
        Named::None
    } else {
        named(headers)
    };
    match named {
        Named::None => {
            if asked.has_session() {
                headers.remove(SESSION);
            }
            remove_rare(headers, [LAST_EVENT]);
            Ok(None)
        }
        Named::One(session) => Ok(Some(session)),
        Named::Malformed => Err(malformed(asked)),
    }
}

fn malformed(asked: &McpRequest) -> Rejection {
    Rejection::new(
        Reason::HeaderMismatch,
        StatusCode::BAD_REQUEST,
        "The header Mcp-Session-Id is malformed",
    )
    .for_request(code::HEADER_MISMATCH, Some(asked))
}

/// Judges what the store said.
pub(crate) fn judge(
    answer: Result<Option<SessionOwner>, StoreError>,
    caller: &SessionOwner,
    asked: Option<&McpRequest>,
    common: &Common,
) -> Result<(), Rejection> {
    match answer {
        Ok(Some(owner)) if owner == *caller => Ok(()),
        // Nobody learns which sessions there are.
        Ok(_) => Err(Rejection::new(
            Reason::SessionMismatch,
            StatusCode::NOT_FOUND,
            "There is no such session",
        )
        .for_request(code::NO_SESSION, asked)),
        Err(error) => Err(unavailable(&error, asked, common)),
    }
}

/// What the store could not do is 503.
pub(super) fn unavailable(
    error: &StoreError,
    asked: Option<&McpRequest>,
    common: &Common,
) -> Rejection {
    common.store_failed(error, "a session could not be looked up or kept");
    Rejection::store_unavailable().for_request(code::UNAVAILABLE, asked)
}
