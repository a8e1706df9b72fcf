//! Streams that end in good order when the process does.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// No new connections; requests in flight go on.
    Draining,
    /// Whatever still streams ends now.
    Closing,
}

pin_project_lite::pin_project! {
    /// A body that ends, if it is an event stream, when the process reaches a phase. The client
    /// sees the end of a stream, not a broken connection; the upstream sees a client that left.
    pub(crate) struct Ending<B> {
        #[pin]
        body: Option<B>,
        end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }
}

impl<B: Body<Data = Bytes>> Ending<B> {
    /// Wraps a response's body.
    pub(crate) fn stream(
        response: Response<B>,
        phases: &watch::Receiver<Phase>,
        until: Phase,
    ) -> Response<Self> {
        let streams = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        response.map(|body| Self {
            body: Some(body),
            end: streams.then(|| -> Pin<Box<dyn Future<Output = ()> + Send>> {
                let mut phases = phases.clone();
                Box::pin(async move {
                    // An error says that the process is past its last phase.
                    let _ = phases.wait_for(|phase| *phase >= until).await;
                })
            }),
        })
    }

    /// The answer to a `HEAD`. A server of HTTP/1.1 leaves its body out by itself, that of HTTP/2 sends
    /// it, which clients take for an error of the connection.
    pub(crate) fn head(response: Response<B>) -> Response<Self> {
        let length = response.body().size_hint().exact();
        let mut response = response.map(|_| Self {
            body: None,
            end: None,
        });
        // Of an empty body that is the answer to a `HEAD` already, nobody knows how long another was.
        if let Some(length @ 1..) = length {
            let headers = response.headers_mut();
            headers
                .entry(CONTENT_LENGTH)
                .or_insert_with(|| length.into());
        }
        response
    }
}

impl<B: Body<Data = Bytes>> Body for Ending<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(end) = this.end
            && end.as_mut().poll(cx).is_ready()
        {
            *this.end = None;
            this.body.set(None);
        }
        match this.body.as_mut().as_pin_mut() {
            Some(body) => {
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame)
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
