use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{open::OpenStream, watch::Verdict};
use crate::{
    error::Reason,
    mcp::{EventEnds, RequestId},
    reject::RejectBody,
    trail::{AuthTrail, StreamEnd},
};

pin_project! {
    /// The inner service's response body, which ends when it may no longer be read.
    #[derive(Debug)]
    pub struct StreamGuardBody<B> {
        // `None`: the stream was ended.
        #[pin]
        inner: Option<B>,
        // `None`: nobody watches over it.
        guard: Option<Box<Guard>>,
    }
}

/// What watches over a stream.
pub(super) struct Guard {
    /// Never locked: it makes the body `Sync`, whatever the future of the store is.
    pub(super) watch: Mutex<Pin<Box<dyn Future<Output = Verdict> + Send>>>,
    /// The `id` of a subscription that is to end in good order.
    pub(super) subscription: Option<RequestId>,
    pub(super) ends: EventEnds,
    pub(super) end: EndTold,
    pub(super) _open: Option<OpenStream>,
}

/// Tells the audit log how the stream ended, once.
pub(super) struct EndTold(Option<AuthTrail>);

impl EndTold {
    pub(super) fn to(trail: Option<AuthTrail>) -> Self {
        if let Some(trail) = &trail {
            trail.stream_is_guarded();
        }
        Self(trail)
    }

    fn tell(&mut self, verdict: Verdict, cancelled: bool) {
        if let Some(trail) = self.0.take() {
            trail.stream_ended(StreamEnd {
                reason: verdict.reason,
                cancelled,
                revocation: verdict.revocation,
            });
        }
    }
}

impl Drop for EndTold {
    /// The client went away.
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        let reason = if panicked {
            Reason::Internal
        } else {
            Reason::Ok
        };
        self.tell(by(reason), !panicked);
    }
}

/// Ended by others.
const fn by(reason: Reason) -> Verdict {
    Verdict {
        reason,
        revocation: None,
    }
}

impl Guard {
    #[inline]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Verdict> {
        let watch = self.watch.get_mut();
        let watch = watch.unwrap_or_else(PoisonError::into_inner);
        watch.as_mut().poll(context)
    }

    /// The result of a subscription (MCP 2026-07-28, Subscriptions, "Graceful Closure"). In the
    /// middle of an event it could not be told from the event.
    fn last_event(&self) -> Option<Bytes> {
        let id = self.subscription.as_ref()?.as_json();
        (!self.ends.is_inside()).then(|| {
            let result = format!(
                r#"{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
            );
            format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n").into()
        })
    }

    fn saw(&mut self, frame: &Frame<Bytes>) {
        if let (Some(_), Some(data)) = (&self.subscription, frame.data_ref()) {
            for byte in data {
                self.ends.push(*byte);
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<B> StreamGuardBody<B> {
    #[inline]
    pub(super) fn new(inner: B, guard: Option<Guard>) -> Self {
        Self {
            inner: Some(inner),
            guard: guard.map(Box::new),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for StreamGuardBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(guard) = this.guard else {
            return inner.poll_frame(context);
        };
        // Before the next frame: what comes too late is not shown.
        if let Poll::Ready(verdict) = guard.poll(context) {
            let last = guard.last_event();
            guard.end.tell(verdict, false);
            *this.guard = None;
            this.inner.set(None);
            return Poll::Ready(last.map(|last| Ok(Frame::data(last))));
        }
        let frame = ready!(inner.poll_frame(context));
        let reason = match &frame {
            Some(Ok(frame)) => {
                guard.saw(frame);
                // Nobody need look for more after trailers, or after the end was announced.
                let is_last = frame.is_trailers()
                    || this
                        .inner
                        .as_ref()
                        .as_pin_ref()
                        .is_none_or(|it| it.is_end_stream());
                is_last.then_some(Reason::Ok)
            }
            Some(Err(_)) => Some(Reason::UpstreamError),
            None => Some(Reason::Ok),
        };
        if let Some(reason) = reason {
            guard.end.tell(by(reason), false);
            *this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.guard) {
            (None, _) => SizeHint::with_exact(0),
            (Some(inner), None) => inner.size_hint(),
            (Some(_), Some(_)) => SizeHint::default(),
        }
    }
}

impl<B: RejectBody> RejectBody for StreamGuardBody<B> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self::new(B::from_bytes(bytes), None)
    }
}
