use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Response, response::Parts};
use pin_project_lite::pin_project;

use super::{
    ListFilterBody,
    answer::{Begun, begin, end},
    collect::Collect,
    filter::Filter,
};
use crate::reject::RejectBody;

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
                    let (mut head, body) = response.into_parts();
                    match begin(&mut head, body, filter) {
                        Begun::Passes(body) => {
                            return Poll::Ready(Ok(Response::from_parts(head, body)));
                        }
                        Begun::Collecting(body, filter) => {
                            *this.filter = Some(filter);
                            State::Collecting {
                                body,
                                head: Some(Box::new(head)),
                            }
                        }
                        Begun::Fails(filter, why) => {
                            return Poll::Ready(Ok(filter.common().respond(filter.fail(why))));
                        }
                    }
                }
                Projected::Collecting { body, head } => {
                    let collected = ready!(body.as_mut().poll(context));
                    let (Some(head), Some(filter)) = (head.take(), this.filter.take()) else {
                        // Polled after it was ready, which no executor does.
                        return Poll::Pending;
                    };
                    let mut head = *head;
                    return Poll::Ready(Ok(match end(&mut head, collected, &filter) {
                        Ok(body) => Response::from_parts(head, body),
                        Err(why) => filter.common().respond(filter.fail(why)),
                    }));
                }
            };
            this.state.set(next);
        }
    }
}

impl<F, B> fmt::Debug for ListFilterFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListFilterFuture").finish_non_exhaustive()
    }
}
