//! A cluster of three masters, one of them with a replica.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use mcp_auth::{
    Claims, Clock, Quota, RateKey, RateLimitStore, Redis, RedisRateLimitStore,
    RedisRevocationStore, RedisSessionStore, Revocation, RevocationStore, SessionHash,
    SessionOwner, SessionStore, SystemClock, UnixTime, Verdict, VerifiedToken,
    testing::ClaimsBuilder,
};
use support::redis::{Server, free_port};

const ISSUER: &str = "https://idp.example.com";

fn token(more: &str) -> VerifiedToken {
    let json = format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"a","exp":4000000000{more}}}"#);
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

struct House {
    masters: Vec<Server>,
    replica: Server,
}

impl House {
    fn new() -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            Server::prepared(
                "redis-server",
                free_port(),
                &[],
                &[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "1500",
                    "--requirepass",
                    "data",
                    "--masterauth",
                    "data",
                ],
                &["--no-auth-warning", "-a", "data"],
            )
        };
        let masters: Vec<_> = (0..3).map(node).collect();
        let replica = node(3);
        let at: Vec<_> = masters.iter().map(Server::address).collect();
        let first = masters.first().unwrap();
        let create = ["--cluster", "create"].map(str::to_owned);
        let yes = ["--cluster-yes".to_owned()];
        first.cli(create.into_iter().chain(at.clone()).chain(yes));
        let start = Instant::now();
        let wait_for = |what: &str, server: &Server, command: &[&str], is: &str| {
            while !server.cli(command).contains(is) {
                assert!(start.elapsed() < support::PATIENCE, "{what}");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        for master in &masters {
            wait_for(
                "the cluster",
                master,
                &["CLUSTER", "INFO"],
                "cluster_state:ok",
            );
        }
        let id = first.cli(["CLUSTER", "MYID"]);
        replica.cli([
            "CLUSTER",
            "MEET",
            "127.0.0.1",
            &first.port.to_string(),
            &first.bus(),
        ]);
        wait_for("the replica", &replica, &["CLUSTER", "NODES"], &id);
        replica.cli(["CLUSTER", "REPLICATE", &id]);
        wait_for(
            "replication",
            first,
            &["INFO", "replication"],
            "state=online",
        );
        // The user of the README, who in a cluster finds its nodes.
        let readme = include_str!("../README.md");
        assert!(readme.contains("`+cluster|slots +asking`"));
        let rights = readme.lines().find_map(|line| {
            let rights = line.strip_prefix("redis-cli ACL SETUSER gateway on '>PASSWORD' ")?;
            Some(rights.replace('\'', ""))
        });
        let rights = format!("{} +cluster|slots +asking", rights.unwrap());
        for node in masters.iter().chain([&replica]) {
            let user = ["ACL", "SETUSER", "gateway", "on", ">PASSWORD"];
            node.cli(user.into_iter().chain(rights.split(' ')));
        }
        Self { masters, replica }
    }

    /// Of two of the nodes: the third is found.
    fn redis(&self) -> Redis {
        let at: Vec<_> = self.masters.iter().take(2).map(Server::address).collect();
        let url = format!("redis+cluster://gateway:PASSWORD@{}", at.join(","));
        Redis::from_url(&url)
            .unwrap()
            .with_timeout(support::PATIENCE)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_stores_work_on_a_cluster_and_outlive_a_master() {
    let mut house = tokio::task::spawn_blocking(House::new).await.unwrap();
    let (one, other) = (house.redis(), house.redis());
    let (revocations, also) = (
        RedisRevocationStore::new(one.clone()),
        RedisRevocationStore::new(other.clone()),
    );

    // So many that every node has some.
    let until = SystemClock.now().saturating_add(Duration::from_secs(600));
    let ids: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    for id in &ids {
        let status = revocations.status(&token(&format!(
            r#","jti":"{id}","sid":"{id}","client_id":"{id}""#
        )));
        assert_eq!(status.await.unwrap(), Revocation::Active);
        match id.len() {
            1 => revocations.revoke_session(ISSUER, id, until).await.unwrap(),
            _ => revocations.revoke_token(ISSUER, id, until).await.unwrap(),
        }
    }
    for master in &house.masters {
        assert_ne!(master.cli(["DBSIZE"]), "0");
    }
    let are_revoked = async || {
        for id in &ids {
            let status = also.status(&token(&format!(
                r#","jti":"{id}","sid":"{id}","client_id":"{id}""#
            )));
            assert_eq!(status.await.unwrap(), Revocation::Revoked, "{id}");
        }
    };
    are_revoked().await;

    let ten = Quota::per_hour(NonZeroU32::new(10).unwrap());
    let (counts, more) = (
        RedisRateLimitStore::new(one.clone()),
        RedisRateLimitStore::new(other.clone()),
    );
    let now = UnixTime::EPOCH;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let key = RateKey::new(name);
        for left in (0..10).rev() {
            let store = if left % 2 == 0 { &counts } else { &more };
            let verdict = store.take(&key, &ten, NonZeroU32::MIN, now).await.unwrap();
            assert_eq!(verdict, Verdict::allowed(left), "{name}");
        }
        let verdict = more.take(&key, &ten, NonZeroU32::MIN, now).await.unwrap();
        assert!(
            matches!(verdict, Verdict::Limited { local: false, .. }),
            "{verdict:?}"
        );
    }

    let (sessions, theirs) = (RedisSessionStore::new(one), RedisSessionStore::new(other));
    let owner = |sub| {
        SessionOwner::of(
            ClaimsBuilder::new()
                .subject(sub)
                .to_verified()
                .unwrap()
                .principal(),
        )
    };
    let (alice, bob) = (owner("alice"), owner("bob"));
    for id in &ids {
        let session = SessionHash::of(id.as_bytes()).unwrap();
        assert_eq!(
            sessions.bind(session, alice, now).await.unwrap(),
            Some(alice)
        );
        assert_eq!(theirs.bind(session, bob, now).await.unwrap(), Some(alice));
        assert_eq!(theirs.owner(session, now).await.unwrap(), Some(alice));
    }

    // The first master dies, and its replica takes over.
    house.masters.first_mut().unwrap().end("KILL");
    support::eventually("the replica as a master", || {
        let role = house.replica.cli(["ROLE"]);
        let state = house.replica.cli(["CLUSTER", "INFO"]);
        (role.contains("master") && state.contains("cluster_state:ok")).then_some(())
    })
    .await;
    support::soon("an answer for each", async {
        for id in &ids {
            while also
                .status(&token(&format!(r#","jti":"{id}""#)))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    are_revoked().await;
    let late = UnixTime::from_secs(1000);
    revocations
        .revoke_subject(ISSUER, "alice", late, until)
        .await
        .unwrap();
    let status = also.status(&token(r#","iat":1000"#)).await.unwrap();
    assert_eq!(status, Revocation::Revoked);
    let status = also.status(&token(r#","iat":1001"#)).await.unwrap();
    assert_eq!(status, Revocation::Active);
}
