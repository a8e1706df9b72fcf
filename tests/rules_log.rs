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

use http::Response;
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    BoxKeyStore, BoxRevocationStore, KeyMapLayer, Revocation, RevocationLayer, StoreError,
    UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId, key_store_fn,
    revocation_store_fn,
};

use house::{House, ISSUER, Plan, RequestExt, alice, answering, call, post, reader};
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
        "no verification keys error=keys are down",
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
