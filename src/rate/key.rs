//! Whose count it is.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use crate::{hash::Hash128, token::Principal};

/// Whose count it is: the limit's name, and what the limit is kept for. Parts are kept apart, so
/// that no two callers can be joined to one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateKey {
    pub(crate) limit: Cow<'static, str>,
    limit_hash: Hash128,
    pub(crate) principal: Option<Principal>,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) tool: Option<Arc<str>>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) peer: Option<IpAddr>,
}

impl RateKey {
    /// A key of a limit by its name, for nobody in particular: one count for all.
    pub fn new(limit: impl Into<Cow<'static, str>>) -> Self {
        let limit = limit.into();
        Self {
            limit_hash: Hash128::of(&("limit", &limit)),
            limit,
            principal: None,
            client_id: None,
            tool: None,
            session: None,
            peer: None,
        }
    }

    /// One count a principal.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// One count a client, whoever uses it.
    #[must_use]
    pub fn with_client_id(mut self, client_id: Option<Arc<str>>) -> Self {
        self.client_id = client_id;
        self
    }

    /// One count a tool.
    #[must_use]
    pub fn with_tool(mut self, tool: Option<Arc<str>>) -> Self {
        self.tool = tool;
        self
    }

    /// One count a session.
    #[must_use]
    pub fn with_session(mut self, session: Option<Arc<str>>) -> Self {
        self.session = session;
        self
    }

    /// One count a peer address: a whole IPv6 /64 counts as one.
    #[must_use]
    pub fn with_peer(mut self, peer: IpAddr) -> Self {
        self.peer = Some(match peer {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
                || IpAddr::V6((v6.to_bits() & (!0 << 64)).into()),
                IpAddr::V4,
            ),
        });
        self
    }

    /// What stands for the key in the tables in memory. That of a limit and a principal, which
    /// nearly every key is of, is there already.
    pub(crate) fn hash128(&self) -> Hash128 {
        let Self {
            limit: _,
            limit_hash,
            principal,
            client_id,
            tool,
            session,
            peer,
        } = self;
        let text = |role, text: &Option<Arc<str>>| Some(Hash128::of(&(role, text.as_ref()?)));
        [
            principal.as_ref().map(Principal::hash128),
            text("client", client_id),
            text("tool", tool),
            text("session", session),
            peer.map(|peer| Hash128::of(&("peer", peer))),
        ]
        .into_iter()
        .flatten()
        .fold(*limit_hash, std::ops::BitXor::bitxor)
    }

    /// The name of the limit.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit
    }
}

/// Names the limit, not the caller.
impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.limit)
    }
}
