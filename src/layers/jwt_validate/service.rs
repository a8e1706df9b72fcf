use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tower_service::Service;

use super::{
    bearer::{self, Bearer},
    layer::Config,
    refusals::Refusals,
};
use crate::{
    clock::UnixTime,
    error::{Reason, StoreError},
    keys::{KeyStore, VerificationKey, VerificationKeyId},
    layers::shared::{Common, Judge, ResponseFuture, at_once, trail},
    reject::{RejectBody, Rejection},
    token::{TokenError, UnverifiedToken, VerifiedToken},
};

/// The service of [`JwtValidateLayer`](crate::JwtValidateLayer).
#[derive(Clone, Debug)]
pub struct JwtValidateService<S, K> {
    inner: S,
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    config: Config<K>,
    refusals: Refusals,
}

impl<S, K> JwtValidateService<S, K> {
    pub(super) fn new(inner: S, config: Config<K>) -> Self {
        let refusals = Refusals::new(&config.common.challenger);
        Self {
            inner,
            shared: Arc::new(Shared { config, refusals }),
        }
    }
}

impl<S, K, B, ResB> Service<Request<B>> for JwtValidateService<S, K>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, K::Future, Verifying<K>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Shared { config, refusals } = &*self.shared;
        let now = config.common.now();
        let token = match bearer::find(request.headers(), request.uri()) {
            Bearer::Token(token) => token,
            Bearer::None => return ResponseFuture::refuse(&config.common, refusals.no_token()),
            Bearer::Malformed(why) => {
                return ResponseFuture::refuse(&config.common, refusals.malformed(why));
            }
        };
        if let Some(verified) = config.cache.get(token, now) {
            admit(&mut request, verified);
            return ResponseFuture::call(&mut self.inner, request);
        }
        if let Err(why) = bearer::one(token) {
            return ResponseFuture::refuse(&config.common, refusals.malformed(why));
        }
        let mut buffer = Vec::new();
        let read = match config.validator.read(token, &mut buffer, now) {
            Ok(read) => read,
            Err(error) => return ResponseFuture::refuse(&config.common, refusals.invalid(error)),
        };
        let mut question = config.keys.key(read.key_id());
        let Poll::Ready(answer) = at_once(&mut question) else {
            let judge = Verifying {
                unverified: read.into_unverified(Bytes::copy_from_slice(token)),
                shared: Arc::clone(&self.shared),
                now,
            };
            return ResponseFuture::wait(&mut self.inner, request, question, judge);
        };
        // Nothing is copied before the signature is known to be good.
        match self
            .shared
            .verified(answer, token, now, |key| read.verify(key))
        {
            Ok(verified) => {
                admit(&mut request, verified);
                ResponseFuture::call(&mut self.inner, request)
            }
            Err(rejection) => ResponseFuture::refuse(&config.common, rejection),
        }
    }
}

impl<K> Shared<K> {
    /// Verifies `token` with the key that was answered, and remembers it.
    fn verified(
        &self,
        answer: Result<Option<VerificationKey>, StoreError>,
        token: &[u8],
        now: UnixTime,
        verify: impl FnOnce(&VerificationKey) -> Result<VerifiedToken, TokenError>,
    ) -> Result<VerifiedToken, Rejection> {
        let Self { config, refusals } = self;
        let key = match answer {
            Ok(Some(key)) => key,
            Ok(None) => return Err(refusals.invalid(TokenError::new(Reason::UnknownKey))),
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no verification keys"
                );
                return Err(Rejection::new(
                    Reason::KeysUnavailable,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Temporarily unavailable",
                )
                .with_retry_after(Duration::from_secs(1)));
            }
        };
        let verified = verify(&key).map_err(|error| refusals.invalid(error))?;
        let refused_from = config.validator.refused_from(&verified);
        config
            .cache
            .insert(token, verified.clone(), key, now, refused_from);
        Ok(verified)
    }
}

/// Lets the request through, with the proof in the place of the credentials.
fn admit<B>(request: &mut Request<B>, verified: VerifiedToken) {
    request.headers_mut().remove(header::AUTHORIZATION);
    if let Some(trail) = trail(request.extensions()) {
        trail.set_token(&verified);
    }
    request.extensions_mut().insert(verified);
}

/// A token that waits for its key.
pub struct Verifying<K> {
    shared: Arc<Shared<K>>,
    unverified: UnverifiedToken,
    now: UnixTime,
}

impl<K, S, B> Judge<S, B> for Verifying<K> {
    type Answer = Result<Option<VerificationKey>, StoreError>;

    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let token = self.unverified.token();
        let verify = |key: &_| self.unverified.verify(key);
        let verified = self.shared.verified(answer, token, self.now, verify)?;
        admit(request, verified);
        Ok(())
    }

    fn common(&self) -> &Common {
        &self.shared.config.common
    }
}

impl<K> fmt::Debug for Verifying<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifying").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tower_layer::Layer;

    use super::*;
    use crate::{
        layers::jwt_validate::JwtValidateLayer, testing::ClaimsBuilder, token::JwtValidator,
    };

    /// The judge is a public type by way of the service's future.
    #[test]
    fn a_token_that_waits_for_its_key_is_not_shown() {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

        let validator =
            JwtValidator::new("https://idp.example.com", "https://mcp.example.com/mcp").unwrap();
        let now = UnixTime::from_secs(1000);
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let header = part(r#"{"alg":"RS256","typ":"at+jwt","kid":"k"}"#);
        let claims = part(&ClaimsBuilder::new().made_at(now).to_json());
        let token = format!("{header}.{claims}.{}", part("signature"));
        let waiting = Verifying {
            unverified: validator.inspect(token, now).unwrap(),
            shared: JwtValidateLayer::new(validator, ()).layer(()).shared,
            now,
        };
        let shown = format!("{waiting:?}");
        assert!(!shown.contains(&claims), "{shown}");
    }
}
