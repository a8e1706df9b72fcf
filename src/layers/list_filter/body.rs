use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::filter::{Filter, MAX_LIST, Unfiltered};
use crate::{mcp::Events, reject::RejectBody};

pin_project! {
    /// The inner service's response body, without what the caller may not use.
    #[derive(Debug)]
    pub struct ListFilterBody<B> {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<B> {
        Untouched { #[pin] inner: B },
        // Boxed, as what reads events is, so that a body that is no list stays small: each layer outside
        // moves it.
        Json { data: Bytes, trailers: Option<Box<HeaderMap>> },
        Events { #[pin] inner: B, reading: Box<Reading> },
        Ended,
    }
}

#[derive(Debug)]
struct Reading {
    events: Events,
    filter: Box<Filter>,
    trailers: Option<HeaderMap>,
    has_ended: bool,
}

impl<B> ListFilterBody<B> {
    pub(crate) const fn untouched(inner: B) -> Self {
        Self {
            state: State::Untouched { inner },
        }
    }

    pub(super) fn json(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            state: State::Json {
                data,
                trailers: trailers.map(Box::new),
            },
        }
    }

    pub(super) fn events(inner: B, filter: Box<Filter>) -> Self {
        Self {
            state: State::Events {
                inner,
                reading: Box::new(Reading {
                    events: Events::new(MAX_LIST),
                    filter,
                    trailers: None,
                    has_ended: false,
                }),
            },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ListFilterBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut state = self.project().state;
        let frame = match state.as_mut().project() {
            Projected::Untouched { inner } => return inner.poll_frame(context),
            Projected::Json { data, trailers } => {
                if data.is_empty() {
                    trailers.take().map(|trailers| Frame::trailers(*trailers))
                } else {
                    Some(Frame::data(mem::take(data)))
                }
            }
            Projected::Events { mut inner, reading } => loop {
                if reading.has_ended {
                    break reading.trailers.take().map(Frame::trailers);
                }
                match ready!(inner.as_mut().poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => match reading.push(&data) {
                            Ok(out) if out.is_empty() => {}
                            Ok(out) => break Some(Frame::data(out)),
                            Err(last) => {
                                state.set(State::Json {
                                    data: Bytes::new(),
                                    trailers: None,
                                });
                                break (!last.is_empty()).then(|| Frame::data(last));
                            }
                        },
                        Err(frame) => reading.trailers = frame.into_trailers().ok(),
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => {
                        reading.has_ended = true;
                        let rest = reading.rest();
                        if !rest.is_empty() {
                            break Some(Frame::data(rest));
                        }
                    }
                }
            },
            Projected::Ended => None,
        };
        if frame.is_none() {
            state.set(State::Ended);
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Untouched { inner } => inner.is_end_stream(),
            State::Json { data, trailers } => data.is_empty() && trailers.is_none(),
            State::Events { .. } => false,
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Untouched { inner } => inner.size_hint(),
            State::Json { data, trailers } => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                if trailers.is_none() {
                    return SizeHint::with_exact(length);
                }
                // HTTP/1.1 has no trailers after a body whose length it says.
                let mut at_least = SizeHint::new();
                at_least.set_lower(length);
                at_least
            }
            State::Events { .. } => SizeHint::default(),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}

impl Reading {
    /// The events that are complete by now, as the caller may see them; or the last one.
    fn push(&mut self, data: &[u8]) -> Result<Bytes, Bytes> {
        let Self { events, filter, .. } = self;
        let mut out = Vec::with_capacity(data.len());
        let pushed = events.push(data, |event, is_first| {
            filter.event(event, is_first, &mut out)
        });
        self.ended(pushed, out)
    }

    /// What came after the last event. Some clients take it for one.
    fn rest(&mut self) -> Bytes {
        let mut out = Vec::new();
        let (rest, is_first) = self.events.rest();
        let filtered = self.filter.event(&rest, is_first, &mut out);
        self.ended(filtered, out).unwrap_or_else(|last| last)
    }

    fn ended(&self, filtered: Result<(), Unfiltered>, mut out: Vec<u8>) -> Result<Bytes, Bytes> {
        match filtered {
            Ok(()) => Ok(out.into()),
            Err(why) => {
                out.extend(self.filter.last_event(why));
                Err(out.into())
            }
        }
    }
}

impl<B: RejectBody> RejectBody for ListFilterBody<B> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self::untouched(B::from_bytes(bytes))
    }
}
