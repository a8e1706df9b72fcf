//! The audit log in a file: who called, as it happens.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/log.rs"]
mod log;

use std::{
    convert::Infallible,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use log::Log;
use mcp_auth::{AuditLogLayer, AuthTrail, Claims, JsonLinesSink, VerifiedToken};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, service_fn};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_line_is_in_the_file_within_half_a_second_of_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let file = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .unwrap();
    let sink = JsonLinesSink::new(file).unwrap();
    let service = ServiceBuilder::new()
        .layer(AuditLogLayer::new(sink.clone()))
        .service(service_fn(async |request: Request<Full<Bytes>>| {
            // A token check of one's own tells the trail whom it found.
            let claims = "{\"iss\":\"https://idp\",\"sub\":\"eve\\n\u{202e}\",\"exp\":4000000000}";
            let token = VerifiedToken::assertion(Claims::from_json(claims).unwrap());
            request
                .extensions()
                .get::<AuthTrail>()
                .unwrap()
                .set_token(&token);
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok::<_, Infallible>(response)
        }));

    let request = Request::post("/mcp").body(Full::new(Bytes::new())).unwrap();
    service.clone().oneshot(request).await.unwrap();
    let since = Instant::now();
    while lines(&path).is_empty() && since.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
    assert!(since.elapsed() < Duration::from_millis(500));

    let raw = fs::read_to_string(&path).unwrap();
    assert!(raw.is_ascii(), "{raw}");
    let event = &lines(&path)[0];
    assert_eq!(event["v"], 1);
    assert_eq!(event["user"], "eve\n\u{202e}");
    assert_eq!(event["status"], 202);
    assert_eq!(event["decision"], "allow");

    for _ in 0..100 {
        let request = Request::post("/mcp").body(Full::new(Bytes::new())).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    assert!(sink.flush(Duration::from_secs(20)));
    assert_eq!(lines(&path).len(), 101);
    assert_eq!(sink.dropped(), 0);
}

/// How often the log says that events are lost, as soon as that is so often, or never.
fn losses(log: &Log, expected: usize) -> usize {
    let since = Instant::now();
    loop {
        let said = log.text();
        let said = said.matches("does not keep up: events are lost").count();
        if said >= expected || since.elapsed() > Duration::from_secs(20) {
            return said;
        }
        thread::yield_now();
    }
}

/// A writer that hangs until it is let go, or as long as whoever lets it go is there.
struct Hanging(Receiver<()>);

impl Hanging {
    fn new() -> (Self, Sender<()>) {
        let (go, gone) = channel();
        (Self(gone), go)
    }
}

impl Write for Hanging {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv_timeout(Duration::from_secs(20));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn that_events_are_lost_is_logged_while_the_writer_hangs_and_once() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone());
    // Of the process: it is another thread that says so.
    subscriber.init();
    let (writer, go) = Hanging::new();
    let sink = JsonLinesSink::new(writer).unwrap();
    let service = ServiceBuilder::new()
        .layer(AuditLogLayer::new(sink.clone()))
        .service(service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
    // Until so many are lost.
    let lose = async |lost| {
        for _ in 0..50_000 {
            if sink.dropped() >= lost {
                break;
            }
            let request = Request::post("/mcp").body(Full::new(Bytes::new())).unwrap();
            service.clone().oneshot(request).await.unwrap();
        }
        assert_eq!(sink.dropped(), lost);
    };

    lose(1).await;
    assert_eq!(losses(&log, 1), 1);
    lose(1000).await;
    assert_eq!(losses(&log, 1), 1);
    // It catches up: twenty batches at most, and what comes after them.
    for _ in 0..20 {
        go.send(()).unwrap();
    }
    assert!(sink.flush(Duration::from_secs(20)));
    lose(1001).await;
    assert_eq!(losses(&log, 2), 2);
    drop(go);
}
