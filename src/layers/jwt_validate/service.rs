use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header};
use tower_service::Service;

use super::{
    gate::{Checked, Gate, Waiting},
    layer::Config,
};
use crate::{
    error::StoreError,
    keys::{KeyStore, VerificationKey, VerificationKeyId},
    layers::shared::{Common, Judge, ResponseFuture, fields, trail},
    reject::{RejectBody, Rejection},
    token::VerifiedToken,
};

/// The service of [`JwtValidateLayer`](crate::JwtValidateLayer).
#[derive(Clone, Debug)]
pub struct JwtValidateService<S, K> {
    inner: S,
    gate: Arc<Gate<K>>,
}

impl<S, K> JwtValidateService<S, K> {
    pub(super) fn new(inner: S, config: Config<K>) -> Self {
        Self {
            inner,
            gate: Arc::new(Gate::new(config)),
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
        let gate = &self.gate;
        let now = gate.common().now();
        let [authorization] = fields(request.headers(), [&header::AUTHORIZATION]);
        match gate.check(authorization, request.uri(), now) {
            Ok(Checked::Verified(verified)) => {
                admit(&mut request, verified);
                ResponseFuture::call(&mut self.inner, request)
            }
            Ok(Checked::Waits(question, waiting)) => {
                let gate = Arc::clone(gate);
                let judge = Verifying { gate, waiting };
                ResponseFuture::wait(&mut self.inner, request, question, judge)
            }
            Err(rejection) => ResponseFuture::refuse(gate.common(), rejection),
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

/// Verifies a token once its key is there.
pub struct Verifying<K> {
    gate: Arc<Gate<K>>,
    waiting: Box<Waiting>,
}

impl<K, S, B> Judge<S, B> for Verifying<K> {
    type Answer = Result<Option<VerificationKey>, StoreError>;

    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        admit(request, self.gate.check_waiting(&self.waiting, answer)?);
        Ok(())
    }

    fn common(&self) -> &Common {
        self.gate.common()
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
        clock::UnixTime, layers::jwt_validate::JwtValidateLayer, testing::ClaimsBuilder,
        token::JwtValidator,
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
            waiting: Box::new(Waiting::new(validator.inspect(token, now).unwrap(), now)),
            gate: JwtValidateLayer::new(validator, ()).layer(()).gate,
        };
        let shown = format!("{waiting:?}");
        assert!(!shown.contains(&claims), "{shown}");
    }
}
