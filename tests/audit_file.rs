//! The audit log in a file: who called, as it happens.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    convert::Infallible,
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
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
