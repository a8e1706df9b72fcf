//! What is counted, for whom, and how much.

use std::{borrow::Cow, net::IpAddr, num::NonZeroU32, sync::Arc};

use http::{Extensions, HeaderMap};

use super::takes::Several;
use crate::{
    mcp::{McpRequest, Message, Target},
    rate::{Quota, RateKey},
    token::VerifiedToken,
};

/// The address of the peer, for limits that count by it: put it into the request's extensions
/// where connections are accepted. Never take it from a header that a client can write.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::{Router, extract::{ConnectInfo, Request}, middleware::map_request};
/// use mcp_auth::PeerAddr;
///
/// /// In an axum service that is made with connect info.
/// async fn note_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
///     request.extensions_mut().insert(PeerAddr::new(peer.ip()));
///     request
/// }
///
/// // Outside of the limit, so behind it here.
/// let app: Router = Router::new().layer(map_request(note_peer));
/// let service = app.into_make_service_with_connect_info::<SocketAddr>();
/// # let _ = service;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(IpAddr);

impl PeerAddr {
    /// The address of the peer.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address)
    }

    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

/// What is known of a request where it is counted.
pub(crate) struct Known<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// Where the address of the peer is.
    pub(crate) extensions: &'a Extensions,
    pub(crate) token: Option<&'a VerifiedToken>,
    pub(crate) asked: Option<&'a McpRequest>,
}

impl<'a> Known<'a> {
    pub(super) fn of(headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        Self {
            headers,
            extensions,
            token: extensions.get(),
            asked: extensions.get(),
        }
    }

    fn peer(&self) -> Option<&PeerAddr> {
        self.extensions.get()
    }
}

/// One limit: a name, a quota, what it counts and for whom.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimit {
    /// The part of every count's key that is always the same.
    key: RateKey,
    quota: Quota,
    methods: Methods,
    by: By,
    costs: Vec<(Box<str>, NonZeroU32)>,
}

#[derive(Clone, Debug)]
enum Methods {
    /// Every request, read or not.
    Requests,
    /// The messages of these methods.
    Named(Vec<Box<str>>),
}

#[derive(Clone, Copy, Debug, Default)]
struct By {
    principal: bool,
    client: bool,
    tool: bool,
    session: bool,
    peer: bool,
}

impl RateLimit {
    /// `quota` of `tools/call` for each principal. The name is part of every count's key: two
    /// limits of one name share their counts.
    pub fn new(name: impl Into<Cow<'static, str>>, quota: Quota) -> Self {
        Self {
            key: RateKey::new(name),
            quota,
            methods: Methods::Named(vec!["tools/call".into()]),
            by: By {
                principal: true,
                ..By::default()
            },
            costs: Vec::new(),
        }
    }

    /// `quota` of requests of any kind for each peer address, known caller or not: stands in front
    /// of the token check, to slow down floods of bad tokens. Needs a [`PeerAddr`].
    pub fn of_peers(name: impl Into<Cow<'static, str>>, quota: Quota) -> Self {
        Self {
            methods: Methods::Requests,
            by: By {
                peer: true,
                ..By::default()
            },
            ..Self::new(name, quota)
        }
    }

    /// Counts these methods, each by its whole name, instead of `tools/call`.
    pub fn with_methods<I>(mut self, methods: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.methods = Methods::Named(methods.into_iter().map(Into::into).collect());
        self
    }

    /// Counts for all principals of a client together (issuer and `client_id`). Who has no
    /// `client_id` is counted alone.
    pub const fn per_client(mut self) -> Self {
        self.by.principal = false;
        self.by.client = true;
        self
    }

    /// Counts each tool, prompt or resource apart. Of requests of any kind it counts the messages, and
    /// must stand where they were read.
    pub const fn per_tool(mut self) -> Self {
        self.by.tool = true;
        self
    }

    /// Counts each session apart.
    pub const fn per_session(mut self) -> Self {
        self.by.session = true;
        self
    }

    /// Counts each peer address apart. Needs a [`PeerAddr`].
    pub const fn per_peer(mut self) -> Self {
        self.by.peer = true;
        self
    }

    /// Lets a tool cost more than 1: by its name, or by a pattern with `*` at the end. The first
    /// pattern that fits counts. A cost of 0 counts as 1; one above the quota's burst is never let
    /// through.
    pub fn with_cost(mut self, tool: impl Into<Box<str>>, cost: u32) -> Self {
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        self.costs.push((tool.into(), cost));
        self
    }

