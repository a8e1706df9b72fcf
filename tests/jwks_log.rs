//! What an operator reads about an issuer's keys. Alone in its file: who listens to the log is
//! decided once for a process.

#![allow(clippy::unwrap_used)]

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use log::Log;
use mcp_auth::{
    Algorithm, Jwks, KeyStore, UnixTime, VerificationKeyId,
    testing::{TestClock, TestIssuer},
};

#[tokio::test]
async fn every_change_is_one_line_and_no_line_names_a_kid() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
    let issuer = TestIssuer::start().unwrap();
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let keys = Jwks::new(issuer.url(), &issuer.jwks_uri())
        .unwrap()
        .with_clock(clock.clone());
    for n in 0..50 {
        match n {
            0 | 20 => issuer.fail(true),
            10 | 30 => issuer.fail(false),
            40 => issuer.set_jwks_body(issuer.jwks().replacen('[', "[{},", 1)),
            _ => {}
        }
        let kid = format!("forged\n{n}");
        let id = VerificationKeyId::new(issuer.url().into(), Some(kid.into()), Algorithm::ES256);
        // Every one of them makes a fetch.
        let _ = keys.key(&id).await;
        clock.advance(Duration::from_secs(31));
    }
    assert!(issuer.fetches() >= 50);
    let written = log.text();
    let url = issuer.url();
    let expected = [
        r#" WARN the issuer's keys cannot be fetched issuer="{url}" error="the JWK Set: status 500""#,
        r#" INFO the issuer's keys came issuer="{url}""#,
        r#" WARN the issuer's keys cannot be fetched issuer="{url}" error="the JWK Set: status 500""#,
        r#" INFO the issuer's keys came again issuer="{url}""#,
        r#" WARN keys that cannot be used issuer="{url}" skipped=1"#,
    ];
    let expected = expected.map(|line| line.replace("{url}", url));
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}
