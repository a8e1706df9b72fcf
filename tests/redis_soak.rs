//! A minute at full load (ten where `CI_LONG` is set), while Redis is killed and started again and
//! again: no revoked token passes, nothing leaks, and every request is in the audit log.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::{
    fs::File,
    io::Read,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use mcp_auth::{Redis, RedisRevocationStore, UnixTime, testing::TestIssuer};
use support::{gateway::Gateway, redis::Server, soon};
use tokio::{net::TcpListener, task::JoinSet};

const AUDIENCE: &str = "litellm-mcp";
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
/// So many requests are on their way at any time.
const IN_PARALLEL: usize = 32;
/// So many tokens there are, and so many of them are revoked by the end.
const TOKENS: usize = 1000;
const REVOKED: usize = 600;
/// Redis dies so often.
const DEATHS: usize = 10;

/// What the workers share.
struct Load {
    url: String,
    tokens: Vec<String>,
    /// The tokens from here on are not revoked yet, those before another are: the one between is
    /// being revoked.
    revoked: AtomicUsize,
    revoking: AtomicUsize,
    ends: AtomicBool,
    sent: AtomicUsize,
    /// Answers to tokens that are valid, and to revoked ones: 200, 401, 503.
    passed: AtomicUsize,
    refused: AtomicUsize,
    unavailable: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    async fn work(self: Arc<Self>, mut lot: usize) {
        let client = reqwest::Client::new();
        while !self.ends.load(Ordering::Relaxed) {
            // A lot that is the same in every run.
            lot = lot
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let n = (lot >> 33) % TOKENS;
            let was_revoked = n < self.revoked.load(Ordering::Acquire);
            let answer = client
                .post(&self.url)
                .bearer_auth(&self.tokens[n])
                .header("accept", "application/json, text/event-stream")
                .header("content-type", "application/json")
                .body(CALL)
                .send();
            self.sent.fetch_add(1, Ordering::Relaxed);
            let answer = soon("an answer", answer).await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            let may_be_revoked = n < self.revoking.load(Ordering::Acquire);
            let count = match status {
                200 if !was_revoked && text == ANSWER => &self.passed,
                401 if may_be_revoked => &self.refused,
                503 => &self.unavailable,
                _ => {
                    let wrong = format!("{status} for {n}, revoked: {was_revoked}: {text}");
                    self.wrong.lock().unwrap().push(wrong);
                    continue;
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Revokes one token after the other, evenly over the time.
    async fn revoke(self: Arc<Self>, store: RedisRevocationStore, issuer: String, each: Duration) {
        for n in 0..REVOKED {
            self.revoking.store(n + 1, Ordering::Release);
            let next = tokio::time::Instant::now() + each;
            let jti = format!("t-{n}");
            while store
                .revoke_token(&issuer, &jti, UnixTime::MAX)
                .await
                .is_err()
            {
                if self.ends.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.revoked.store(n + 1, Ordering::Release);
            tokio::time::sleep_until(next).await;
        }
    }
}

/// Counts the lines that are written to a pipe, until its writer ends.
fn count_lines(path: &Path) -> thread::JoinHandle<usize> {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
    let path = path.to_owned();
    thread::spawn(move || {
        let (mut pipe, mut lines) = (File::open(path).unwrap(), 0);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match pipe.read(&mut buffer).unwrap() {
                0 => return lines,
                n => lines += buffer[..n].iter().filter(|byte| **byte == b'\n').count(),
            }
        }
    })
}

/// In kilobytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn median(mut samples: Vec<usize>) -> usize {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_revoked_passes_nothing_leaks_and_everything_is_audited() {
    let minutes = if std::env::var_os("CI_LONG").is_some() {
        10
    } else {
        1
    };
    // Ten parts; Redis dies in the middle of each.
    let part = Duration::from_secs(6 * minutes);
    let redis = Server::with(&["--appendonly", "yes"]);
    let issuer = TestIssuer::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let answer = || async { ([("content-type", "application/json")], ANSWER) };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });

    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    let lines = count_lines(&audit);
    let mut gateway = Gateway::start(
        [
            "--upstream",
            &upstream,
            "--issuer",
            issuer.url(),
            "--jwks-uri",
            &issuer.jwks_uri(),
            "--audience",
            AUDIENCE,
            "--no-key-map",
            "--rate-limit",
            "1000000/s",
            "--redis-url",
            &redis.url(),
            "--audit-log",
            audit.to_str().unwrap(),
        ],
        [],
    )
    .await;
    let lives = UnixTime::from_secs(4_000_000_000);
    let tokens = (0..TOKENS).map(|n| {
        let claims = issuer.claims().subject(&format!("user-{}", n % 16));
        let claims = claims.audience(AUDIENCE).jwt_id(&format!("t-{n}"));
        issuer.token(&claims.expires_at(lives))
    });
    let load = Arc::new(Load {
        url: gateway.url("/mcp"),
        tokens: tokens.collect(),
        revoked: AtomicUsize::default(),
        revoking: AtomicUsize::default(),
        ends: AtomicBool::default(),
        sent: AtomicUsize::default(),
        passed: AtomicUsize::default(),
        refused: AtomicUsize::default(),
        unavailable: AtomicUsize::default(),
        wrong: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for n in 0..IN_PARALLEL {
        workers.spawn(Arc::clone(&load).work(n));
    }
    let store = RedisRevocationStore::new(Redis::from_url(&redis.url()).unwrap());
    let each = part * 10 / u32::try_from(REVOKED).unwrap();
    let revoker =
        tokio::spawn(Arc::clone(&load).revoke(store, issuer.url().to_owned(), each * 9 / 10));

    let (mut redis, mut memory) = (redis, Vec::new());
    for death in 0..DEATHS {
        let (before, start) = (load.passed.load(Ordering::Relaxed), Instant::now());
        let mut samples = Vec::new();
        let mut has_died = false;
        while start.elapsed() < part {
            tokio::time::sleep(Duration::from_millis(200)).await;
            samples.push(resident(gateway.pid()));
            if !has_died && start.elapsed() > part / 2 {
                has_died = true;
                redis = tokio::task::spawn_blocking(move || {
                    redis.end(if death % 2 == 0 { "KILL" } else { "TERM" });
                    thread::sleep(Duration::from_millis(500));
                    redis.run();
                    redis
                })
                .await
                .unwrap();
            }
        }
        memory.push(median(samples));
        let passed = load.passed.load(Ordering::Relaxed) - before;
        assert!(passed > 100, "{passed} passed in part {death}");
    }
    load.ends.store(true, Ordering::Relaxed);
    soon("the last answers", workers.join_all()).await;
    soon("the last revocation", revoker).await.unwrap();
    gateway.signal("TERM").await;
    assert!(gateway.ended().await.success());
    let lines = lines.join().unwrap();

    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    println!(
        "{} requests: {} passed, {} refused, {} unavailable; {} revoked; memory {memory:?} kB",
        count(&load.sent),
        count(&load.passed),
        count(&load.refused),
        count(&load.unavailable),
        count(&load.revoked),
    );
    assert_eq!(*load.wrong.lock().unwrap(), Vec::<String>::new());
    assert_eq!(lines, count(&load.sent));
    assert!(count(&load.revoked) > REVOKED / 2);
    assert!(count(&load.refused) > 100);
    let (second, last) = (memory[1], memory[DEATHS - 1]);
    assert!(last * 10 <= second * 11, "{memory:?} kB");
}
