//! The way out: what becomes of an answer.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, response::Parts};

use super::{
    AuthBody,
    stores::{GatesOf, Stores},
};
use crate::{
    error::StoreError,
    keys::UpstreamKey,
    layers::{
        audit_log::Recorder,
        key_map::KeyMapBody,
        list_filter::{self, Begun, Collect, Filter, ListFilterBody, begin},
        origin_guard,
        session_guard::{Binding, unnamed},
        shared::Common,
        stream_guard::{Guarded, StreamGuardBody, guard},
    },
    reject::{RejectBody, Rejection},
    session::{SessionOwner, SessionStore},
};

/// What is known of a request whose answer is awaited.
pub(super) struct Leaving<A: Stores> {
    pub(super) recorder: Recorder,
    pub(super) origin: Option<origin_guard::Leaving>,
    pub(super) binding: Option<Box<Binding<A::Sessions>>>,
    pub(super) key: Option<UpstreamKey>,
    pub(super) filter: Option<Box<Filter>>,
    pub(super) guarded: Option<Box<Guarded<A::Revocations>>>,
}

/// A list of which nothing is shown before it is whole.
pub(super) struct Collecting<B> {
    pub(super) collect: std::pin::Pin<Box<Collect<StreamGuardBody<B>>>>,
    filter: Box<Filter>,
    head: Parts,
}

/// What comes of an answer.
pub(super) enum Left<B, Q> {
    Answered(Response<AuthBody<B>>),
    Collecting(Box<Collecting<B>>),
    /// The store of sessions takes in what the answer says.
    Storing(Q, Box<Response<AuthBody<B>>>),
}

impl<A: Stores> AsMut<Recorder> for Leaving<A> {
    fn as_mut(&mut self) -> &mut Recorder {
        &mut self.recorder
    }
}

impl<A: Stores> Leaving<A> {
    /// The service behind has answered.
    #[inline]
    pub(super) fn answered<B: RejectBody>(
        &mut self,
        gates: &GatesOf<A>,
        response: Response<B>,
    ) -> Left<B, <A::Sessions as SessionStore>::Future> {
        let (mut head, body) = response.into_parts();
        // What is said after an upgrade is judged by nobody, and nobody may ask for one.
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let no = Rejection::upstream_error(self.recorder.facts.request.as_ref());
            return Left::Answered(self.refuse(&gates.messages.common, no));
        }
        let body = guard(&mut head, body, self.guarded.take());
        let Some(filter) = self.filter.take() else {
            return self.shown(gates, head, ListFilterBody::untouched(body));
        };
        match begin(&mut head, body, filter) {
            Begun::Passes(body) => self.shown(gates, head, body),
            Begun::Collecting(collect, filter) => Left::Collecting(Box::new(Collecting {
                collect,
                filter,
                head,
            })),
            Begun::Fails(filter, why) => {
                Left::Answered(self.refuse(filter.common(), filter.fail(why)))
            }
        }
    }

    /// The whole of a list is there.
    pub(super) fn collected<B: RejectBody>(
        &mut self,
        gates: &GatesOf<A>,
        collecting: Collecting<B>,
        collected: Result<(Bytes, Option<HeaderMap>), list_filter::Unfiltered>,
    ) -> Left<B, <A::Sessions as SessionStore>::Future> {
        let Collecting {
            filter, mut head, ..
        } = collecting;
        match list_filter::end(&mut head, collected, &filter) {
            Ok(body) => self.shown(gates, head, body),
            Err(why) => Left::Answered(self.refuse(filter.common(), filter.fail(why))),
        }
    }

    #[inline]
    fn shown<B: RejectBody>(
        &mut self,
        gates: &GatesOf<A>,
        mut head: Parts,
        body: ListFilterBody<StreamGuardBody<B>>,
    ) -> Left<B, <A::Sessions as SessionStore>::Future> {
        let at = self.note_time();
        let key = self.key.take();
        let asked = self.recorder.facts.request.as_ref();
        let keys = &gates.keys;
        if let Err(no) = keys.guard(head.status, &mut head.headers, key.as_ref(), asked) {
            return Left::Answered(self.refuse(&keys.common, no));
        }
        let question = match &self.binding {
            None => {
                unnamed(&mut head.headers);
                Ok(None)
            }
            Some(binding) => binding.answered(head.status, &mut head.headers),
        };
        let body = AuthBody::new(KeyMapBody::new(body, key));
        match question {
            Ok(None) => {
                let mut response = Response::from_parts(head, body);
                self.done(&mut response, at);
                Left::Answered(response)
            }
            Ok(Some(question)) => {
                Left::Storing(question, Box::new(Response::from_parts(head, body)))
            }
            Err(no) => Left::Answered(self.refuse(&gates.sessions.common, no)),
        }
    }

    /// The store of sessions has taken in what the answer says.
    pub(super) fn stored<B: RejectBody>(
        &mut self,
        mut response: Response<AuthBody<B>>,
        answer: Result<Option<SessionOwner>, StoreError>,
    ) -> Response<AuthBody<B>> {
        if let Some(binding) = self.binding.take()
            && let Err(no) = binding.stored(answer)
        {
            return self.refuse(&binding.config.common, no);
        }
        self.done(&mut response, None);
        response
    }

    /// Notes how long the service behind took until now.
    #[inline]
    fn note_time(&mut self) -> Option<Instant> {
        let called = self.recorder.facts.called?;
        let now = Instant::now();
        self.recorder.facts.upstream = Some(now.saturating_duration_since(called));
        Some(now)
    }

    fn refuse<B: RejectBody>(&mut self, common: &Common, no: Rejection) -> Response<B> {
        let mut response = common.respond(no);
        self.done(&mut response, None);
        response
    }

    /// Makes the answer what the client sees, as of then, if that is known.
    #[inline]
    fn done<B>(&mut self, response: &mut Response<B>, at: Option<Instant>) {
        if let Some(origin) = self.origin.take() {
            origin.head(response.headers_mut());
        }
        let (status, extensions) = (response.status(), response.extensions());
        self.recorder.answered(status, extensions, at);
    }
}
