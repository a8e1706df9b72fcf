use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{keys::UpstreamKey, reject::RejectBody};

pin_project! {
    /// The inner service's response body, whose trailers do not hold the injected key.
    #[derive(Debug)]
    pub struct KeyMapBody<B> {
        #[pin]
        inner: B,
        key: Option<UpstreamKey>,
    }
}

impl<B> KeyMapBody<B> {
    #[inline]
    pub(crate) const fn new(inner: B, key: Option<UpstreamKey>) -> Self {
        Self { inner, key }
    }
}

impl<B: Body<Data = Bytes>> Body for KeyMapBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let mut frame = ready!(this.inner.poll_frame(context));
        if let (Some(Ok(frame)), Some(key)) = (&mut frame, this.key)
            && let Some(trailers) = frame.trailers_mut()
        {
            remove_key(trailers, key);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: RejectBody> RejectBody for KeyMapBody<B> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self::new(B::from_bytes(bytes), None)
    }
}

/// Removes every field that holds the key, and no other of the same name.
pub(super) fn remove_key(headers: &mut http::HeaderMap, key: &UpstreamKey) {
    let secret = key.secret().expose().as_bytes();
    let first = secret.first();
    let holds = |value: &HeaderValue| {
        value
            .as_bytes()
            .windows(secret.len())
            // Most places are told apart by the first byte, for which nothing is called.
            .any(|window| window.first() == first && window == secret)
    };
    if !headers.values().any(holds) {
        return;
    }
    let all = std::mem::take(headers);
    let mut name = None;
    for (next, value) in all {
        // Only the first field of a name comes with it.
        name = next.or(name);
        if let Some(name) = &name
            && !holds(&value)
        {
            headers.append(name.clone(), value);
        }
    }
}
