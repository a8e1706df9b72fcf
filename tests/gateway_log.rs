//! The log of the gateway, on standard error: nobody waits for it, and no client fills it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::{
    io::{BufRead, BufReader, PipeReader},
    time::{Duration, Instant},
};

use mcp_auth::testing::TestIssuer;
use support::{
    eventually,
    gateway::{Gateway, binary, command},
    soon,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

const AUDIENCE: &str = "litellm-mcp";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_note"}}"#;

/// A gateway whose errors are read up to its address, and no further as long as the reader lives.
async fn unread(issuer: &str) -> (String, Child, BufReader<PipeReader>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut gateway = command();
    gateway
        .args(["--listen", "127.0.0.1:0", "--upstream", NOWHERE])
        .args(["--issuer", issuer, "--no-key-map", "--audience", AUDIENCE])
        .stderr(writer);
    let process = gateway.spawn().unwrap();
    // The command holds the pipe's other end: without it the reading ends with the gateway.
    drop(gateway);
    let address = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(reader);
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some(url) = line.strip_prefix("listening on ") {
                return Some((url.trim().to_owned(), lines));
            }
            line.clear();
        }
        None
    });
    let (url, lines) = soon("the address", address).await.unwrap().unwrap();
    (url, process, lines)
}

/// So many calls fail at the upstream, which is a line each: more than a pipe holds (64 KiB), and
/// than may wait.
const FAILED: usize = 2000;

async fn fail(issuer: &TestIssuer, url: &str) {
    let token = issuer.token(&issuer.claims().audience(AUDIENCE));
    let client = reqwest::Client::new();
    for _ in 0..FAILED {
        let asked = client
            .post(format!("{url}/mcp"))
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(CALL);
        let answer = soon("an answer", asked.send()).await.unwrap();
        assert_eq!(answer.status(), 502);
    }
}

async fn end(mut process: Child) {
    let told = Instant::now();
    let pid = process.id().unwrap().to_string();
    let signal = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(signal.await.unwrap().success());
    let status = soon("the end", process.wait()).await.unwrap();
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn one_who_does_not_read_the_errors_holds_up_neither_an_answer_nor_the_end() {
    let issuer = TestIssuer::start().unwrap();
    let (url, process, unread) = unread(issuer.url()).await;
    fail(&issuer, &url).await;
    end(process).await;
    drop(unread);
}

#[tokio::test]
async fn one_who_reads_late_is_told_how_much_is_missing() {
    let issuer = TestIssuer::start().unwrap();
    let (url, process, unread) = unread(issuer.url()).await;
    fail(&issuer, &url).await;
    let lines = || unread.lines().map(|line| line.unwrap()).collect();
    let read = tokio::task::spawn_blocking(lines);
    end(process).await;
    let lines: Vec<String> = soon("the lines", read).await.unwrap();
    let said = lines.iter().filter(|it| it.contains("the upstream failed"));
    let lost = lines.iter().filter_map(|it| {
        let lost = it.strip_prefix("lines that are not in this log: ")?;
        Some(lost.parse::<usize>().unwrap())
    });
    let (said, lost) = (said.count(), lost.sum::<usize>());
    assert!(lost > 0);
    assert_eq!(said + lost, FAILED);
}

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
