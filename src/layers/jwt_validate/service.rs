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
};
use crate::{
    clock::UnixTime,
    error::{Reason, StoreError},
    keys::{KeyStore, VerificationKey, VerificationKeyId},
    layers::shared::{Common, Judge, ResponseFuture, trail},
    reject::{RejectBody, Rejection},
    token::{TokenError, UnverifiedToken, VerifiedToken},
};

/// The service of [`JwtValidateLayer`](crate::JwtValidateLayer).
#[derive(Clone, Debug)]
pub struct JwtValidateService<S, K> {
    inner: S,
    config: Arc<Config<K>>,
}

impl<S, K> JwtValidateService<S, K> {
    pub(super) fn new(inner: S, config: Config<K>) -> Self {
        Self {
            inner,
            config: Arc::new(config),
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
        let config = &self.config;
        let now = config.common.now();
        let token = match bearer::find(request.headers(), request.uri()) {
            Bearer::Token(token) => token,
            Bearer::None => return ResponseFuture::refuse(&config.common, config.no_token()),
            Bearer::Malformed(why) => {
                return ResponseFuture::refuse(&config.common, config.malformed(why));
            }
        };
        if let Some(verified) = config.cache.get(token, now) {
            admit(&mut request, verified);
            return ResponseFuture::call(&mut self.inner, request);
        }
        if let Err(why) = bearer::one(token) {
            return ResponseFuture::refuse(&config.common, config.malformed(why));
        }
        let token = Bytes::copy_from_slice(token);
        match config.validator.inspect(token.clone(), now) {
            Ok(unverified) => {
                let question = config.keys.key(unverified.key_id());
                let judge = Verifying {
                    config: Arc::clone(config),
                    token,
                    unverified,
                    now,
                };
                ResponseFuture::ask(&mut self.inner, request, question, judge)
            }
            Err(error) => ResponseFuture::refuse(&config.common, config.invalid(&error)),
        }
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

impl<K> Config<K> {
    fn no_token(&self) -> Rejection {
        Rejection::new(
            Reason::NoToken,
            StatusCode::UNAUTHORIZED,
            "Authentication is required",
        )
        .with_challenge(self.common.challenger.no_credentials())
    }

    fn malformed(&self, why: &'static str) -> Rejection {
        Rejection::new(Reason::MalformedRequest, StatusCode::BAD_REQUEST, why)
            .with_challenge(self.common.challenger.invalid_request(why))
    }

    fn invalid(&self, error: &TokenError) -> Rejection {
        self.refused(error.reason(), error.description())
    }

    fn refused(&self, reason: Reason, description: &'static str) -> Rejection {
        Rejection::new(reason, StatusCode::UNAUTHORIZED, description)
            .with_challenge(self.common.challenger.invalid_token(description))
    }
}

/// A token that waits for its key.
pub struct Verifying<K> {
    config: Arc<Config<K>>,
    token: Bytes,
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
        let config = &self.config;
        let key = match answer {
            Ok(Some(key)) => key,
            Ok(None) => {
                return Err(config.refused(
                    Reason::UnknownKey,
                    "The access token was signed with an unknown key",
                ));
            }
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
        let verified = self
            .unverified
            .verify(&key)
            .map_err(|error| config.invalid(&error))?;
        config.cache.insert(
            self.token.clone(),
            verified.clone(),
            key,
            self.now,
            config.validator.refused_from(&verified),
        );
        admit(request, verified);
        Ok(())
    }

    fn common(&self) -> &Common {
        &self.config.common
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
        let token = Bytes::from(format!("{header}.{claims}.{}", part("signature")));
        let waiting = Verifying {
            unverified: validator.inspect(token.clone(), now).unwrap(),
            config: JwtValidateLayer::new(validator, ()).layer(()).config,
            token,
            now,
        };
        let shown = format!("{waiting:?}");
        assert!(!shown.contains(&claims), "{shown}");
    }
}
