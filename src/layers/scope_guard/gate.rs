//! Whether the policy grants what is asked.

use std::sync::Arc;

use http::StatusCode;

use super::layer::Config;
use crate::{
    clock::UnixTime,
    error::Reason,
    mcp::McpRequest,
    policy::{Access, Decision, DenialKind, Grant, Granted},
    reject::{Rejection, code},
    token::{Scope, VerifiedToken},
};

impl Config {
    /// Judges every message; the request as a whole is granted, or refused for the gravest reason
    /// that one of them gives.
    #[inline]
    pub(crate) fn judge(
        &self,
        token: &VerifiedToken,
        asked: &McpRequest,
        now: UnixTime,
    ) -> Result<Granted, Rejection> {
        let mut needed = Scope::EMPTY;
        let mut gravest = None;
        for message in asked.messages() {
            let mut access =
                Access::new(token, message.operation(), now).with_version(asked.version());
            access.arguments = asked.arguments(message);
            match self.policy.decide(&access) {
                Decision::Allow(grant) if needed.is_empty() => needed = grant.into_scope(),
                Decision::Allow(grant) => needed.join(&grant.into_scope()),
                Decision::Deny(denial) => {
                    gravest = gravest.max(Some(gravity(denial.kind())));
                    needed.join(&denial.into_required());
                }
            }
        }
        match gravest {
            None => Ok(Granted::new(
                token.clone(),
                asked.clone(),
                Grant::new(needed),
                Arc::clone(&self.policy),
                now,
            )),
            Some(Gravity::Scope) => Err(self.insufficient_scope(token, asked, needed)),
            Some(Gravity::Method) => Err(unknown_method(asked)),
            Some(Gravity::Forbidden) => {
                Err(
                    Rejection::new(Reason::Denied, StatusCode::FORBIDDEN, "This is not allowed")
                        .for_request(code::FORBIDDEN, Some(asked)),
                )
            }
        }
    }

    fn insufficient_scope(
        &self,
        token: &VerifiedToken,
        asked: &McpRequest,
        needed: Scope,
    ) -> Rejection {
        let mut challenged = needed.clone();
        let held = token.scope().iter();
        challenged.extend(
            held.filter(|scope| self.policy.knows(scope.as_str()))
                .cloned(),
        );
        Rejection::new(
            Reason::InsufficientScope,
            StatusCode::FORBIDDEN,
            "The access token lacks a scope",
        )
        .with_challenge(&self.common.challenger.insufficient_scope(challenged))
        .with_required(needed)
        .for_request(code::FORBIDDEN, Some(asked))
    }
}

/// How grave a no is: what more scopes would cure is the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gravity {
    Scope,
    Method,
    Forbidden,
}

const fn gravity(kind: DenialKind) -> Gravity {
    match kind {
        DenialKind::InsufficientScope => Gravity::Scope,
        DenialKind::UnknownMethod => Gravity::Method,
        DenialKind::Forbidden => Gravity::Forbidden,
    }
}

fn unknown_method(asked: &McpRequest) -> Rejection {
    // In a session, a 404 would end it, and an error reaches only a request that stands alone.
    let in_session = asked.has_session() && !asked.version().is_stateless();
    let status = match (in_session, asked.id()) {
        (true, Some(_)) => StatusCode::OK,
        (true, None) => StatusCode::BAD_REQUEST,
        (false, _) => StatusCode::NOT_FOUND,
    };
    Rejection::new(Reason::UnknownMethod, status, "Method not found")
        .for_request(code::METHOD_NOT_FOUND, Some(asked))
}
