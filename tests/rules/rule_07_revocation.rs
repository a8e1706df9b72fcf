//! Rule 7: a revoked token is refused on the very next request, whatever the request is.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, poll, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mcp_auth::{Clock, UnixTime, testing::ClaimsBuilder};
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::house::{
    House, ISSUER, NOW, No, RequestExt, alice, bad_token, call, call_body, post, request,
};

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

/// Whether a call whose body is late reaches the service, by its status and what is recorded.
async fn late(house: &House, meanwhile: impl FnOnce(&House)) -> (u16, String, Option<String>) {
    let (sends, comes) = oneshot::channel();
    let body = stream::once(async { Ok(Frame::data(comes.await.unwrap())) });
    let mut request = call(
        &ISSUER.token(&good().made_at(Clock::now(&house.clock))),
        "get_note",
    );
    *request.body_mut() = BodyExt::boxed_unsync(StreamBody::new(body));
    let mut answer = house.service.clone().oneshot(request);
    assert!(poll!(&mut answer).is_pending());
    meanwhile(house);
    sends.send(Bytes::from(call_body("1", "get_note"))).unwrap();
    let answer = answer.now_or_never().unwrap().unwrap();
    let event = house.audit.events().pop().unwrap();
    let revocation = event.revocation().map(|it| it.as_str().to_owned());
    let reason = event.reason().as_str().to_owned();
    (answer.status().as_u16(), reason, revocation)
}

#[tokio::test]
async fn rule_07_though_the_token_was_good_when_the_body_began_to_come() {
    let house = House::new();
    let seconds = |seconds| move |it: &House| it.clock.advance(Duration::from_secs(seconds));
    let outcome = |status, reason: &str, revocation: &str| {
        (status, reason.to_owned(), Some(revocation.to_owned()))
    };
    let passed = outcome(200, "ok", "active");
    assert_eq!(late(&house, |_| {}).await, passed);
    assert_eq!(late(&house, seconds(50)).await, passed);
    // It is good for 300 s, and 30 s of leeway.
    assert_eq!(late(&house, seconds(329)).await, passed);
    let expired = outcome(401, "expired", "active");
    assert_eq!(late(&house, seconds(330)).await, expired);
    let revoked = outcome(401, "revoked", "revoked");
    let revoke = |it: &House| {
        it.clock.advance(Duration::from_secs(1));
        it.revocations
            .revoke_token(ISSUER.url(), "t-1", UnixTime::MAX);
    };
    assert_eq!(late(&house, revoke).await, revoked);
    assert_eq!(house.seen().len(), 3);
}
