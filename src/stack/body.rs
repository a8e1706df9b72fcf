//! What comes back.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    layers::{key_map::KeyMapBody, list_filter::ListFilterBody, stream_guard::StreamGuardBody},
    reject::RejectBody,
};

pin_project! {
    /// The response body of [`Auth`](super::Auth): a refusal, or the inner service's own body, passed on piece
    /// by piece.
    #[derive(Debug)]
    pub struct AuthBody<B> {
        #[pin]
        inner: KeyMapBody<ListFilterBody<StreamGuardBody<B>>>,
    }
}

impl<B> AuthBody<B> {
    #[inline]
    pub(super) const fn new(inner: KeyMapBody<ListFilterBody<StreamGuardBody<B>>>) -> Self {
        Self { inner }
    }
}

impl<B: Body<Data = Bytes>> Body for AuthBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: RejectBody> RejectBody for AuthBody<B> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self {
            inner: KeyMapBody::from_bytes(bytes),
        }
    }
}
