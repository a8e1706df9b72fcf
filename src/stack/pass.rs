//! What each gate says, and which one is the next.

use std::sync::Arc;

use bytes::Bytes;
use http::{header, request::Parts};
use http_body::Body;

use super::{
    enter::{Entering, Gate, Stop, judged},
    stores::{GatesOf, Stores},
};
use crate::{
    audit::{AuditRateLimit, Text},
    error::StoreError,
    keys::{KeyStore, UpstreamKey, UpstreamKeyId},
    layers::{
        audit_log::SESSION,
        jwt_validate::Checked,
        key_map,
        list_filter::{self, Filter},
        mcp_request::{McpBody, expects_message, message, no_message},
        origin_guard::{self, Entered, is_preflight},
        rate_limit::{self, Known},
        session_guard::{self, Binding},
        shared::fields,
        stream_guard,
    },
    mcp::McpRequest,
    rate::Verdict,
    reject::Rejection,
    revocation::{Revocation, RevocationStore},
    session::{SessionOwner, SessionStore},
    token::VerifiedToken,
};

impl<B, A> Entering<B, A>
where
    B: Body<Data = Bytes> + Unpin,
    A: Stores,
{
    /// Who may ask, and whether he asks for what is open to all.
    #[inline]
    pub(super) fn arrive<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        let Parts {
            method,
            uri,
            headers,
            extensions,
            ..
        } = head;
        let names = [
            &header::HOST,
            &header::ORIGIN,
            &header::AUTHORIZATION,
            &SESSION,
        ];
        let [host, origin, authorization, session] = fields(headers, names);
        let recorder = &mut self.leaving.recorder;
        match &gates.audit {
            Some(audit) => {
                let audit = Arc::clone(audit);
                recorder.start(audit, method, session.first(), Some(self.now));
            }
            None => recorder.tell(extensions.get()),
        }
        let entered = gates.origins.enter(method, uri, headers, [host, origin]);
        let is_open = matches!(entered, Ok(Entered::Passes(origin_guard::Leaving::Open)));
        let action = &mut recorder.facts.action;
        if is_preflight(method, headers) && !is_open {
            *action = Some("preflight");
        }
        match judged(&gates.origins.common, entered)? {
            Entered::Passes(origin) => self.leaving.origin = Some(origin),
            Entered::Preflight(cors) => return Err(Stop::Preflight(cors)),
        }
        if gates.document.is_at(uri.path()) {
            *action = Some("metadata");
            return Err(Stop::Metadata);
        }
        let common = gates.tokens.common();
        let checked = gates
            .tokens
            .check(authorization, uri, common.now_or(self.now));
        match judged(common, checked)? {
            Checked::Verified(token) => self.verified(gates, head, token),
            Checked::Waits(question, waiting) => {
                self.gate = Gate::Token(question, waiting);
                Ok(())
            }
        }
    }

    /// The proof stands in the place of the credentials.
    #[inline]
    pub(super) fn verified<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        token: VerifiedToken,
    ) -> Result<(), Stop<'g>> {
        head.headers.remove(header::AUTHORIZATION);
        let question = gates
            .revocation
            .as_ref()
            .map(|config| config.store.status(&token));
        self.leaving.recorder.facts.token = Some(token);
        match question {
            Some(question) => {
                self.gate = Gate::Revocation(question);
                Ok(())
            }
            None => self.unrevoked(gates, head),
        }
    }

    #[inline]
    pub(super) fn checked<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        answer: Result<Revocation, StoreError>,
    ) -> Result<(), Stop<'g>> {
        self.is_active(gates, answer)?;
        self.unrevoked(gates, head)
    }

    #[inline]
    fn unrevoked<'g>(&mut self, gates: &'g GatesOf<A>, head: &mut Parts) -> Result<(), Stop<'g>> {
        let Parts {
            method, headers, ..
        } = head;
        let common = &gates.messages.common;
        if judged(common, expects_message(method, headers))? {
            self.admitted = self.now;
            self.gate = Gate::Message;
            return Ok(());
        }
        let asked = judged(common, no_message(method, headers))?;
        self.asked(gates, head, asked)
    }

    #[inline]
    pub(super) fn read<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        body: Bytes,
    ) -> Result<(), Stop<'g>> {
        let asked = judged(&gates.messages.common, message(&head.headers, &body))?;
        self.message = McpBody::new(body);
        self.asked(gates, head, asked)
    }

    /// What is asked, and in whose session.
    #[inline]
    fn asked<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        asked: McpRequest,
    ) -> Result<(), Stop<'g>> {
        let sessions = &gates.sessions;
        let named = session_guard::named_by(&mut head.headers, &asked);
        self.leaving.recorder.facts.request = Some(asked);
        match judged(&sessions.common, named)? {
            Some(session) => {
                let now = sessions.common.now_or(self.now);
                self.gate = Gate::Session(sessions.store.owner(session, now));
                Ok(())
            }
            None => self.owned(gates, head),
        }
    }

    pub(super) fn looked_up<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        answer: Result<Option<SessionOwner>, StoreError>,
    ) -> Result<(), Stop<'g>> {
        let common = &gates.sessions.common;
        let (token, asked) = self.known(common)?;
        let caller = SessionOwner::of(token.principal());
        let judgement = session_guard::judge(answer, &caller, Some(asked), common);
        judged(common, judgement)?;
        self.owned(gates, head)
    }

    /// What is granted, and what it takes.
    #[inline]
    fn owned<'g>(&mut self, gates: &'g GatesOf<A>, head: &mut Parts) -> Result<(), Stop<'g>> {
        let common = &gates.scopes.common;
        let (token, asked) = self.known(common)?;
        let Parts {
            method,
            headers,
            extensions,
            ..
        } = head;
        let binding = Binding::of(&gates.sessions, method, headers, token, asked);
        let granted = gates.scopes.judge(token, asked, common.now_or(self.now));
        let takes = match (&granted, &gates.limits) {
            (Ok(_), Some(limits)) => {
                let known = Known {
                    headers,
                    extensions,
                    token: Some(token),
                    asked: Some(asked),
                };
                limits.takes(&known, limits.common.now_or(self.now))
            }
            _ => Ok(None),
        };
        self.leaving.binding = binding;
        self.leaving.recorder.facts.required = Some(match &granted {
            Ok(granted) => granted.grant().scope().clone(),
            Err(rejection) => rejection.required().clone(),
        });
        self.granted = Some(judged(common, granted)?);
        match (takes, &gates.limits) {
            (Ok(Some(question)), _) => {
                self.gate = Gate::Limit(question);
                Ok(())
            }
            (Err(rejection), Some(limits)) => Err(Stop::Refused(&limits.common, rejection)),
            _ => self.within_limits(gates, head),
        }
    }

    #[inline]
    pub(super) fn counted<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        answer: Result<Verdict, StoreError>,
    ) -> Result<(), Stop<'g>> {
        if let Some(limits) = &gates.limits {
            let (facts, common) = (&mut self.leaving.recorder.facts, &limits.common);
            let (outcome, counted) = rate_limit::judge(answer, facts.request.as_ref(), common);
            facts.rate_limit = outcome;
            judged(common, counted)?;
        }
        self.within_limits(gates, head)
    }

    /// Which key the service behind is to see.
    #[inline]
    fn within_limits<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        gates.keys.strip(&mut head.headers);
        let Some(store) = &gates.keys.store else {
            return self.equipped(gates, head);
        };
        let Some(granted) = self.granted.take() else {
            let common = &gates.keys.common;
            return Err(Stop::Refused(common, Rejection::layer_missing()));
        };
        // Lent, not cloned: each clone is a step that two threads cannot take at once.
        let id = UpstreamKeyId::of(granted);
        self.gate = Gate::Key(store.key(&id));
        self.granted = id.into_granted();
        Ok(())
    }

    #[inline]
    pub(super) fn keyed<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        answer: Result<Option<UpstreamKey>, StoreError>,
    ) -> Result<(), Stop<'g>> {
        let facts = &mut self.leaving.recorder.facts;
        let common = &gates.keys.common;
        let key = key_map::judge(answer, facts.request.as_ref(), common);
        let key = judged(common, key)?;
        facts.key_name = Some(Text::new(key.name()));
        gates.keys.inject(&key, &mut head.headers);
        self.leaving.key = Some(key);
        self.equipped(gates, head)
    }

    /// What of the answer is shown, and for how long.
    #[inline]
    fn equipped<'g>(&mut self, gates: &'g GatesOf<A>, head: &mut Parts) -> Result<(), Stop<'g>> {
        let common = &gates.streams.common;
        let (token, asked) = self.known(common)?;
        let lists = gates.lists.as_ref();
        let filter = lists.and_then(|lists| Filter::of(lists, token, asked));
        let guarded = stream_guard::guarded(&gates.streams, &head.method, token, asked);
        if filter.is_some() {
            list_filter::ask_for_plain(&mut head.headers);
        }
        if guarded.is_err() {
            let facts = &mut self.leaving.recorder.facts;
            facts.add_rate_limit(Some(AuditRateLimit::Limited));
        }
        self.leaving.filter = filter;
        if let Some(guarded) = judged(common, guarded)? {
            let leaving = &mut self.leaving;
            let trail = leaving.recorder.trail().cloned();
            leaving.filter = leaving.filter.take().map(|it| it.telling(trail.clone()));
            leaving.guarded = Some(guarded.telling(trail));
        }
        self.gate = Gate::Passed;
        Ok(())
    }
}
