//! The demonstration shows what it says it shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::time::{Duration, Instant};

use support::{
    eventually,
    gateway::{Gateway, command},
    soon,
};
use tokio::process::Command;

#[tokio::test]
async fn each_curl_line_shows_the_status_in_its_comment() {
    let start = Instant::now();
    let mut gateway = Gateway::run(command()).await;
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(gateway.addr.ip().is_loopback());
    gateway.stdout().wait_for("curl ").await;

    let lines = eventually("the last curl line", || {
        let lines = gateway.stdout().all();
        let curls: Vec<_> = lines
            .into_iter()
            .filter(|line| line.starts_with("curl "))
            .collect();
        (curls.len() >= 6).then_some(curls)
    })
    .await;
    let mut statuses = Vec::new();
    for line in &lines {
        let (_, expected) = line.rsplit_once("# ").unwrap();
        let asked = Instant::now();
        let output = Command::new("sh").args(["-c", line]).output();
        let output = soon("curl", output).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(5), "{line}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(
            shown.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{line}\n{shown}"
        );
        statuses.push(expected.to_owned());
    }
    for interesting in ["200", "401", "403"] {
        assert!(
            statuses.iter().any(|status| status == interesting),
            "{statuses:?}"
        );
    }
    // One event for each, as they happen.
    let events = eventually("the audit events", || {
        let lines = gateway.stdout().all();
        let events: Vec<serde_json::Value> = lines
            .iter()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (events.len() >= statuses.len()).then_some(events)
    })
    .await;
    let audited: Vec<_> = events
        .iter()
        .map(|event| event["status"].to_string())
        .collect();
    assert_eq!(audited, statuses);

    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn two_of_them_stand_side_by_side() {
    let first = Gateway::run(command()).await;
    let second = Gateway::run(command()).await;
    assert_ne!(first.addr, second.addr);
}
