//! What an operator does with `redis-cli`: the README's commands, run as they stand there.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::{num::NonZeroU32, process::Command, time::Duration};

use mcp_auth::{
    Claims, Clock, Quota, RateKey, RateLimitStore, Redis, RedisRateLimitStore,
    RedisRevocationStore, RedisSessionStore, Revocation, RevocationStore, SessionHash,
    SessionOwner, SessionStore, SystemClock, UnixTime, Verdict, VerifiedToken,
};
use support::redis::Server;

const ISSUER: &str = "https://idp.example.com";

/// The commands of the README that begin so.
fn commands(begin: &str) -> Vec<&'static str> {
    let lines = include_str!("../README.md").lines();
    lines.filter(|line| line.starts_with(begin)).collect()
}

/// Runs a command of the README; `$JTI` in it is this one.
fn run(server: &Server, command: &str, jti: &str) {
    let here = format!(
        "redis-cli() {{ command redis-cli -p {} \"$@\"; }}",
        server.port
    );
    let output = Command::new("bash")
        .args(["-ec", &format!("{here}\n{command}")])
        .env("JTI", jti)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(matches!(said.trim(), "OK" | "1"), "{command}: {said}");
}

fn token(claims: &str) -> VerifiedToken {
    let json = format!(r#"{{"iss":"{ISSUER}","aud":"a","exp":4000000000,{claims}}}"#);
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

async fn is_revoked(store: &RedisRevocationStore, token: &VerifiedToken) -> bool {
    store.status(token).await.unwrap() == Revocation::Revoked
}

#[tokio::test]
async fn the_commands_of_the_readme_revoke_what_they_say() {
    let server = Server::start();
    let redis = Redis::from_url(&server.url()).unwrap();
    let store = RedisRevocationStore::new(redis.with_timeout(support::PATIENCE));
    let commands = commands("redis-cli SET");
    let long = "é".repeat(101);
    let now = SystemClock.now().as_secs();
    let named = [
        r#""sub":"bob","jti":"5f2c""#.to_owned(),
        r#""sub":"bob","sid":"d9a1""#.to_owned(),
        r#""sub":"bob","client_id":"leaky-app""#.to_owned(),
        format!(r#""sub":"alice","iat":{now}"#),
        format!(r#""sub":"bob","jti":"{long}""#),
    ];
    assert_eq!(commands.len(), named.len(), "{commands:#?}");
    for (command, claims) in commands.into_iter().zip(&named) {
        let token = token(claims);
        assert!(!is_revoked(&store, &token).await, "{command}");
        run(&server, command, &long);
        assert!(is_revoked(&store, &token).await, "{command}");
    }
    // Nothing else is.
    let later = format!(r#""sub":"alice","iat":{}"#, now + 1000);
    for claims in [&later, r#""sub":"bob","jti":"x","sid":"x","client_id":"x""#] {
        assert!(!is_revoked(&store, &token(claims)).await, "{claims}");
    }
    for key in server.cli(["KEYS", "*"]).lines() {
        let ttl: u64 = server.cli(["TTL", key]).parse().unwrap();
        assert!((3500..=3630).contains(&ttl), "{key}: {ttl}");
    }

    let [back] = *self::commands("redis-cli DEL") else {
        panic!("one command takes back");
    };
    run(&server, back, "");
    for (n, claims) in named.iter().enumerate() {
        assert_eq!(is_revoked(&store, &token(claims)).await, n != 2, "{claims}");
    }
}

#[tokio::test]
async fn the_user_of_the_readme_may_do_what_the_stores_do_and_touch_nothing_else() {
    let master = Server::start();
    let _replica = Server::with(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    support::eventually("the replica", || {
        let replication = master.cli(["INFO", "replication"]);
        replication.contains("state=online").then_some(())
    })
    .await;
    let [user] = *commands("redis-cli ACL") else {
        panic!("one command makes the user");
    };
    run(&master, user, "");

    let url = format!("redis://gateway:PASSWORD@{}", master.address());
    let redis = Redis::from_url(&url).unwrap();
    let redis = redis.with_timeout(support::PATIENCE);
    let store = RedisRevocationStore::new(redis.clone());
    let until = SystemClock.now().saturating_add(Duration::from_secs(60));
    for jti in ["new", "again", "again"] {
        store.revoke_token(ISSUER, jti, until).await.unwrap();
    }
    let again = token(r#""sub":"alice","jti":"again","sid":"s","client_id":"c""#);
    assert!(is_revoked(&store, &again).await);

    let counts = RedisRateLimitStore::new(redis.clone());
    let (key, two) = (RateKey::new("calls"), NonZeroU32::new(2).unwrap());
    for left in [1, 0] {
        let verdict = counts.take(
            &key,
            &Quota::per_hour(two),
            NonZeroU32::MIN,
            UnixTime::EPOCH,
        );
        assert_eq!(verdict.await.unwrap(), Verdict::allowed(left));
    }

    let sessions = RedisSessionStore::new(redis);
    let (session, now) = (SessionHash::of(b"abc").unwrap(), UnixTime::EPOCH);
    let alice = SessionOwner::of(again.principal());
    assert_eq!(
        sessions.bind(session, alice, now).await.unwrap(),
        Some(alice)
    );
    assert_eq!(sessions.owner(session, now).await.unwrap(), Some(alice));
    assert_eq!(sessions.forget(session).await.unwrap(), Some(alice));

    let login = [
        "--no-auth-warning",
        "--user",
        "gateway",
        "--pass",
        "PASSWORD",
    ];
    for command in [
        &["GET", "other"][..],
        &["DEL", "mcp-auth:revoked:jti:https://idp.example.com|new"],
        &["FLUSHALL"],
        &["KEYS", "*"],
        &["CONFIG", "GET", "requirepass"],
    ] {
        let answer = master.cli([&login, command].concat());
        assert!(answer.starts_with("NOPERM"), "{command:?}: {answer}");
    }
}
