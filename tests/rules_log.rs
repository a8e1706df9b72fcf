//! What the whole stack logs, in a process of its own: whether a line is written at all is
//! remembered by process, and other tests log nowhere.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exhaustive_structs
)]

#[path = "rules/house.rs"]
mod house;
#[path = "support/log.rs"]
mod log;

use std::{
    future::{Ready, ready},
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
};

use http::Response;
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    BoxKeyStore, BoxRateLimitStore, BoxRevocationStore, BoxSessionStore, KeyMapLayer, Quota,
    RateKey, RateLimit, RateLimitLayer, RateLimitStore, Revocation, RevocationLayer, SessionHash,
    SessionOwner, SessionStore, StoreError, UnixTime, UpstreamKey, UpstreamKeyId, Verdict,
    VerificationKey, VerificationKeyId, key_store_fn, revocation_store_fn,
};

use house::{House, ISSUER, Plan, RequestExt, SESSION, alice, answering, call, post, reader};
use log::Log;

type Change = fn(&mut Plan);

#[tokio::test]
async fn rule_09_no_log_line_tells_a_secret_or_what_a_stranger_wrote() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let token = reader();
    let houses: [(&str, Change); 5] = [
        ("all well", |_| {}),
        ("refused by the upstream", |plan| {
            plan.upstream = answering(|_| {
                let body = Full::from("upstream").boxed();
                Response::builder().status(401).body(body).unwrap()
            });
        }),
        ("no verification keys", |plan| {
            plan.keys = BoxKeyStore::new(key_store_fn(|_: VerificationKeyId| async {
                Err::<Option<VerificationKey>, _>(StoreError::new("keys are down"))
            }));
        }),
        ("no revocations", |plan| {
            plan.revocation =
                RevocationLayer::new(BoxRevocationStore::new(revocation_store_fn(|_| async {
                    Err::<Revocation, _>(StoreError::new("revocations are down"))
                })));
        }),
        ("no upstream keys", |plan| {
            plan.upstream_keys =
                KeyMapLayer::new(BoxKeyStore::new(key_store_fn(|_: UpstreamKeyId| async {
                    Err::<Option<UpstreamKey>, _>(StoreError::new("upstream keys are down"))
                })));
        }),
    ];
    for (what, change) in houses {
        let house = House::with(change);
        for request in [
            call(&token, "get_note"),
            call(&token, "put_canary"),
            call(&token, "drop_canary").and("mcp-session-id", "canary"),
            post(&token, "{\"canary\""),
            call("canary.b.c", "get_note"),
            call(
                &ISSUER.token(&alice("canary").issuer("https://canary.example")),
                "get_note",
            ),
            call(&token, "get_note").and("mcp-name", "canary"),
        ] {
            house.send(what, request).await;
        }
    }
    let log = log.text();
    for said in [
        "the upstream does not accept the request's credentials",
        r#"no verification keys error="keys are down""#,
        "revocations are down",
        "upstream keys are down",
    ] {
        assert!(log.contains(said), "{said} in {log}");
    }
    let parts = token.split('.').chain(["canary", "internal-key", "alice"]);
    for secret in parts {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// What a database may say, and a log must not.
fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::new("it is down")
        .with_source(std::io::Error::other("no\n1999 INFO \u{1b}[2Jwell")))
}

#[derive(Clone)]
struct Down;

impl SessionStore for Down {
    type Future = Ready<Result<Option<SessionOwner>, StoreError>>;

    fn owner(&self, _: SessionHash, _: UnixTime) -> Self::Future {
        ready(down())
    }

    fn bind(&self, _: SessionHash, _: SessionOwner, _: UnixTime) -> Self::Future {
        ready(down())
    }

    fn forget(&self, _: SessionHash) -> Self::Future {
        ready(down())
    }
}

impl RateLimitStore for Down {
    type Future = Ready<Result<Verdict, StoreError>>;

    fn take(&self, _: &RateKey, _: &Quota, _: NonZeroU32, _: UnixTime) -> Self::Future {
        ready(down())
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_line_and_not_one_for_each_request() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let houses: [(&str, Change); 4] = [
        ("revocations cannot be checked", |plan| {
            // Every other time.
            static IS_DOWN: AtomicBool = AtomicBool::new(false);
            plan.revocation =
                RevocationLayer::new(BoxRevocationStore::new(revocation_store_fn(|_| async {
                    if IS_DOWN.fetch_not(Ordering::Relaxed) {
                        Ok(Revocation::Active)
                    } else {
                        down()
                    }
                })));
        }),
        ("a session could not be looked up or kept", |plan| {
            plan.sessions = BoxSessionStore::new(Down);
        }),
        ("a limit could not be counted", |plan| {
            let limit = RateLimit::new("calls", Quota::per_hour(NonZeroU32::MIN));
            plan.limits = RateLimitLayer::new(BoxRateLimitStore::new(Down), limit);
        }),
        ("an upstream key could not be had", |plan| {
            plan.upstream_keys =
                KeyMapLayer::new(BoxKeyStore::new(key_store_fn(|_: UpstreamKeyId| async {
                    down()
                })));
        }),
    ];
    for (said, change) in houses {
        let house = House::with(change);
        for _ in 0..20 {
            let request = call(&reader(), "get_note");
            let request = if said.contains("session") {
                request.and("mcp-session-id", SESSION)
            } else {
                request
            };
            house.send(said, request).await;
        }
        let log = log.text();
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    let log = log.text();
    let why = r#"error="it is down: no\n1999 INFO \u{1b}[2Jwell""#;
    assert_eq!(log.matches(why).count(), 4, "{log}");
    // These, and that revocations are checked again.
    assert_eq!(log.lines().count(), 5, "{log}");
}
