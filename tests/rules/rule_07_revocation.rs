//! Rule 7: a revoked token is refused on the very next request, whatever the request is.

use std::time::Duration;

use mcp_auth::{UnixTime, testing::ClaimsBuilder};

use crate::house::{House, ISSUER, NOW, No, RequestExt, alice, bad_token, call, post, request};

fn revoked(user: &str) -> No {
    bad_token("revoked", "The access token was revoked").by(user)
}

fn good() -> ClaimsBuilder {
    alice("read:data")
}

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000_u64.saturating_add_signed(offset))
}

#[tokio::test]
async fn rule_07_by_token_session_client_and_subject() {
    type Revoke = fn(&House);
    let rows: &[(&str, Revoke, ClaimsBuilder, bool)] = &[
        (
            "the token",
            |it| it.revocations.revoke_token(ISSUER.url(), "t-1", at(330)),
            good(),
            true,
        ),
        (
            "another token",
            |it| it.revocations.revoke_token(ISSUER.url(), "t-2", at(330)),
            good(),
            false,
        ),
        (
            "a token of that name by another issuer",
            |it| it.revocations.revoke_token("https://other", "t-1", at(330)),
            good(),
            false,
        ),
        (
            "a token without a name",
            |it| it.revocations.revoke_token(ISSUER.url(), "", at(330)),
            good().without("jti"),
            false,
        ),
        (
            "the session",
            |it| it.revocations.revoke_session(ISSUER.url(), "s-1", at(330)),
            good(),
            true,
        ),
        (
            "the session's name as a token's",
            |it| it.revocations.revoke_token(ISSUER.url(), "s-1", at(330)),
            good(),
            false,
        ),
        (
            "the client",
            |it| {
                it.revocations
                    .revoke_client(ISSUER.url(), "client-1", at(330))
            },
            good(),
            true,
        ),
        (
            "the client, by azp",
            |it| {
                it.revocations
                    .revoke_client(ISSUER.url(), "client-1", at(330))
            },
            good().without("client_id").claim("azp", "\"client-1\""),
            true,
        ),
        (
            "the subject, up to now",
            |it| {
                it.revocations
                    .revoke_subject(ISSUER.url(), "alice", NOW, at(330))
            },
            good(),
            true,
        ),
        (
            "the subject, up to before",
            |it| {
                it.revocations
                    .revoke_subject(ISSUER.url(), "alice", at(-1), at(330))
            },
            good(),
            false,
        ),
        (
            "the subject, the token as old as can be",
            |it| {
                it.revocations
                    .revoke_subject(ISSUER.url(), "alice", at(-1), at(330))
            },
            good().without("iat"),
            true,
        ),
        (
            "another subject",
            |it| {
                it.revocations
                    .revoke_subject(ISSUER.url(), "Alice", NOW, at(330))
            },
            good(),
            false,
        ),
    ];
    for (what, revoke, claims, is_revoked) in rows {
        let house = House::new();
        let token = ISSUER.token(claims);
        let (_, event) = house.passes(what, call(&token, "get_note")).await;
        assert_eq!(
            event.revocation().map(|it| it.as_str()),
            Some("active"),
            "{what}"
        );
        revoke(&house);
        if *is_revoked {
            house
                .refuses(what, call(&token, "get_note"), &revoked("alice"))
                .await;
            let events = house.audit.events();
            let said = events.last().unwrap().revocation();
            assert_eq!(said.map(|it| it.as_str()), Some("revoked"), "{what}");
        } else {
            house.passes(what, call(&token, "get_note")).await;
        }
    }
}

#[tokio::test]
async fn rule_07_before_anything_of_the_request_is_judged() {
    let house = House::new();
    let token = ISSUER.token(&good());
    house.revocations.revoke_token(ISSUER.url(), "t-1", at(330));
    for (what, request) in [
        ("what is no message", post(&token, "{")),
        ("what nobody may", call(&token, "drop_all")),
        (
            "a header twice",
            post(&token, "").and("mcp-name", "a").and("mcp-name", "b"),
        ),
    ] {
        house.refuses(what, request, &revoked("alice")).await;
    }
    for method in ["GET", "DELETE", "OPTIONS", "PUT"] {
        let expected = revoked("alice").of(method, "");
        house
            .refuses(method, request(method, &token, ""), &expected)
            .await;
    }
    // One token has several spellings, and one name.
    let again = ISSUER.token_signed_with(mcp_auth::Algorithm::ES256, &good());
    house
        .refuses("signed anew", call(&again, "get_note"), &revoked("alice"))
        .await;
    // Whoever has another token is not concerned.
    let other = ISSUER.token(&good().jwt_id("t-2"));
    house
        .passes("another token", call(&other, "get_note"))
        .await;
}

#[tokio::test]
async fn rule_07_until_the_token_would_be_refused_anyway() {
    let house = House::new();
    let token = ISSUER.token(&good());
    house.revocations.revoke_token(ISSUER.url(), "t-1", at(330));
    house.clock.set(at(329));
    house
        .refuses("last second", call(&token, "get_note"), &revoked("alice"))
        .await;
    house.clock.advance(Duration::from_secs(1));
    let expected = bad_token("expired", "The access token expired");
    house
        .refuses("expired", call(&token, "get_note"), &expected)
        .await;
}
