use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{AuthBody, AuthFuture, AuthStack, Off, enter::Entering, future::Waiting, gates::Gates};
use crate::{
    keys::{KeyStore, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId},
    layers::mcp_request::McpBody,
    rate::RateLimitStore,
    reject::RejectBody,
    revocation::RevocationStore,
    session::{MemorySessionStore, SessionStore},
};

/// The service of [`AuthStack`].
//
// It is one service, not one a layer: those each clone their settings with every request and hand
// the request on by value, which took a third of the time. What a layer decides stands in the layer, in
// its `gate`, and its own service decides by the same.
pub struct Auth<S, K, V = Off, L = Off, U = Off, T = MemorySessionStore> {
    inner: S,
    gates: Arc<Gates<K, V, L, U, T>>,
}

impl<S, K, V, L, U, T> Layer<S> for AuthStack<K, V, L, U, T>
where
    K: Clone,
    V: Clone,
    L: Clone,
    U: Clone,
    T: Clone,
{
    type Service = Auth<S, K, V, L, U, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth {
            inner,
            gates: Arc::new(Gates::of(self)),
        }
    }
}

impl<S: Clone, K, V, L, U, T> Clone for Auth<S, K, V, L, U, T> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            gates: Arc::clone(&self.gates),
        }
    }
}

impl<S, K, V, L, U, T> fmt::Debug for Auth<S, K, V, L, U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

impl<S, K, V, L, U, T, B, ResB> Service<Request<B>> for Auth<S, K, V, L, U, T>
where
    S: Service<Request<McpBody>, Response = Response<ResB>> + Clone,
    K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    T: SessionStore,
    B: Body<Data = Bytes> + Unpin,
    ResB: RejectBody,
{
    type Response = Response<AuthBody<ResB>>;
    type Error = S::Error;
    type Future = AuthFuture<S, B, ResB, (K, V, L, U, T)>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    /// A request whose answers are all there is let in at once. Only for one that must wait the
    /// service that is ready is taken, and a clone left in its place.
    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gates = Arc::clone(&self.gates);
        let (mut head, body) = request.into_parts();
        let mut entering = Entering::new(body, gates.now());
        match entering.go_on(&gates, &mut head, None) {
            Poll::Ready(Ok(())) => {
                let future = self.inner.call(entering.passed(head));
                AuthFuture::passed(gates, future, entering.leaving)
            }
            Poll::Ready(Err(response)) => {
                AuthFuture::stopped(gates, entering.leaving.recorder, *response)
            }
            Poll::Pending => {
                let not_ready = self.inner.clone();
                let ready = mem::replace(&mut self.inner, not_ready);
                AuthFuture::entering(
                    gates,
                    Waiting {
                        head,
                        entering,
                        ready,
                    },
                )
            }
        }
    }
}
