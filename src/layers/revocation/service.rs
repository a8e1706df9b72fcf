use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::layer::Config;
use crate::{
    audit::AuditRevocation,
    error::{Reason, StoreError},
    layers::shared::{Common, Judge, ResponseFuture, token, trail},
    reject::{RejectBody, Rejection},
    revocation::{Revocation, RevocationStore},
};

/// The service of [`RevocationLayer`](crate::RevocationLayer).
#[derive(Clone, Debug)]
pub struct RevocationService<S, V> {
    inner: S,
    /// `None`: nothing can be revoked, and everything passes.
    config: Option<Checked<V>>,
}

impl<S, V> RevocationService<S, V> {
    #[inline]
    pub(super) fn new(inner: S, config: Option<Config<V>>) -> Self {
        Self {
            inner,
            config: config.map(|config| Checked(Arc::new(config))),
        }
    }

    /// The layer left out of a stack.
    pub(crate) const fn pass_through(inner: S) -> Self {
        Self {
            inner,
            config: None,
        }
    }
}

impl<S, V, B, ResB> Service<Request<B>> for RevocationService<S, V>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    V: RevocationStore,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, V::Future, Checked<V>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(judge) = &self.config else {
            return ResponseFuture::call(&mut self.inner, request);
        };
        let config = &judge.0;
        let Some(token) = token(request.extensions()) else {
            let rejection = config
                .common
                .layer_missing("RevocationLayer", "JwtValidateLayer");
            return ResponseFuture::refuse(&config.common, rejection);
        };
        let question = config.store.status(token);
        ResponseFuture::ask_shared(&mut self.inner, request, question, judge)
    }
}

/// Judges what the store said.
#[derive(Clone, Debug)]
pub struct Checked<V>(Arc<Config<V>>);

impl<V, S, B> Judge<S, B> for Checked<V> {
    type Answer = Result<Revocation, StoreError>;

    #[inline]
    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let note = |outcome| {
            if let Some(trail) = trail(request.extensions()) {
                trail.set_revocation(outcome);
            }
        };
        match answer {
            Ok(Revocation::Active) => {
                self.0.fail_mode.answered();
                note(AuditRevocation::Active);
                Ok(())
            }
            Ok(Revocation::Revoked) => {
                self.0.fail_mode.answered();
                note(AuditRevocation::Revoked);
                let message = "The access token was revoked";
                Err(
                    Rejection::new(Reason::Revoked, StatusCode::UNAUTHORIZED, message)
                        .with_challenge(&self.0.common.challenger.invalid_token(message)),
                )
            }
            Err(error) => {
                note(AuditRevocation::Unchecked);
                if self.0.fail_mode.passes_unchecked(&error) {
                    Ok(())
                } else {
                    Err(Rejection::store_unavailable())
                }
            }
        }
    }

    fn common(&self) -> &Common {
        &self.0.common
    }
}
