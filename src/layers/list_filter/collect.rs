//! Takes a whole body in, up to a limit.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use pin_project_lite::pin_project;

use super::filter::{MAX_LIST, Unfiltered};

pin_project! {
    pub(crate) struct Collect<B> {
        #[pin]
        body: B,
        data: Vec<u8>,
        trailers: Option<HeaderMap>,
    }
}

impl<B: Body<Data = Bytes>> Collect<B> {
    #[inline]
    pub(super) const fn new(body: B) -> Self {
        Self {
            body,
            data: Vec::new(),
            trailers: None,
        }
    }

    #[inline]
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Bytes, Option<HeaderMap>), Unfiltered>> {
        let mut this = self.project();
        loop {
            match ready!(this.body.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if this.data.len().saturating_add(data.len()) > MAX_LIST => {
                        return Poll::Ready(Err(Unfiltered::TOO_LONG));
                    }
                    Ok(data) => this.data.extend_from_slice(&data),
                    Err(frame) => *this.trailers = frame.into_trailers().ok(),
                },
                Some(Err(_)) => return Poll::Ready(Err(Unfiltered::BROKEN)),
                None => {
                    let data = std::mem::take(this.data).into();
                    return Poll::Ready(Ok((data, this.trailers.take())));
                }
            }
        }
    }
}
