//! The standard bodies of refusals.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json, value::RawValue};

use super::Rejection;
use crate::{error::Reason, oauth::ErrorCode};

impl Rejection {
    /// A JSON-RPC error where a message was read, else an OAuth error.
    pub(super) fn write_json(&self) -> Bytes {
        let Some(rpc) = &self.0.rpc else {
            let (error, description) = (self.oauth_error(), self.0.message);
            let body = json!({ "error": error, "error_description": description });
            return body.to_string().into();
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
