//! What an answer says about sessions, and what of it is kept.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{
    gate::unavailable,
    headers::{Named, SESSION, keep_only, named},
    layer::Config,
};
use crate::{
    error::StoreError,
    layers::shared::remove_rare,
    mcp::{McpRequest, MessageKind},
    reject::Rejection,
    session::{SessionHash, SessionOwner, SessionStore},
    token::VerifiedToken,
};

/// What is to be done with the answer to a request that has to do with a session.
pub(crate) struct Binding<T> {
    pub(crate) config: Arc<Config<T>>,
    effect: Option<Effect>,
    /// The session that the request names.
    own: Option<HeaderValue>,
}

/// What a request does to sessions, where it succeeds.
#[derive(Debug)]
enum Effect {
    /// The session that the answer names is the caller's.
    Opens {
        owner: SessionOwner,
        asked: McpRequest,
    },
    /// The session that the request names has ended.
    Ends(SessionHash),
}

impl Effect {
    #[inline]
    fn of(
        method: &Method,
        headers: &HeaderMap,
        token: &VerifiedToken,
        asked: &McpRequest,
    ) -> Option<Self> {
        if method == Method::DELETE {
            return match named(headers) {
                Named::One(session) => Some(Self::Ends(session)),
                Named::None | Named::Malformed => None,
            };
        }
        opens_session(asked).then(|| Self::Opens {
            owner: SessionOwner::of(token.principal()),
            asked: asked.clone(),
        })
    }
}

/// Whether it is exactly an `initialize`.
fn opens_session(asked: &McpRequest) -> bool {
    match asked.messages() {
        [message] => {
            !asked.is_batch()
                && !asked.version().is_stateless()
                && message.kind() == MessageKind::Request
                && message.operation().method() == "initialize"
        }
        _ => false,
    }
}

impl<T> Binding<T> {
    /// `None`: the request names no session, and opens none. Boxed, so that a future which holds it
    /// stays small.
    #[inline]
    pub(crate) fn of(
        config: &Arc<Config<T>>,
        method: &Method,
        headers: &HeaderMap,
        token: &VerifiedToken,
        asked: &McpRequest,
    ) -> Option<Box<Self>> {
        let effect = Effect::of(method, headers, token, asked);
        let own = if asked.has_session() {
            headers.get(SESSION).cloned()
        } else {
            None
        };
        (effect.is_some() || own.is_some()).then(|| {
            Box::new(Self {
                config: Arc::clone(config),
                effect,
                own,
            })
        })
    }
}

/// Where nothing is bound, the answer names no session.
#[inline]
pub(crate) fn unnamed(headers: &mut HeaderMap) {
    remove_rare(headers, [SESSION]);
}

impl<T: SessionStore> Binding<T> {
    /// What the store is to be told about an answer. A session that the answer must not name is
    /// removed from it.
    pub(crate) fn answered(
        &self,
        status: StatusCode,
        headers: &mut HeaderMap,
    ) -> Result<Option<T::Future>, Rejection> {
        let config = &self.config;
        let succeeded = status.is_success();
        if let Some(Effect::Opens { owner, asked }) = &self.effect
            && succeeded
        {
            return match named(headers) {
                Named::None => Ok(None),
                Named::One(session) => {
                    let now = config.common.now();
                    Ok(Some(config.store.bind(session, *owner, now)))
                }
                Named::Malformed => Err(broken(asked, "a session that no client may name")),
            };
        }
        keep_only(self.own.as_ref(), headers);
        Ok(match &self.effect {
            Some(Effect::Ends(session)) if succeeded => Some(config.store.forget(*session)),
            _ => None,
        })
    }

    /// Whether the answer may pass, by what the store said.
    pub(crate) fn stored(
        &self,
        answer: Result<Option<SessionOwner>, StoreError>,
    ) -> Result<(), Rejection> {
        use Effect::{Ends, Opens};
        let common = &self.config.common;
        match (&self.effect, answer) {
            (Some(Opens { owner, .. }), Ok(Some(it))) if it == *owner => Ok(()),
            (Some(Opens { asked, .. }), Ok(Some(_))) => {
                Err(broken(asked, "a session that is somebody else's"))
            }
            (Some(Opens { asked, .. }), Ok(None)) => {
                let error = StoreError::new("the store did not keep the session");
                Err(unavailable(&error, Some(asked), common))
            }
            (Some(Opens { asked, .. }), Err(error)) => {
                Err(unavailable(&error, Some(asked), common))
            }
            (Some(Ends(_)), Err(error)) => {
                common.store_failed(&error, "a session that has ended could not be forgotten");
                Ok(())
            }
            (Some(Ends(_)) | None, _) => Ok(()),
        }
    }
}

/// The server behind is not one to have sessions with.
fn broken(asked: &McpRequest, what: &'static str) -> Rejection {
    tracing::error!("the server behind opened {what}");
    Rejection::upstream_error(Some(asked))
}
