//! Sessions on a Redis that runs.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use mcp_auth::{
    Redis, RedisSessionStore, SessionHash, SessionOwner, SessionStore, UnixTime,
    testing::ClaimsBuilder,
};
use support::redis::Server;

fn owner(sub: &str) -> SessionOwner {
    let token = ClaimsBuilder::new().subject(sub).to_verified().unwrap();
    SessionOwner::of(token.principal())
}

#[tokio::test]
async fn a_session_is_whose_it_was_first_for_every_instance() {
    let server = Server::start();
    let instance = || {
        let redis = Redis::from_url(&server.url()).unwrap();
        RedisSessionStore::new(redis.with_timeout(support::PATIENCE))
    };
    let (one, other) = (instance(), instance());
    let session = SessionHash::of(b"abc").unwrap();
    let key = "mcp-auth:session:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let now = UnixTime::EPOCH;
    let (alice, bob) = (owner("alice"), owner("bob"));
    assert_eq!(one.owner(session, now).await.unwrap(), None);
    assert_eq!(one.forget(session).await.unwrap(), None);
    assert_eq!(one.bind(session, alice, now).await.unwrap(), Some(alice));
    assert_eq!(other.bind(session, bob, now).await.unwrap(), Some(alice));
    assert_eq!(other.owner(session, now).await.unwrap(), Some(alice));

    // It ends a day after its last use; asking is using, binding again is not.
    server.cli(["EXPIRE", key, "100"]);
    assert_eq!(other.bind(session, bob, now).await.unwrap(), Some(alice));
    assert_eq!(server.cli(["TTL", key]), "100");
    assert_eq!(other.owner(session, now).await.unwrap(), Some(alice));
    let ttl: u32 = server.cli(["TTL", key]).parse().unwrap();
    assert!((86_390..=86_400).contains(&ttl), "{ttl}");

    assert_eq!(other.forget(session).await.unwrap(), Some(alice));
    assert_eq!(one.owner(session, now).await.unwrap(), None);
    assert_eq!(one.bind(session, bob, now).await.unwrap(), Some(bob));
    assert_eq!(server.cli(["DBSIZE"]), "1");

    server.cli(["SET", key, "somebody"]);
    let error = one.owner(session, now).await.unwrap_err();
    assert!(error.to_string().contains("another kind"), "{error}");
}
