//! Which key a request is given, and that no answer gives it away.

use http::{HeaderMap, StatusCode, header};

use super::{body::remove_key, layer::Config, strip::strip};
use crate::{
    error::{Reason, StoreError},
    keys::UpstreamKey,
    layers::shared::{Common, remove_rare},
    mcp::McpRequest,
    reject::{Rejection, code},
};

impl<U> Config<U> {
    /// Removes what a client could pass for a key or an identity.
    #[inline]
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        strip(headers, self.header.canonical());
    }

    /// Puts the key into its header.
    #[inline]
    pub(crate) fn inject(&self, key: &UpstreamKey, headers: &mut HeaderMap) {
        headers.insert(self.header.name().clone(), self.header.value(key));
    }

    /// Keeps the head of an answer from giving the key away, or from asking the client for another.
    #[inline]
    pub(crate) fn guard(
        &self,
        status: StatusCode,
        headers: &mut HeaderMap,
        key: Option<&UpstreamKey>,
        asked: Option<&McpRequest>,
    ) -> Result<(), Rejection> {
        if !self.passes_challenges {
            if status == StatusCode::UNAUTHORIZED {
                tracing::warn!(
                    key = key.map(UpstreamKey::name),
                    "the upstream does not accept the request's credentials"
                );
                return Err(Rejection::upstream_error(asked));
            }
            remove_rare(headers, [header::WWW_AUTHENTICATE]);
        }
        if let Some(key) = key {
            remove_key(headers, key);
        }
        Ok(())
    }
}

/// Judges what the store said.
#[inline]
pub(crate) fn judge(
    answer: Result<Option<UpstreamKey>, StoreError>,
    asked: Option<&McpRequest>,
    common: &Common,
) -> Result<UpstreamKey, Rejection> {
    match answer {
        Ok(Some(key)) => Ok(key),
        Ok(None) => {
            Err(
                Rejection::new(Reason::NoKey, StatusCode::FORBIDDEN, "This is not allowed")
                    .for_request(code::FORBIDDEN, asked),
            )
        }
        Err(error) => {
            common.store_failed(&error, "an upstream key could not be had");
            Err(Rejection::store_unavailable().for_request(code::UNAVAILABLE, asked))
        }
    }
}
