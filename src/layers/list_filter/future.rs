use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, response::Parts};
use pin_project_lite::pin_project;

use super::{
    ListFilterBody,
    collect::Collect,
    filter::{Filter, Unfiltered},
};
use crate::{
    layers::shared::{is_encoded, is_event_stream, is_json},
    reject::RejectBody,
};

pin_project! {
    /// The response of [`ListFilterService`](super::ListFilterService).
    pub struct ListFilterFuture<F, B> {
        #[pin]
        state: State<F, B>,
        // `None`: the answer passes untouched.
        filter: Option<Box<Filter>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B> {
        Inner { #[pin] future: F },
        // Boxed, as the filter is, so that the future of an answer that is no list stays small.
        Collecting { body: Pin<Box<Collect<B>>>, head: Option<Box<Parts>> },
    }
}

impl<F, B> ListFilterFuture<F, B> {
    #[inline]
    pub(super) const fn new(future: F, filter: Option<Box<Filter>>) -> Self {
        Self {
            state: State::Inner { future },
            filter,
        }
    }
}

impl<F, B, E> Future for ListFilterFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: RejectBody,
{
    type Output = Result<Response<ListFilterBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Inner { future } => {
                    let response = match ready!(future.poll(context)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                    let Some(filter) = this.filter.take() else {
                        return Poll::Ready(Ok(response.map(ListFilterBody::untouched)));
                    };
                    match begin(response, filter) {
                        Begun::Answered(response) => return Poll::Ready(Ok(response)),
                        Begun::Collecting(body, head, filter) => {
                            *this.filter = Some(filter);
                            State::Collecting {
                                body: Box::pin(Collect::new(body)),
                                head: Some(Box::new(head)),
                            }
                        }
                    }
                }
                Projected::Collecting { body, head } => {
                    let collected = ready!(body.as_mut().poll(context));
                    let (Some(head), Some(filter)) = (head.take(), this.filter.take()) else {
                        // Polled after it was ready, which no executor does.
                        return Poll::Pending;
                    };
                    let response = collected
                        .and_then(|(data, trailers)| end(*head, data, trailers, &filter))
                        .unwrap_or_else(|why| fail(&filter, why));
                    return Poll::Ready(Ok(response));
                }
            };
            this.state.set(next);
        }
    }
}

enum Begun<B> {
    Answered(Response<ListFilterBody<B>>),
    Collecting(B, Parts, Box<Filter>),
}

/// Looks at the head of the answer.
fn begin<B: RejectBody>(response: Response<B>, filter: Box<Filter>) -> Begun<B> {
    let headers = response.headers();
    if is_event_stream(headers) {
        if is_encoded(headers) {
            return Begun::Answered(fail(&filter, Unfiltered::ENCODED));
        }
        let (mut head, inner) = response.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        let body = ListFilterBody::events(inner, filter);
        return Begun::Answered(Response::from_parts(head, body));
    }
    // What a GET gets, and an error that is no message, holds no list.
    let is_message = response.status().is_success() || is_json(headers);
    if !filter.is_asked() || !is_message || response.body().is_end_stream() {
        return Begun::Answered(response.map(ListFilterBody::untouched));
    }
    if is_encoded(headers) {
        return Begun::Answered(fail(&filter, Unfiltered::ENCODED));
    }
    let (head, body) = response.into_parts();
    Begun::Collecting(body, head, filter)
}

/// Looks at the whole of it.
fn end<B: RejectBody>(
    mut head: Parts,
    data: Bytes,
    trailers: Option<HeaderMap>,
    filter: &Filter,
) -> Result<Response<ListFilterBody<B>>, Unfiltered> {
    // No message at all, as for a notification that was taken in.
    if data.is_empty() {
        return Ok(Response::from_parts(
            head,
            ListFilterBody::json(data, trailers),
        ));
    }
    if !is_json(&head.headers) {
        return Err(Unfiltered::OTHER_TYPE);
    }
    let Some(edited) = filter.json(&data)? else {
        return Ok(Response::from_parts(
            head,
            ListFilterBody::json(data, trailers),
        ));
    };
    if head.headers.contains_key(header::CONTENT_LENGTH) {
        let length = HeaderValue::from(edited.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
    }
    // These speak of what the body was before.
    for name in [
        header::ETAG,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("repr-digest"),
    ] {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(
        head,
        ListFilterBody::json(edited, trailers),
    ))
}

fn fail<B: RejectBody>(filter: &Filter, why: Unfiltered) -> Response<ListFilterBody<B>> {
    filter.config.common.respond(filter.fail(why))
}

impl<F, B> fmt::Debug for ListFilterFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListFilterFuture").finish_non_exhaustive()
    }
}
