//! What cannot be found out is no fault of the token.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_auth::{
    BoxKeyStore, BoxRateLimitStore, BoxRevocationStore, BoxSessionStore, Jwks, KeyMapLayer,
    MemorySessionStore, Quota, RateKey, RateLimit, RateLimitLayer, RateLimitStore, RevocationLayer,
    SessionHash, SessionOwner, SessionStore, StoreError, UnixTime, UpstreamKeyId, Verdict,
    VerificationKeyId, key_store_fn, revocation_store_fn,
    testing::{TestClock, TestIssuer, WrongToken},
};
use tower::ServiceExt;

use crate::house::{
    House, ISSUER, NOW, No, Plan, RequestExt, SESSION, alice, bad_token, call, no, reader,
};

const MESSAGE: &str = "Temporarily unavailable";

/// Neither a challenge nor 401: a client would throw its token away.
fn unavailable(reason: &str) -> No {
    no(503, reason).error().retry_after(1)
}

fn before_the_message(reason: &str) -> No {
    unavailable(reason).oauth("temporarily_unavailable", MESSAGE)
}

fn after_the_message() -> No {
    unavailable("store_unavailable")
        .rpc("7", -31503, MESSAGE, r#"{"retryAfterSeconds":1}"#)
        .by("alice")
        .of("tools/call", "get_note")
}

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::new("down"))
}

#[derive(Clone)]
struct Down;

impl RateLimitStore for Down {
    type Future = std::future::Ready<Result<Verdict, StoreError>>;

    fn take(&self, _: &RateKey, _: &Quota, _: std::num::NonZeroU32, _: UnixTime) -> Self::Future {
        std::future::ready(down())
    }
}

impl SessionStore for Down {
    type Future = <MemorySessionStore as SessionStore>::Future;

    fn owner(&self, _: SessionHash, _: UnixTime) -> Self::Future {
        std::future::ready(down())
    }

    fn bind(&self, _: SessionHash, _: SessionOwner, _: UnixTime) -> Self::Future {
        std::future::ready(down())
    }

    fn forget(&self, _: SessionHash) -> Self::Future {
        std::future::ready(down())
    }
}

#[tokio::test]
async fn trap_20_a_store_is_down_and_the_token_gets_the_blame() {
    type Break = fn(&mut Plan);
    let rows: [(&str, Break, No); 5] = [
        (
            "verification keys",
            |plan| {
                let keys = key_store_fn(|_: VerificationKeyId| async { down() });
                plan.keys = BoxKeyStore::new(keys);
            },
            before_the_message("keys_unavailable"),
        ),
        (
            "revocation",
            |plan| {
                let store = BoxRevocationStore::new(revocation_store_fn(|_| async { down() }));
                plan.revocation = RevocationLayer::new(store);
            },
            before_the_message("store_unavailable").by("alice"),
        ),
        (
            "sessions",
            |plan| plan.sessions = BoxSessionStore::new(Down),
            after_the_message(),
        ),
        (
            "limits",
            |plan| {
                let quota = Quota::per_hour(std::num::NonZeroU32::MIN);
                let limit = RateLimit::new("calls", quota);
                plan.limits = RateLimitLayer::new(BoxRateLimitStore::new(Down), limit);
            },
            after_the_message().needs("read:data"),
        ),
        (
            "upstream keys",
            |plan| {
                let keys = key_store_fn(|_: UpstreamKeyId| async { down() });
                plan.upstream_keys = KeyMapLayer::new(BoxKeyStore::new(keys));
            },
            after_the_message().needs("read:data"),
        ),
    ];
    for (what, breaks, expected) in rows {
        let house = House::with(breaks);
        let mut request = call(&reader(), "get_note");
        if what == "sessions" {
            request = request.and("mcp-session-id", SESSION);
        }
        house.refuses(what, request, &expected).await;
    }
}

#[tokio::test]
async fn trap_20_the_issuer_is_down_and_everybody_asks_it() {
    let issuer = TestIssuer::start().unwrap();
    issuer.set_jwks_body(ISSUER.jwks());
    let clock = TestClock::new(NOW);
    let jwks = Jwks::new(ISSUER.url(), &issuer.jwks_uri()).unwrap();
    let jwks = jwks.with_clock(clock.clone());
    let house = House::with(|plan| plan.keys = BoxKeyStore::new(jwks));
    let known = |id: u32| {
        let claims = alice("read:data").jwt_id(&format!("known-{id}"));
        call(&ISSUER.token(&claims), "get_note")
    };
    let unknown = |id: u32| {
        let claims = alice("read:data").jwt_id(&format!("unknown-{id}"));
        call(
            &ISSUER.wrong_token(WrongToken::UnknownKid, &claims),
            "get_note",
        )
    };
    house.passes("known", known(0)).await;
    assert_eq!(issuer.fetches(), 1);
    issuer.fail(true);
    // A set this young lacks the key for sure.
    let expected = bad_token(
        "unknown_key",
        "The access token was signed with an unknown key",
    );
    house.refuses("unknown", unknown(1), &expected).await;
    assert_eq!(issuer.fetches(), 1);
    // An old one may lack it by now, and is asked for once, however many wait.
    clock.advance(Duration::from_secs(11));
    let all = (2..34).map(|id| house.service.clone().oneshot(unknown(id)));
    for answer in join_all(all).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(!answer.headers().contains_key("www-authenticate"));
    }
    assert_eq!(issuer.fetches(), 2);
    house
        .refuses(
            "once more",
            unknown(34),
            &before_the_message("keys_unavailable"),
        )
        .await;
    assert_eq!(issuer.fetches(), 2);
    // Whoever comes with a key that is known is none the worse.
    house.passes("known", known(1)).await;
    clock.advance(Duration::from_secs(600));
    house.passes("stale", known(2)).await;
}
