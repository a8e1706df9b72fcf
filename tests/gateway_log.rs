//! The log of the gateway, on standard error, which no client fills.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::time::Duration;

use support::{
    eventually,
    gateway::{Gateway, binary},
    soon,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

const AUDIENCE: &str = "litellm-mcp";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A frame of HTTP/2 without a stream (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn no_client_fills_the_log_with_frames_that_nobody_asked_for() {
    let flags = ["--upstream", NOWHERE, "--issuer", NOWHERE, "--no-key-map"];
    let flags = flags.into_iter().chain(["--audience", AUDIENCE]);
    let mut gateway = Gateway::start(flags, []).await;
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, &[]));
    // Answers to pings that were never sent, and a ping whose answer says that those were read.
    for _ in 0..500 {
        bytes.extend(frame(6, 1, b"unasked!"));
    }
    bytes.extend(frame(6, 0, b"all read"));
    client.write_all(&bytes).await.unwrap();
    let mut answered = Vec::new();
    while !answered.ends_with(b"all read") {
        answered.push(soon("the answer", client.read_u8()).await.unwrap());
    }
    gateway.signal("TERM").await;
    drop(client);
    assert_eq!(gateway.ended().await.code(), Some(0));
    let lines = gateway.stderr().all();
    let about = lines.iter().filter(|line| line.contains("PING")).count();
    assert_eq!(about, 0, "{lines:#?}");
}

#[tokio::test]
async fn connections_that_cannot_be_accepted_are_told_of_once() {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -n 40; exec "$0" "$@""#])
        .arg(binary())
        .args(["--listen", "127.0.0.1:0", "--upstream", NOWHERE])
        .args(["--issuer", NOWHERE, "--no-key-map", "--audience", AUDIENCE])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    let gateway = Gateway::run(command).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(TcpStream::connect(gateway.addr).await.unwrap());
    }
    let about = || {
        let lines = gateway.stderr().all();
        let said = |line: &&String| line.contains("no connection could be accepted");
        lines.iter().filter(said).count()
    };
    eventually("the line", || (about() > 0).then_some(())).await;
    // As long as several attempts take.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(about(), 1);
    drop(clients);
    let answer = soon("an answer", reqwest::get(gateway.url("/mcp"))).await;
    assert_eq!(answer.unwrap().status(), 401);
}

#[tokio::test]
async fn a_revocation_file_that_is_none_is_not_told_of_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revoked.csv");
    let of = |row: usize| format!("alice,{row}\n");
    std::fs::write(&file, (0..3).map(of).collect::<String>()).unwrap();
    let flags = ["--upstream", NOWHERE, "--issuer", NOWHERE, "--no-key-map"];
    let flags = flags.into_iter().chain(["--audience", AUDIENCE]);
    let flags = flags.chain(["--revocation-file", file.to_str().unwrap()]);
    let gateway = Gateway::start(flags, []).await;
    let about = |what: &str| {
        let lines = gateway.stderr().all();
        lines.iter().filter(|line| line.contains(what)).count()
    };
    assert_eq!(about("a revocation is not in force"), 3);
    std::fs::write(&file, (0..3000).map(of).collect::<String>()).unwrap();
    eventually("the last line", || (about("lines=2997") == 1).then_some(())).await;
    assert_eq!(about("a revocation is not in force"), 3 + 20);
}

/// What it warns of is more than one line for each request while a node is away.
#[cfg(feature = "redis")]
#[tokio::test]
async fn what_redis_does_is_told_by_us_alone() {
    let flags = ["--upstream", NOWHERE, "--issuer", NOWHERE, "--no-key-map"];
    let flags = flags.into_iter().chain(["--audience", AUDIENCE]);
    let flags = flags.chain(["--redis-url", "redis+cluster://127.0.0.1:9"]);
    let gateway = Gateway::start(flags, []).await;
    let about = |what: &str| {
        let lines = gateway.stderr().all();
        lines.iter().filter(|line| line.contains(what)).count()
    };
    let ours = "mcp_auth::redis::keeper: Redis cannot be connected to";
    eventually("our line", || (about(ours) == 1).then_some(())).await;
    assert_eq!(about(" redis::"), 0, "{:#?}", gateway.stderr().all());
}
