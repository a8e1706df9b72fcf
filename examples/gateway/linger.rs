//! Request bodies that are taken in although nobody reads them any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

/// How much of a body, and how long, is taken in without a reader.
const BYTES: usize = 8 * 1024 * 1024;
const TIME: Duration = Duration::from_secs(5);

/// A body that takes in what still comes when it is dropped, as of a request that is refused by its
/// head. Else the connection is reset (HTTP/1.1), or the stream (HTTP/2), and a client that is still
/// sending may see that in the place of the answer.
#[derive(Debug)]
pub(crate) struct Lingering {
    /// `None`: it came to its end, or is not to be taken in.
    body: Option<Incoming>,
    lingers: bool,
}

impl Lingering {
    /// Wraps a body. `waits`: its client sends it only if it is asked to, and nobody asks for what is
    /// not read.
    pub(crate) const fn new(body: Incoming, waits: bool) -> Self {
        Self {
            body: Some(body),
            lingers: !waits,
        }
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.lingers
            && !self.is_end_stream()
            && let Some(body) = self.body.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(TIME, take_in(body)));
        }
    }
}

async fn take_in(mut body: Incoming) {
    let mut left = BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
