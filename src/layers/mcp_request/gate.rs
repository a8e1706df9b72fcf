//! What is asked.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::headers::{is_plain_json, mirrored};
use crate::{
    error::Reason,
    mcp::{self, McpRequest, MessageError, MirroredHeaders, ProtocolVersion, RequestId},
    reject::{Rejection, code},
};

/// Whether a message is to be read: for a POST of plain JSON; not for GET, HEAD and DELETE.
#[inline]
pub(crate) fn expects_message(method: &Method, headers: &HeaderMap) -> Result<bool, Rejection> {
    match *method {
        Method::POST if is_plain_json(headers) => Ok(true),
        Method::POST => Err(Rejection::new(
            Reason::UnsupportedMedia,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "A message is plain JSON in UTF-8",
        )),
        Method::GET | Method::HEAD | Method::DELETE => Ok(false),
        _ => Err(Rejection::new(
            Reason::MethodNotAllowed,
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not one of MCP's",
        )),
    }
}

/// What the body says, held against the headers.
#[inline]
pub(crate) fn message(headers: &HeaderMap, body: &Bytes) -> Result<McpRequest, Rejection> {
    let mirrored = mirrored(headers)
        .map_err(|why| header_mismatch(why).with_rpc(code::HEADER_MISMATCH, id_in(body)))?;
    mcp::read(body.clone(), &mirrored).map_err(refused)
}

/// A request that carries no message, and so no body: one that it brings does not pass.
pub(crate) fn no_message(
    method: &Method,
    headers: &mut HeaderMap,
) -> Result<McpRequest, Rejection> {
    let method = match *method {
        Method::DELETE => "DELETE",
        _ => "GET",
    };
    let MirroredHeaders {
        protocol_version: version,
        has_session,
        ..
    } = mirrored(headers).map_err(header_mismatch)?;
    let version = version.map_or(ProtocolVersion::V2025_03_26, |version| {
        ProtocolVersion::from_text(std::str::from_utf8(version).unwrap_or_default().trim())
    });
    let asked = McpRequest::without_message(method, version, has_session);
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONTENT_TYPE,
    ] {
        headers.remove(name);
    }
    Ok(asked)
}

fn header_mismatch(why: &'static str) -> Rejection {
    Rejection::new(Reason::HeaderMismatch, StatusCode::BAD_REQUEST, why)
}

/// The `id` to answer with, of a body whose headers are not believed.
fn id_in(body: &Bytes) -> Option<RequestId> {
    match mcp::read(body.clone(), &MirroredHeaders::default()) {
        Ok(asked) => asked.id().cloned(),
        Err(error) => error.id().cloned(),
    }
}

fn refused(error: MessageError) -> Rejection {
    Rejection::new(error.reason(), StatusCode::BAD_REQUEST, error.message())
        .with_rpc(error.code(), error.id().cloned())
}
