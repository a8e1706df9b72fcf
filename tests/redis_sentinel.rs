//! A failover that sentinels make.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_auth::{
    Claims, Redis, RedisRevocationStore, Revocation, RevocationStore, UnixTime, VerifiedToken,
};
use support::redis::{Server, free_port};

const ISSUER: &str = "https://idp.example.com";

fn token(jti: &str) -> VerifiedToken {
    let json =
        format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"a","exp":4000000000,"jti":"{jti}"}}"#);
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

/// A master, a replica and three sentinels, with passwords.
struct House {
    master: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl House {
    fn new() -> Self {
        let node = |more: &[&str]| {
            let settings = ["--requirepass", "data", "--masterauth", "data"];
            let settings = [&settings, more].concat();
            let login = ["--no-auth-warning", "-a", "data"];
            Server::prepared("redis-server", free_port(), &[], &settings, &login)
        };
        let master = node(&[]);
        let replica = node(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
        let sentinels = (0..3).map(|_| sentinel(master.port)).collect();
        let house = Self {
            master,
            replica,
            sentinels,
        };
        let is_ready = |house: &Self| {
            let replication = house.master.cli(["INFO", "replication"]);
            let known = house.sentinels.iter().all(|it| {
                let master = it.cli(["SENTINEL", "MASTER", "main"]);
                master.contains("num-other-sentinels\n2") && master.contains("num-slaves\n1")
            });
            known && replication.contains("state=online")
        };
        let start = Instant::now();
        while !is_ready(&house) {
            assert!(
                start.elapsed() < support::PATIENCE,
                "the sentinels know too little"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        house
    }

    fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|it| format!("127.0.0.1:{}", it.port))
            .collect();
        format!(
            "redis+sentinel://:data@{}/main?sentinel_password=watch",
            hosts.join(",")
        )
    }

    fn named_master(&self) -> String {
        self.sentinels[0].cli(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"])
    }
}

fn sentinel(master: u16) -> Server {
    let port = free_port();
    let settings = format!(
        "port {port}\nbind 127.0.0.1\nrequirepass watch\nsentinel sentinel-pass watch\n\
         sentinel monitor main 127.0.0.1 {master} 2\nsentinel auth-pass main data\n\
         sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
    );
    let login = ["--no-auth-warning", "-a", "watch"];
    let files = [("sentinel.conf", &*settings)];
    Server::prepared("redis-sentinel", port, &files, &["%/sentinel.conf"], &login)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_no_acknowledged_revocation() {
    let house = tokio::task::spawn_blocking(House::new).await.unwrap();
    let store = RedisRevocationStore::new(Redis::from_url(&house.url()).unwrap());
    support::soon("a first answer", async {
        while store.status(&token("none")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    // One revocation after the other, until the end.
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let ends = Arc::new(AtomicBool::new(false));
    let revoking = tokio::spawn({
        let (store, acknowledged, ends) =
            (store.clone(), Arc::clone(&acknowledged), Arc::clone(&ends));
        async move {
            for n in 0.. {
                let jti = format!("t-{n}");
                if store
                    .revoke_token(ISSUER, &jti, UnixTime::MAX)
                    .await
                    .is_ok()
                {
                    acknowledged.lock().unwrap().push(jti);
                }
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let count = || acknowledged.lock().unwrap().len();
    // Whatever is acknowledged is never called active, whoever is the master.
    let check = async || {
        let all = acknowledged.lock().unwrap().clone();
        for jti in &all {
            if let Ok(status) = store.status(&token(jti)).await {
                assert_eq!(status, Revocation::Revoked, "{jti} of {}", all.len());
            }
        }
    };
    support::soon("some revocations", async {
        while count() < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    check().await;

    house.master.signal("STOP");
    let before = house.master.port.to_string();
    let at_the_stop = count();
    support::soon("a new master", async {
        while house.named_master().contains(&before) {
            check().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(
        house
            .named_master()
            .contains(&house.replica.port.to_string())
    );
    // The new master has no replica, and takes revocations all the same.
    support::soon("revocations on the new master", async {
        while count() < at_the_stop + 20 {
            check().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    support::soon("an answer of the new master", async {
        while store.status(&token("none")).await.ok() != Some(Revocation::Active) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    // The old master is back, and believes for a while that it still is one.
    house.master.signal("CONT");
    let back = Instant::now();
    while back.elapsed() < Duration::from_secs(3) {
        check().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ends.store(true, Ordering::Relaxed);
    support::soon("the last revocation", revoking)
        .await
        .unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    for jti in acknowledged {
        assert_eq!(
            store.status(&token(&jti)).await.unwrap(),
            Revocation::Revoked,
            "{jti}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_moves_to_whom_the_sentinels_name_though_the_old_master_answers() {
    let house = tokio::task::spawn_blocking(House::new).await.unwrap();
    let store = RedisRevocationStore::new(Redis::from_url(&house.url()).unwrap());
    let token = token("t");
    support::soon("a first answer", async {
        while store.status(&token).await.ok() != Some(Revocation::Active) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    // As where the sentinels do not reach the old master, and the gateways do.
    house.replica.cli(["REPLICAOF", "NO", "ONE"]);
    let key = format!("mcp-auth:revoked:jti:{ISSUER}|t");
    house.replica.cli(["SET", &key, "1"]);
    let port = house.replica.port.to_string();
    for sentinel in &house.sentinels {
        sentinel.cli(["SENTINEL", "REMOVE", "main"]);
        sentinel.cli(["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "2"]);
        sentinel.cli(["SENTINEL", "SET", "main", "auth-pass", "data"]);
    }
    support::soon("the new master's answer", async {
        while store.status(&token).await.ok() != Some(Revocation::Revoked) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(house.master.cli(["EXISTS", &key]), "0");
}
