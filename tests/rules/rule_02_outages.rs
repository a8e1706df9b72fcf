//! Rule 2: what cannot be found out is 503 with `Retry-After`, never 401; it ends with the outage.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mcp_auth::{
    BoxKeyStore, BoxRevocationStore, BoxSessionStore, Jwks, KeyMap, KeyMapLayer, KeyStore,
    MemoryRateLimitStore, MemorySessionStore, Quota, RateKey, RateLimit, RateLimitLayer,
    RateLimitStore, Revocation, RevocationLayer, SessionHash, SessionOwner, SessionStore,
    StaticJwks, StoreError, UnixTime, UpstreamKeyId, VerificationKeyId, key_store_fn,
    revocation_store_fn, testing::TestIssuer,
};

use crate::house::{
    House, ISSUER, No, RequestExt, SESSION, alice, bad_token, call, no, post, reader, request,
};

const MESSAGE: &str = "Temporarily unavailable";

fn early(reason: &str) -> No {
    no(503, reason)
        .error()
        .retry_after(1)
        .oauth("temporarily_unavailable", MESSAGE)
}

fn late(id: &str) -> No {
    no(503, "store_unavailable")
        .error()
        .retry_after(1)
        .rpc(id, -31503, MESSAGE, r#"{"retryAfterSeconds":1}"#)
        .by("alice")
        .of("tools/call", "get_note")
        .needs("read:data")
}

fn down() -> StoreError {
    StoreError::new("canary: the store at 10.0.0.7 is down")
}

/// A switch, and what is asked while it is on.
fn outage() -> (Arc<AtomicBool>, impl Fn() -> bool + Clone + Send + Sync) {
    let is_down = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_down);
    (is_down, move || asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn rule_02_verification_keys_that_cannot_be_had() {
    let (switch, is_down) = outage();
    let jwks = StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap();
    let house = House::with(|plan| {
        plan.keys = BoxKeyStore::new(key_store_fn(move |id: VerificationKeyId| {
            let (jwks, is_down) = (jwks.clone(), is_down());
            async move {
                // Some keys come at once, some later.
                tokio::task::yield_now().await;
                if is_down {
                    Err(down())
                } else {
                    jwks.key(&id).await
                }
            }
        }));
    });
    let expected = early("keys_unavailable");
    house
        .refuses("call", call(&reader(), "get_note"), &expected)
        .await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let expected = expected.clone().of(method, "");
        house
            .refuses(method, request(method, &reader(), ""), &expected)
            .await;
    }
    // What can be told without the keys is told.
    let expired = ISSUER.token(&alice("read:data").claim("exp", "1"));
    let why = bad_token("expired", "The access token expired");
    house
        .refuses("expired", call(&expired, "get_note"), &why)
        .await;
    switch.store(false, Ordering::SeqCst);
    house.passes("back", call(&reader(), "get_note")).await;
    // A remembered token asks for no key.
    switch.store(true, Ordering::SeqCst);
    house
        .passes("remembered", call(&reader(), "get_note"))
        .await;
}

#[tokio::test]
async fn rule_02_an_issuer_that_does_not_answer() {
    let issuer = TestIssuer::start().unwrap();
    issuer.fail(true);
    let jwks = Jwks::new(ISSUER.url(), &issuer.jwks_uri()).unwrap();
    let house = House::with(|plan| plan.keys = BoxKeyStore::new(jwks));
    house
        .refuses(
            "call",
            call(&reader(), "get_note"),
            &early("keys_unavailable"),
        )
        .await;
}

#[tokio::test]
async fn rule_02_a_revocation_store_that_is_down() {
    let (switch, is_down) = outage();
    let store = BoxRevocationStore::new(revocation_store_fn(move |_| {
        let answer = if is_down() {
            Err(down())
        } else {
            Ok(Revocation::Active)
        };
        async move {
            tokio::task::yield_now().await;
            answer
        }
    }));
    let closed = House::with(|plan| plan.revocation = RevocationLayer::new(store.clone()));
    let expected = early("store_unavailable").by("alice");
    closed
        .refuses("call", call(&reader(), "get_note"), &expected)
        .await;
    let unread = post(&reader(), "{")
        .and("mcp-name", "a")
        .and("mcp-name", "b");
    closed
        .refuses("before the message", unread, &expected)
        .await;
    let events = closed.audit.events();
    let said = events.last().unwrap().revocation();
    assert_eq!(said.map(|it| it.as_str()), Some("unchecked"));

    let open = House::with(|plan| {
        plan.revocation = RevocationLayer::new(store).dangerous_fail_open();
    });
    let (_, event) = open.passes("open", call(&reader(), "get_note")).await;
    assert_eq!(event.revocation().map(|it| it.as_str()), Some("unchecked"));

    switch.store(false, Ordering::SeqCst);
    for house in [closed, open] {
        let (_, event) = house.passes("back", call(&reader(), "get_note")).await;
        assert_eq!(event.revocation().map(|it| it.as_str()), Some("active"));
    }
}

#[derive(Clone)]
struct Counts {
    memory: MemoryRateLimitStore,
    is_down: Arc<AtomicBool>,
}

impl RateLimitStore for Counts {
    type Future = <MemoryRateLimitStore as RateLimitStore>::Future;

    fn take(
        &self,
        key: &RateKey,
        quota: &Quota,
        cost: std::num::NonZeroU32,
        now: UnixTime,
    ) -> Self::Future {
        if self.is_down.load(Ordering::SeqCst) {
            std::future::ready(Err(down()))
        } else {
            self.memory.take(key, quota, cost, now)
        }
    }
}

#[tokio::test]
async fn rule_02_a_limit_store_that_is_down() {
    let is_down = Arc::new(AtomicBool::new(true));
    let house = House::with(|plan| {
        let store = Counts {
            memory: MemoryRateLimitStore::new(),
            is_down: Arc::clone(&is_down),
        };
        let quota = Quota::per_hour(std::num::NonZeroU32::MIN);
        plan.limits = RateLimitLayer::new(
            mcp_auth::BoxRateLimitStore::new(store),
            RateLimit::new("calls", quota),
        );
    });
    for (what, id) in [
        ("a number", "7"),
        ("a text", r#""\u0061-1""#),
        ("below zero", "-7"),
    ] {
        let body = crate::house::call_body(id, "get_note");
        house.refuses(what, post(&reader(), body), &late(id)).await;
    }
    let note = post(
        &reader(),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_note"}}"#,
    );
    house.refuses("a call without an id", note, &late("")).await;
    // What is not counted does not need the count.
    let ping = post(&reader(), r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    house.passes("not counted", ping).await;
    is_down.store(false, Ordering::SeqCst);
    house.passes("back", call(&reader(), "get_note")).await;
}

#[tokio::test]
async fn rule_02_an_upstream_key_store_that_is_down() {
    let (switch, is_down) = outage();
    let map = KeyMap::from_json(r#"{"alice":"internal-key-1"}"#).unwrap();
    let house = House::with(|plan| {
        let keys = key_store_fn(move |id: UpstreamKeyId| {
            let (map, is_down) = (map.clone(), is_down());
            async move {
                tokio::task::yield_now().await;
                if is_down {
                    Err(down())
                } else {
                    map.key(&id).await
                }
            }
        });
        plan.upstream_keys = KeyMapLayer::new(BoxKeyStore::new(keys));
    });
    house
        .refuses("call", call(&reader(), "get_note"), &late("7"))
        .await;
    // No message was read, so no message is answered.
    let expected = early("store_unavailable")
        .by("alice")
        .of("GET", "")
        .needs("read:data");
    house
        .refuses("GET", request("GET", &reader(), ""), &expected)
        .await;
    switch.store(false, Ordering::SeqCst);
    house.passes("back", call(&reader(), "get_note")).await;
}

/// Whose sessions are, except while it is down.
#[derive(Clone)]
struct Sessions {
    memory: MemorySessionStore,
    is_down: Arc<AtomicBool>,
}

impl Sessions {
    fn or_down(
        &self,
        answer: impl FnOnce() -> <MemorySessionStore as SessionStore>::Future,
    ) -> <MemorySessionStore as SessionStore>::Future {
        if self.is_down.load(Ordering::SeqCst) {
            std::future::ready(Err(down()))
        } else {
            answer()
        }
    }
}

impl SessionStore for Sessions {
    type Future = <MemorySessionStore as SessionStore>::Future;

    fn owner(&self, session: SessionHash, now: UnixTime) -> Self::Future {
        self.or_down(|| self.memory.owner(session, now))
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Self::Future {
        self.or_down(|| self.memory.bind(session, owner, now))
    }

    fn forget(&self, session: SessionHash) -> Self::Future {
        self.or_down(|| self.memory.forget(session))
    }
}

#[tokio::test]
async fn rule_02_a_session_store_that_is_down() {
    let is_down = Arc::new(AtomicBool::new(false));
    let house = House::with(|plan| {
        plan.sessions = BoxSessionStore::new(Sessions {
            memory: MemorySessionStore::new(),
            is_down: Arc::clone(&is_down),
        });
    });
    house.open_session(&reader()).await;
    is_down.store(true, Ordering::SeqCst);
    // Nothing was judged yet, so no scopes are named.
    let in_session =
        |request: http::Request<_>| RequestExt::and(request, "mcp-session-id", SESSION);
    let expected = late("7").needs("");
    house
        .refuses("call", in_session(call(&reader(), "get_note")), &expected)
        .await;
    for method in ["GET", "DELETE"] {
        let expected = early("store_unavailable").by("alice").of(method, "");
        let request = in_session(request(method, &reader(), ""));
        house.refuses(method, request, &expected).await;
    }
    house
        .passes("no session", call(&reader(), "get_note"))
        .await;
    is_down.store(false, Ordering::SeqCst);
    let back = in_session(call(&reader(), "get_note"));
    house.passes("back", back).await;
}
