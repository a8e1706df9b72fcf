//! Revocations on a Redis that runs.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use mcp_auth::{
    Claims, Clock, Redis, RedisRevocationStore, Revocation, RevocationStore, StoreError,
    SystemClock, UnixTime, VerifiedToken,
};
use support::redis::Server;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

const ISSUER: &str = "https://idp.example.com";

fn token(more: &str) -> VerifiedToken {
    let json = format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"a","exp":4000000000{more}}}"#);
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

fn store(server: &Server) -> RedisRevocationStore {
    let redis = Redis::from_url(&server.url()).unwrap();
    // The machine may be busy; how long an answer may take is tested elsewhere.
    RedisRevocationStore::new(redis.with_timeout(support::PATIENCE))
}

async fn is_revoked(store: &RedisRevocationStore, token: &VerifiedToken) -> bool {
    store.status(token).await.unwrap() == Revocation::Revoked
}

/// The first one that is no error.
async fn answer(store: &RedisRevocationStore, token: &VerifiedToken) -> Revocation {
    loop {
        if let Ok(status) = store.status(token).await {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn after(secs: u64) -> UnixTime {
    SystemClock.now().saturating_add(Duration::from_secs(secs))
}

#[tokio::test]
async fn what_redis_cli_sets_is_revoked_at_the_next_question() {
    let server = Server::start();
    let store = store(&server);
    let long = "é".repeat(101);
    // sha256sum of the 202 bytes.
    let hash = "96cbf977549895b3277e0ab79c97a946e15d971c737e0e6b175090601c0d94b1";
    for (claims, key) in [
        (
            r#","jti":"t-1""#,
            "jti:https://idp.example.com|t-1".to_owned(),
        ),
        (
            r#","jti":"a|b * \r\n""#,
            "jti:https://idp.example.com|a|b * \r\n".to_owned(),
        ),
        (
            &format!(r#","jti":"{long}""#),
            format!("jti:https://idp.example.com|sha256:{hash}"),
        ),
        (
            r#","sid":"s-1""#,
            "sid:https://idp.example.com|s-1".to_owned(),
        ),
        (
            r#","client_id":"c-1""#,
            "client:https://idp.example.com|c-1".to_owned(),
        ),
        (
            r#","azp":"c-2""#,
            "client:https://idp.example.com|c-2".to_owned(),
        ),
    ] {
        let key = format!("mcp-auth:revoked:{key}");
        let token = token(claims);
        assert!(!is_revoked(&store, &token).await, "{claims}");
        server.cli(["SET", &key, "", "EX", "60"]);
        assert!(is_revoked(&store, &token).await, "{claims}");
        server.cli(["DEL", &key]);
        assert!(!is_revoked(&store, &token).await, "{claims}");
    }
}

#[tokio::test]
async fn a_subject_is_revoked_up_to_the_second_that_is_set() {
    let server = Server::start();
    let store = store(&server);
    let key = "mcp-auth:revoked:sub:https://idp.example.com|alice";
    for (value, iat, revoked) in [
        ("1000", r#","iat":1000"#, true),
        ("1000", r#","iat":1001"#, false),
        ("1000", "", true),
        ("yes", r#","iat":1001"#, true),
    ] {
        server.cli(["SET", key, value, "EX", "60"]);
        assert_eq!(
            is_revoked(&store, &token(iat)).await,
            revoked,
            "{value} {iat}"
        );
    }
    let bob = r#"{"iss":"https://idp.example.com","sub":"bob","aud":"a","exp":4000000000}"#;
    let bob = VerifiedToken::assertion(Claims::from_json(bob).unwrap());
    assert!(!is_revoked(&store, &bob).await);
}

#[tokio::test]
async fn the_methods_write_the_same_keys() {
    let server = Server::start();
    let store = store(&server);
    let until = after(100);
    store.revoke_token(ISSUER, "x", until).await.unwrap();
    store.revoke_session(ISSUER, "x", until).await.unwrap();
    store.revoke_client(ISSUER, "x", until).await.unwrap();
    let up_to = UnixTime::from_secs(1000);
    store
        .revoke_subject(ISSUER, "x", up_to, until)
        .await
        .unwrap();
    for (kind, value) in [("jti", "1"), ("sid", "1"), ("client", "1"), ("sub", "1000")] {
        let key = format!("mcp-auth:revoked:{kind}:{ISSUER}|x");
        assert_eq!(server.cli(["GET", &key]), value, "{kind}");
        let ttl: u64 = server.cli(["TTL", &key]).parse().unwrap();
        assert!((95..=101).contains(&ttl), "{kind}: {ttl}");
    }
    assert_eq!(server.cli(["DBSIZE"]), "4");
    for claims in [r#","jti":"x""#, r#","sid":"x""#, r#","client_id":"x""#] {
        assert!(is_revoked(&store, &token(claims)).await, "{claims}");
    }
    // What is over needs no entry.
    store
        .revoke_token(ISSUER, "y", UnixTime::from_secs(1))
        .await
        .unwrap();
    assert_eq!(server.cli(["DBSIZE"]), "4");
    let error = store.revoke_token("https://i|dp", "y", until).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "an issuer that holds a | has no revocations"
    );
}

#[tokio::test]
async fn what_is_said_twice_holds_for_the_longer_time_and_the_later_instant() {
    let server = Server::start();
    let store = store(&server);
    let key = format!("mcp-auth:revoked:sub:{ISSUER}|alice");
    let says = async |up_to: u64, until: UnixTime| {
        let up_to = UnixTime::from_secs(up_to);
        store
            .revoke_subject(ISSUER, "alice", up_to, until)
            .await
            .unwrap();
        (
            server.cli(["GET", &key]),
            server.cli(["TTL", &key]).parse::<i64>().unwrap(),
        )
    };
    assert_eq!(says(1000, after(100)).await.0, "1000");
    let (value, ttl) = says(500, after(10)).await;
    assert!(value == "1000" && ttl > 90, "{value} {ttl}");
    let (value, ttl) = says(2000, after(10)).await;
    assert!(value == "2000" && ttl > 90, "{value} {ttl}");
    assert_eq!(says(1, UnixTime::MAX).await, ("2000".to_owned(), -1));
    assert_eq!(says(3000, after(10)).await, ("3000".to_owned(), -1));
    // An operator's word for ever is not made shorter, whatever the word is.
    let issued_later = token(r#","iat":4000000000"#);
    for word in ["yes", "1.5", "-1", "0x10", "1e3", "+1", "1 1"] {
        server.cli(["SET", &key, word]);
        assert!(is_revoked(&store, &issued_later).await, "{word}");
        assert_eq!(says(9000, after(10)).await, (word.to_owned(), -1));
        assert!(is_revoked(&store, &issued_later).await, "{word}");
    }
    // What is an instant is compared, blanks or not.
    for word in ["1", " 01\t"] {
        server.cli(["SET", &key, word]);
        assert!(!is_revoked(&store, &issued_later).await, "{word}");
        assert_eq!(says(9000, after(10)).await, ("9000".to_owned(), -1));
    }
}

#[tokio::test]
async fn a_key_of_another_kind_is_an_error_of_its_own_token_alone() {
    let server = Server::start();
    let store = store(&server);
    server.cli([
        "LPUSH",
        "mcp-auth:revoked:sub:https://idp.example.com|alice",
        "x",
    ]);
    server.cli([
        "LPUSH",
        "mcp-auth:revoked:jti:https://idp.example.com|t",
        "x",
    ]);
    for _ in 0..20 {
        let answer: Result<_, StoreError> = store.status(&token("")).await;
        assert_eq!(answer.unwrap_err().to_string(), "Redis could not answer");
    }
    let bob = r#"{"iss":"https://idp.example.com","sub":"bob","aud":"a","exp":4000000000"#;
    for (more, revoked) in [("}", false), (r#","jti":"t"}"#, true)] {
        let bob = Claims::from_json(&format!("{bob}{more}")).unwrap();
        assert_eq!(
            is_revoked(&store, &VerifiedToken::assertion(bob)).await,
            revoked
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_without_an_error() {
    let server = Server::start();
    let store = store(&server);
    for _ in 0..20 {
        assert!(!is_revoked(&store, &token("")).await);
        assert_ne!(server.cli(["CLIENT", "KILL", "TYPE", "normal"]), "0");
    }
}

#[tokio::test]
async fn a_revocation_is_acknowledged_by_a_replica_where_there_is_one() {
    let master = Server::start();
    let of = format!("127.0.0.1 {}", master.port);
    let replica = Server::with(&["--replicaof", &of]);
    support::eventually("the replica", || {
        let replication = master.cli(["INFO", "replication"]);
        replication.contains("state=online").then_some(())
    })
    .await;
    let store = store(&master);
    let key = |jti: &str| format!("mcp-auth:revoked:jti:{ISSUER}|{jti}");
    for n in 0..20 {
        let jti = format!("t-{n}");
        store.revoke_token(ISSUER, &jti, after(60)).await.unwrap();
        assert_eq!(replica.cli(["GET", &key(&jti)]), "1");
    }
    replica.signal("STOP");
    let error = store.revoke_token(ISSUER, "late", after(60)).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "no replica has the revocation yet");
    // It is in force, and nobody had to wait for the replica.
    assert!(is_revoked(&store, &token(r#","jti":"late""#)).await);
    replica.signal("CONT");
    store.revoke_token(ISSUER, "late", after(60)).await.unwrap();
    assert_eq!(replica.cli(["GET", &key("late")]), "1");

    // A replica is asked for nothing: it may lag behind.
    let lagging = Redis::from_url(&replica.url()).unwrap();
    let lagging = RedisRevocationStore::new(lagging);
    lagging.status(&token("")).await.unwrap_err();
    let error = lagging.revoke_token(ISSUER, "x", after(60)).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "Redis did not take the revocation"
    );
}

#[tokio::test]
async fn a_master_that_is_made_a_replica_is_left_and_none_of_its_answers_counts() {
    let server = Server::start();
    let redis = Redis::from_url(&server.url()).unwrap();
    // As long as this the question waits for another connection.
    let store = RedisRevocationStore::new(redis.with_timeout(Duration::from_secs(2)));
    let token = token(r#","jti":"t""#);
    support::soon("a first answer", answer(&store, &token)).await;
    // It has no link to the new master, and never will.
    server.cli(["REPLICAOF", "127.0.0.1", "1"]);
    for _ in 0..2 {
        store.status(&token).await.unwrap_err();
    }

    // Nor does it count for whoever connects now.
    let late = RedisRevocationStore::new(Redis::from_url(&server.url()).unwrap());
    late.status(&token).await.unwrap_err();

    // The keeper tries on, and finds a master there again.
    server.cli(["REPLICAOF", "NO", "ONE"]);
    let status = support::soon("an answer", answer(&store, &token)).await;
    assert_eq!(status, Revocation::Active);
}

#[tokio::test]
async fn the_connection_moves_to_the_master_that_an_endpoint_leads_to_by_then() {
    let (old, new) = (Server::start(), Server::start());
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", endpoint.local_addr().unwrap());
    let (leads_to, led_to) = tokio::sync::watch::channel(old.address());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = endpoint.accept().await.unwrap();
            let to = led_to.borrow().clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    let redis = Redis::from_url(&url).unwrap();
    let store = RedisRevocationStore::new(redis.with_timeout(support::PATIENCE));
    let token = token(r#","jti":"t""#);
    assert!(!is_revoked(&store, &token).await);

    leads_to.send_replace(new.address());
    old.cli(["REPLICAOF", "127.0.0.1", "1"]);
    store.revoke_token(ISSUER, "t", after(60)).await.unwrap();
    assert_eq!(new.cli(["DBSIZE"]), "1");
    assert!(is_revoked(&store, &token).await);
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_role_has_answers() {
    let server = Server::start();
    let rights = ["~mcp-auth:*", "+ping", "+exists", "+get"];
    let user = ["ACL", "SETUSER", "reader", "on", ">PASSWORD"];
    server.cli([&user[..], &rights].concat());
    let url = format!("redis://reader:PASSWORD@{}", server.address());
    let redis = Redis::from_url(&url).unwrap();
    let store = RedisRevocationStore::new(redis.with_timeout(support::PATIENCE));
    assert!(!is_revoked(&store, &token(r#","jti":"t""#)).await);
    server.cli(["SET", &format!("mcp-auth:revoked:jti:{ISSUER}|t"), "1"]);
    assert!(is_revoked(&store, &token(r#","jti":"t""#)).await);
}
