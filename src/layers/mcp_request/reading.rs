//! Reads a body within its bounds.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::layer::Config;
use crate::{error::Reason, reject::Rejection};

pin_project! {
    /// The pieces of a body that came so far.
    pub(crate) struct Reading<B> {
        #[pin]
        body: B,
        pieces: Pieces,
        // Made when the body first lets us wait, so that a body that is there needs no runtime.
        timer: Option<Box<Timer>>,
    }
}

struct Timer {
    sleep: Pin<Box<Sleep>>,
    whole_body: Instant,
}

/// What came: one piece is kept as it is, several are copied into one.
enum Pieces {
    One(Bytes),
    Several(BytesMut),
}

impl Pieces {
    fn len(&self) -> usize {
        match self {
            Self::One(piece) => piece.len(),
            Self::Several(pieces) => pieces.len(),
        }
    }

    fn push(&mut self, piece: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *self = Self::One(piece),
            Self::One(first) => {
                let mut pieces = BytesMut::with_capacity((first.len() + piece.len()) * 2);
                pieces.extend_from_slice(first);
                pieces.extend_from_slice(&piece);
                *self = Self::Several(pieces);
            }
            Self::Several(pieces) => pieces.extend_from_slice(&piece),
        }
    }

    fn take(&mut self) -> Bytes {
        match std::mem::replace(self, Self::One(Bytes::new())) {
            Self::One(piece) => piece,
            Self::Several(pieces) => pieces.freeze(),
        }
    }
}

impl<B: Body<Data = Bytes>> Reading<B> {
    #[inline]
    pub(crate) const fn new(body: B) -> Self {
        Self {
            body,
            pieces: Pieces::One(Bytes::new()),
            timer: None,
        }
    }

    /// The whole body, or why it is refused. Trailers are dropped: nothing in them was judged.
    #[inline]
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        config: &Config,
    ) -> Poll<Result<Bytes, Rejection>> {
        if let Poll::Ready(body) = self.as_mut().poll_body(context, config) {
            return Poll::Ready(body);
        }
        let timer = self.project().timer;
        let timer = timer.get_or_insert_with(|| Box::new(Timer::start(config)));
        ready!(timer.sleep.as_mut().poll(context));
        Poll::Ready(Err(too_slow()))
    }

    /// The same, as far as it is there already: nobody is woken when more comes.
    pub(crate) fn poll_at_once(
        self: Pin<&mut Self>,
        config: &Config,
    ) -> Poll<Result<Bytes, Rejection>> {
        self.poll_body(&mut Context::from_waker(Waker::noop()), config)
    }

    fn poll_body(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        config: &Config,
    ) -> Poll<Result<Bytes, Rejection>> {
        let mut this = self.project();
        if this.body.size_hint().lower() > config.max_body as u64 {
            return Poll::Ready(Err(too_large()));
        }
        loop {
            match this.body.as_mut().poll_frame(context) {
                Poll::Ready(None) => return Poll::Ready(Ok(this.pieces.take())),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(timer) = this.timer {
                        timer.restart(config);
                    }
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    if piece.len() > config.max_body - this.pieces.len() {
                        return Poll::Ready(Err(too_large()));
                    }
                    this.pieces.push(piece);
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(broken())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Timer {
    fn start(config: &Config) -> Self {
        let now = Instant::now();
        let whole_body = now + config.whole_body;
        let next_piece = now + config.between_pieces;
        Self {
            sleep: Box::pin(sleep_until(next_piece.min(whole_body))),
            whole_body,
        }
    }

    fn restart(&mut self, config: &Config) {
        let next_piece = Instant::now() + config.between_pieces;
        self.sleep.as_mut().reset(next_piece.min(self.whole_body));
    }
}

fn too_large() -> Rejection {
    Rejection::new(
        Reason::TooLarge,
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large",
    )
}

fn too_slow() -> Rejection {
    Rejection::new(
        Reason::Timeout,
        StatusCode::REQUEST_TIMEOUT,
        "The body took too long",
    )
}

fn broken() -> Rejection {
    Rejection::new(
        Reason::MalformedMessage,
        StatusCode::BAD_REQUEST,
        "The body broke off",
    )
}
