//! Whose count it is.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use crate::{hash::Hash128, mcp::Target, token::Principal};

/// Whose count it is: the limit's name, and what the limit is kept for. Parts are kept apart, so
/// that no two callers can be joined to one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct RateKey {
    pub(crate) limit: Cow<'static, str>,
    limit_hash: Hash128,
    pub(crate) principal: Option<Principal>,
    /// Boxed, because few limits have any: a key is made for every request.
    parts: Option<Box<Parts>>,
}

/// What else a count can belong to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Parts {
    /// The issuer, and what it calls the client.
    pub(crate) client: Option<(Arc<str>, Arc<str>)>,
    pub(crate) target: Option<Target>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) peer: Option<IpAddr>,
}

impl Parts {
    const NONE: Self = Self {
        client: None,
        target: None,
        session: None,
        peer: None,
    };
}

/// Does not show the session: whoever reads it could open one with it.
impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session.as_ref().map(|_| format_args!(".."));
        f.debug_struct("Parts")
            .field("client", &self.client)
            .field("target", &self.target)
            .field("session", &session)
            .field("peer", &self.peer)
            .finish()
    }
}

impl RateKey {
    /// A key of a limit by its name, for nobody in particular: one count for all.
    pub fn new(limit: impl Into<Cow<'static, str>>) -> Self {
        let limit = limit.into();
        Self {
            limit_hash: Hash128::of(&("limit", &limit)),
            limit,
            principal: None,
            parts: None,
        }
    }

    /// One count a principal.
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// One count a client, whoever uses it: by its issuer and its `client_id`, which is unique
    /// within the issuer only.
    pub fn with_client(self, issuer: impl Into<Arc<str>>, client_id: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.client = Some((issuer.into(), client_id.into())))
    }

    /// One count a tool, prompt, resource or task: of one name or not, they are not the same.
    pub fn with_target(self, target: Target) -> Self {
        self.with(|parts| parts.target = Some(target))
    }

    /// One count a session.
    pub fn with_session(self, session: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.session = Some(session.into()))
    }

    /// One count a peer address: a whole IPv6 /64 counts as one.
    pub fn with_peer(self, peer: IpAddr) -> Self {
        let peer = match peer {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
                || IpAddr::V6((v6.to_bits() & (!0 << 64)).into()),
                IpAddr::V4,
            ),
        };
        self.with(|parts| parts.peer = Some(peer))
    }

    fn with(mut self, set: impl FnOnce(&mut Parts)) -> Self {
        set(self.parts.get_or_insert_with(|| Box::new(Parts::NONE)));
        self
    }

    #[cfg(feature = "redis")]
    pub(crate) fn parts(&self) -> &Parts {
        self.parts.as_deref().unwrap_or(&Parts::NONE)
    }

    /// What stands for the key in the tables in memory. That of a limit and a principal, which
    /// nearly every key is of, is there already.
    pub(crate) fn hash128(&self) -> Hash128 {
        let mut hash = self.limit_hash;
        if let Some(principal) = &self.principal {
            hash = hash ^ principal.hash128();
        }
        if let Some(parts) = &self.parts {
            hash = hash ^ Hash128::of(&("parts", parts));
        }
        hash
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_part_makes_another_count() {
        let bare = RateKey::new("calls");
        let alice = Principal::new("i".into(), "x".into(), None);
        let tool = Target::Tool("x".into());
        let keys = [
            bare.clone(),
            RateKey::new("x"),
            bare.clone().with_principal(alice.clone()),
            bare.clone().with_client("i", "x"),
            bare.clone().with_client("j", "x"),
            bare.clone().with_target(tool.clone()),
            bare.clone().with_target(Target::Prompt("x".into())),
            bare.clone().with_target(Target::Resource("x".into())),
            bare.clone().with_session("x"),
            bare.clone().with_peer([127, 0, 0, 1].into()),
            bare.clone().with_target(tool.clone()).with_session("x"),
            bare.clone().with_principal(alice).with_target(tool),
        ];
        let hashes: HashSet<_> = keys.iter().map(RateKey::hash128).collect();
        assert_eq!(hashes.len(), keys.len());
    }

    #[test]
    fn a_session_is_not_shown() {
        let key = RateKey::new("calls")
            .with_target(Target::Tool("echo".into()))
            .with_session("s3ss10n");
        assert_eq!(
            format!("{:?}", key.parts),
            r#"Some(Parts { client: None, target: Some(Tool("echo")), session: Some(..), peer: None })"#
        );
    }

    #[test]
    fn addresses_of_one_network_share_a_count() {
        let of = |peer: &str| peer.parse().map(|peer| RateKey::new("a").with_peer(peer));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:127.0.0.1"), of("127.0.0.1"));
    }
}
