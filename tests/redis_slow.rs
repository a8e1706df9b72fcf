//! A Redis that takes connections and answers too late. Alone in its file: who listens to the log is
//! decided once for a process.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "support/log.rs"]
mod log;
mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use log::Log;
use mcp_auth::{Claims, Redis, RedisRevocationStore, Revocation, RevocationStore, VerifiedToken};
use support::redis::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// Three times what a question has.
const LATE: u64 = 150;

/// A way to a server on which each answer takes a while.
#[derive(Default)]
struct Way {
    millis: AtomicU64,
    /// When each connection was made.
    made: Mutex<Vec<Instant>>,
}

impl Way {
    async fn lead(self: Arc<Self>, listener: TcpListener, to: String) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            self.made.lock().unwrap().push(Instant::now());
            let (mut asks, mut answers) = client.into_split();
            let server = TcpStream::connect(&to).await.unwrap();
            let (mut answered, mut asked) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
            let way = Arc::clone(&self);
            tokio::spawn(async move {
                let mut buffer = [0; 8 * 1024];
                while let Ok(read @ 1..) = answered.read(&mut buffer).await {
                    sleep(Duration::from_millis(way.millis.load(Ordering::Relaxed))).await;
                    let piece = buffer.get(..read).unwrap();
                    if answers.write_all(piece).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    fn connections(&self) -> usize {
        self.made.lock().unwrap().len()
    }
}

#[tokio::test]
async fn it_is_probed_once_a_second_and_called_well_once_it_answers_in_time() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let way = Arc::new(Way::default());
    way.millis.store(LATE, Ordering::Relaxed);
    tokio::spawn(Arc::clone(&way).lead(listener, server.address()));
    let store = RedisRevocationStore::new(Redis::from_url(&url).unwrap());
    let claims = r#"{"iss":"https://idp.example.com","sub":"alice","exp":4000000000}"#;
    let token = VerifiedToken::assertion(Claims::from_json(claims).unwrap());

    // The first connection, and three probes.
    support::soon("the third probe", async {
        while way.connections() < 4 {
            store.status(&token).await.unwrap_err();
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let made = way.made.lock().unwrap().clone();
    for (one, next) in made.iter().zip(made.iter().skip(1)) {
        let gap = *next - *one;
        assert!(gap > Duration::from_millis(900), "{gap:?}");
    }

    way.millis.store(0, Ordering::Relaxed);
    let status = support::soon("an answer", async {
        loop {
            if let Ok(status) = store.status(&token).await {
                return status;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(status.await, Revocation::Active);
    let written = log.text();
    let expected = [
        r#" WARN Redis does not answer error="no answer in time""#,
        r#" WARN Redis cannot be connected to error="it answers too late - Io""#,
        r#" INFO Redis answers again"#,
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}