    /// Adds what is to be taken for a request, count by count; the error names what is missing in
    /// front.
    pub(super) fn takes(&self, known: &Known<'_>, takes: &mut Several) -> Result<(), &'static str> {
        let by = &self.by;
        if (by.principal || by.client) && known.token.is_none() {
            return Err("JwtValidateLayer");
        }
        if (matches!(self.methods, Methods::Named(_)) || by.tool) && known.asked.is_none() {
            return Err("McpRequestLayer");
        }
        if by.peer && known.peer().is_none() {
            return Err("PeerAddr");
        }
        if matches!(self.methods, Methods::Requests) && !by.tool {
            takes.add(self.quota, self.base_key(known), NonZeroU32::MIN);
            return Ok(());
        }
        for message in known.asked.map_or(&[][..], McpRequest::messages) {
            if self.counts(message.operation().method()) {
                takes.add(self.quota, self.key(known, message), self.cost(message));
            }
        }
        Ok(())
    }

    fn counts(&self, method: &str) -> bool {
        match &self.methods {
            Methods::Requests => true,
            Methods::Named(methods) => methods.iter().any(|named| **named == *method),
        }
    }

    fn key(&self, known: &Known<'_>, message: &Message) -> RateKey {
        let key = self.base_key(known);
        match message.operation().target() {
            Some(target) if self.by.tool => key.with_target(target.clone()),
            _ => key,
        }
    }

    fn base_key(&self, known: &Known<'_>) -> RateKey {
        let mut key = self.key.clone();
        if let Some(principal) = known.token.map(VerifiedToken::principal) {
            let client = principal.shared_client().filter(|_| self.by.client);
            if let Some((issuer, client_id)) = client {
                key = key.with_client(Arc::clone(issuer), Arc::clone(client_id));
            } else if self.by.principal || self.by.client {
                key = key.with_principal(principal.clone());
            }
        }
        if self.by.session
            && let Some(session) = known.headers.get("mcp-session-id")
            && let Ok(session) = session.to_str()
        {
            key = key.with_session(session);
        }
        if self.by.peer
            && let Some(peer) = known.peer()
        {
            key = key.with_peer(peer.ip());
        }
        key
    }

    fn cost(&self, message: &Message) -> NonZeroU32 {
        let name = message.operation().target().map_or("", Target::name);
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        self.costs
            .iter()
            .find(|(pattern, _)| fits(pattern))
            .map_or(NonZeroU32::MIN, |(_, cost)| *cost)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::token::Claims;

    /// Whose count a request is that bears these claims.
    fn key(limit: &RateLimit, claims: &str) -> RateKey {
        let claims = format!(r#"{{"exp":4000000000,{claims}}}"#);
        let token = VerifiedToken::assertion(Claims::from_json(&claims).unwrap());
        limit.base_key(&Known {
            headers: &HeaderMap::new(),
            extensions: &Extensions::new(),
            token: Some(&token),
            asked: None,
        })
    }

    #[test]
    fn a_tool_a_prompt_and_a_resource_of_one_name_are_counted_apart() {
        let quota = Quota::per_minute(NonZeroU32::MIN);
        let methods = ["tools/call", "prompts/get", "resources/read"];
        let limit = RateLimit::new("calls", quota)
            .with_methods(methods)
            .per_tool();
        let key = |method: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"a:b","uri":"a:b"}}}}"#
            );
            let asked = McpRequest::from_json(body.as_bytes()).unwrap();
            let known = Known {
                headers: &HeaderMap::new(),
                extensions: &Extensions::new(),
                token: None,
                asked: Some(&asked),
            };
            limit.key(&known, asked.messages().first().unwrap())
        };
        let keys: HashSet<_> = methods
            .map(|method| key(method).hash128())
            .into_iter()
            .collect();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn requests_of_a_peer_are_counted_apart_where_that_is_asked_for() {
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddr::new([127, 0, 0, 1].into()));
        let quota = Quota::per_minute(NonZeroU32::MIN);
        let limit = RateLimit::of_peers("requests", quota).per_tool();
        let takes = |names: &[&str]| {
            let calls: Vec<_> = names
                .iter()
                .map(|name| {
                    format!(
                        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#
                    )
                })
                .collect();
            let asked = McpRequest::from_json(format!("[{}]", calls.join(",")).as_bytes()).unwrap();
            let mut takes = Several::default();
            let known = Known {
                headers: &HeaderMap::new(),
                extensions: &extensions,
                token: None,
                asked: Some(&asked),
            };
            limit.takes(&known, &mut takes).unwrap();
            takes.costs()
        };
        assert_eq!(takes(&["a"]), [1]);
        assert_eq!(takes(&["a", "b"]), [1, 1]);
        assert_eq!(takes(&["a", "b", "a"]), [2, 1]);
    }

    #[test]
    fn a_client_is_one_of_its_issuer_and_who_has_none_is_alone() {
        let quota = Quota::per_minute(NonZeroU32::MIN);
        let limit = RateLimit::new("calls", quota).per_client();
        let key = |claims| key(&limit, claims);
        let app = key(r#""iss":"i","sub":"alice","client_id":"app""#);
        for (claims, is_same) in [
            (r#""iss":"i","sub":"bob","client_id":"app""#, true),
            (r#""iss":"i","sub":"bob","azp":"app""#, true),
            (r#""iss":"j","sub":"alice","client_id":"app""#, false),
            (r#""iss":"i","sub":"alice","client_id":"other""#, false),
            (r#""iss":"i","sub":"alice""#, false),
        ] {
            assert_eq!(key(claims) == app, is_same, "{claims}");
        }
        let alone = [
            r#""iss":"i","sub":"alice""#,
            r#""iss":"i","sub":"bob""#,
            r#""iss":"j","sub":"alice""#,
        ];
        let counts: HashSet<_> = alone.into_iter().map(|it| key(it).hash128()).collect();
        assert_eq!(counts.len(), 3);
    }
}
