//! How the keys in Redis are written, so that an operator can write them too.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{
    error::StoreError,
    rate::{Parts, RateKey},
    session::SessionHash,
};

/// The longest id that stands in a key as it is.
const LONGEST: usize = 200;

/// The key of a revocation: `mcp-auth:revoked:<kind>:<iss>|<id>`.
///
/// An issuer with a `|` could be taken for another one, and has no key.
pub(super) fn revoked(kind: &str, iss: &str, id: &str) -> Result<String, StoreError> {
    if iss.contains('|') {
        return Err(StoreError::new(
            "an issuer that holds a | has no revocations",
        ));
    }
    let mut key = format!("mcp-auth:revoked:{kind}:{iss}|");
    push(&mut key, id, id.len() > LONGEST);
    Ok(key)
}

/// The key of a count: `mcp-auth:limit:<name>:<iss>|<sub>|<client_id>`, and what else it belongs
/// to, each as `|<what>=<id>`; one a client has `|client_iss=<iss>|client=<client_id>`. What could be
/// taken for two parts, or for a hash, is hashed, so that no two callers share a key.
pub(super) fn limit(key: &RateKey) -> String {
    let mut text = String::from("mcp-auth:limit:");
    part(&mut text, &key.limit, &[':', '|']);
    text.push(':');
    if let Some(principal) = &key.principal {
        part(&mut text, principal.issuer(), &['|']);
        text.push('|');
        part(&mut text, principal.subject(), &['|']);
        text.push('|');
        if let Some(client_id) = principal.client_id() {
            part(&mut text, client_id, &['|']);
        }
    }
    let mut more = |name: &str, value: &str, hashed: bool| {
        text.push('|');
        text.push_str(name);
        text.push('=');
        push(&mut text, value, hashed || is_hashed(value, &['|']));
    };
    let Parts {
        client,
        target,
        session,
        peer,
    } = key.parts();
    if let Some((issuer, client_id)) = client {
        more("client_iss", issuer, false);
        more("client", client_id, false);
    }
    if let Some(target) = target {
        more(target.kind(), target.name(), false);
    }
    if let Some(session) = session {
        // Whoever reads it can open no session with it.
        more("session", session, true);
    }
    if let Some(peer) = peer {
        more("peer", &peer.to_string(), false);
    }
    text
}

/// The key of a session: `mcp-auth:session:<sha256 of the session id>`.
pub(super) fn session(session: SessionHash) -> String {
    format!("mcp-auth:session:{session}")
}

fn part(key: &mut String, text: &str, marks: &[char]) {
    push(key, text, is_hashed(text, marks));
}

fn is_hashed(text: &str, marks: &[char]) -> bool {
    // An empty text is not the same as none.
    text.is_empty() || text.len() > LONGEST || text.starts_with("sha256:") || text.contains(marks)
}

fn push(key: &mut String, text: &str, hashed: bool) {
    if !hashed {
        key.push_str(text);
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(key, "sha256:{:x}", Sha256::digest(text));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{mcp::Target, token::Principal};

    #[test]
    fn revocations_are_written_as_the_readme_says() {
        assert_eq!(
            revoked("jti", "https://idp", "a|b:c\r\n*").unwrap(),
            "mcp-auth:revoked:jti:https://idp|a|b:c\r\n*"
        );
        let longest = "x".repeat(200);
        let key = revoked("sub", "https://idp", &longest).unwrap();
        assert_eq!(key, format!("mcp-auth:revoked:sub:https://idp|{longest}"));
        let longer = "x".repeat(201);
        assert_eq!(
            revoked("sub", "https://idp", &longer).unwrap(),
            "mcp-auth:revoked:sub:https://idp|sha256:\
             84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed"
        );
        revoked("jti", "https://i|dp", "x").unwrap_err();
    }

    fn of(iss: &str, sub: &str, client_id: Option<&str>) -> RateKey {
        let client_id = client_id.map(Into::into);
        RateKey::new("calls").with_principal(Principal::new(iss.into(), sub.into(), client_id))
    }

    #[test]
    fn a_count_is_written_as_the_readme_says() {
        for (key, text) in [
            (
                of("https://idp", "alice", Some("app")),
                "https://idp|alice|app",
            ),
            (of("https://idp", "alice", None), "https://idp|alice|"),
            (RateKey::new("calls"), ""),
            (
                of("https://idp", "alice", None).with_target(Target::Tool("echo".into())),
                "https://idp|alice||tool=echo",
            ),
            (
                RateKey::new("calls").with_client("https://idp", "app"),
                "|client_iss=https://idp|client=app",
            ),
            (
                RateKey::new("calls").with_peer([127, 0, 0, 1].into()),
                "|peer=127.0.0.1",
            ),
        ] {
            assert_eq!(limit(&key), format!("mcp-auth:limit:calls:{text}"));
        }
        let key = RateKey::new("calls").with_session("abc");
        assert_eq!(
            limit(&key),
            "mcp-auth:limit:calls:|session=sha256:\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn no_two_callers_share_a_count() {
        let hash_of_long =
            "sha256:84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed";
        let keys = [
            of("i", "a|b", Some("c")),
            of("i", "a", Some("b|c")),
            of("i", "a", Some("")),
            of("i", "a", None),
            of("i", "a|", None),
            of("i", &"x".repeat(201), None),
            of("i", hash_of_long, None),
            of("i", "a", Some("|tool=x")),
            of("i", "a", Some("")).with_target(Target::Tool("x".into())),
            of("i", "a", None).with_target(Target::Tool("x".into())),
            of("i", "a", None).with_target(Target::Tool("".into())),
            of("i", "a", None).with_target(Target::Prompt("x".into())),
            of("i", "a", None).with_target(Target::Resource("x".into())),
            of("i", "a", None).with_session("x"),
            of("i", "a", None).with_client("i", "x"),
            RateKey::new("calls").with_client("i", "x"),
            RateKey::new("calls").with_client("j", "x"),
            RateKey::new("calls").with_client("i|client=j", "x"),
            RateKey::new("calls:i|a|"),
            RateKey::new("calls"),
        ];
        let texts: BTreeSet<_> = keys.iter().map(limit).collect();
        assert_eq!(texts.len(), keys.len(), "{texts:#?}");
        assert!(texts.iter().all(|text| text.len() < 600));
    }
}
