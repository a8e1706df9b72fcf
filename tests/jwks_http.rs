//! Verification keys over real HTTP, from issuers that serve well and badly.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use mcp_auth::{
    Algorithm, Jwks, KeyStore, UnixTime, VerificationKeyId,
    testing::{TestClock, TestIssuer},
};

const ALGORITHM: Algorithm = Algorithm::ES256;

/// What a token that names this key is answered with, its signature aside.
async fn status_of(keys: &Jwks, issuer: &str, kid: &str) -> u16 {
    let id = VerificationKeyId::new(issuer.into(), Some(kid.into()), ALGORITHM);
    match keys.key(&id).await {
        Ok(Some(_)) => 200,
        Ok(None) => 401,
        Err(_) => 503,
    }
}

async fn status(keys: &Jwks, issuer: &TestIssuer) -> u16 {
    status_of(keys, issuer.url(), &issuer.kid(ALGORITHM)).await
}

fn clock() -> TestClock {
    TestClock::new(UnixTime::from_secs(1_700_000_000))
}

#[tokio::test]
async fn keys_come_from_a_fixed_url() {
    let issuer = TestIssuer::start().unwrap();
    let keys = Jwks::new(issuer.url(), &issuer.jwks_uri()).unwrap();
    assert_eq!(status(&keys, &issuer).await, 200);
    assert_eq!(status_of(&keys, issuer.url(), "unknown").await, 401);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn keys_are_discovered_by_either_document() {
    let documents = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ];
    for missing in documents {
        let issuer = TestIssuer::start().unwrap();
        issuer.remove_document(missing);
        let keys = Jwks::discover(issuer.url()).unwrap();
        assert_eq!(status(&keys, &issuer).await, 200, "without {missing}");
    }
    let issuer = TestIssuer::start().unwrap();
    for missing in documents {
        issuer.remove_document(missing);
    }
    let keys = Jwks::discover(issuer.url()).unwrap();
    assert_eq!(status(&keys, &issuer).await, 503);
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_in_each_of_three_places() {
    for place in [
        "/.well-known/oauth-authorization-server/tenant/1",
        "/.well-known/openid-configuration/tenant/1",
        "/tenant/1/.well-known/openid-configuration",
    ] {
        let server = TestIssuer::start().unwrap();
        let issuer = format!("{}/tenant/1", server.url());
        let jwks = server.jwks_uri();
        server.set_document(
            place,
            format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks}"}}"#),
        );
        let keys = Jwks::discover(&*issuer).unwrap();
        let kid = server.kid(ALGORITHM);
        assert_eq!(status_of(&keys, &issuer, &kid).await, 200, "{place}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let issuer = TestIssuer::start().unwrap();
    let jwks = issuer.jwks_uri();
    for (name, jwks) in [
        ("https://evil.example.com", &*jwks),
        (&*format!("{}/", issuer.url()), &*jwks),
        // The right name, and a place that must not be fetched.
        (issuer.url(), "http://idp.example.com/jwks.json"),
        (issuer.url(), "file:///etc/passwd"),
    ] {
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ] {
            issuer.set_document(
                path,
                format!(r#"{{"issuer":"{name}","jwks_uri":"{jwks}"}}"#),
            );
        }
        let keys = Jwks::discover(issuer.url()).unwrap();
        assert_eq!(status(&keys, &issuer).await, 503, "{name} {jwks}");
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn a_jwk_set_that_moved_is_found_again() {
    // What the old place has to say.
    for left in [
        None,
        Some("<!doctype html><title>Moved</title>"),
        Some(r#"{"keys":[]}"#),
    ] {
        let issuer = TestIssuer::start().unwrap();
        let clock = clock();
        let keys = Jwks::discover(issuer.url())
            .unwrap()
            .with_clock(clock.clone());
        assert_eq!(status(&keys, &issuer).await, 200);
        issuer.rotate();
        issuer.set_document("/new.json", issuer.jwks());
        match left {
            Some(body) => issuer.set_jwks_body(body),
            None => issuer.remove_document("/jwks.json"),
        }
        let (name, new) = (issuer.url(), format!("{}/new.json", issuer.url()));
        issuer.set_document(
            "/.well-known/oauth-authorization-server",
            format!(r#"{{"issuer":"{name}","jwks_uri":"{new}"}}"#),
        );
        // At most twice in vain at the old place.
        let mut statuses = Vec::new();
        for _ in 0..3 {
            clock.advance(Duration::from_secs(10));
            statuses.push(status(&keys, &issuer).await);
        }
        assert_eq!(statuses[0], 503, "{left:?}");
        assert!(!statuses.contains(&401), "{left:?}");
        assert_eq!(statuses[2], 200, "{left:?}");
    }
}

#[tokio::test]
async fn no_redirect_leads_to_another_host() {
    let issuer = TestIssuer::start().unwrap();
    let other = TestIssuer::start().unwrap();
    issuer.redirect_to(Some(&other.jwks_uri()));
    let keys = Jwks::new(issuer.url(), &issuer.jwks_uri()).unwrap();
    let kid = other.kid(ALGORITHM);
    assert_eq!(status_of(&keys, issuer.url(), &kid).await, 503);
    assert_eq!((issuer.fetches(), other.fetches()), (1, 0));
    // In a circle on the same host: three times, and no more.
    let circling = TestIssuer::start().unwrap();
    circling.redirect_to(Some("/jwks.json"));
    let keys = Jwks::new(circling.url(), &circling.jwks_uri()).unwrap();
    assert_eq!(status(&keys, &circling).await, 503);
    assert_eq!(circling.fetches(), 4);
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let issuer = TestIssuer::start().unwrap();
    let set = issuer.jwks();
    for (size, expected) in [(512 * 1024, 200), (512 * 1024 + 1, 503), (70 << 20, 503)] {
        let white_space = " ".repeat(size - set.len());
        issuer.set_jwks_body(format!("{set}{white_space}"));
        let keys = Jwks::new(issuer.url(), &issuer.jwks_uri()).unwrap();
        assert_eq!(status(&keys, &issuer).await, expected, "{size}");
    }
}

#[tokio::test]
async fn a_set_has_at_most_a_hundred_keys() {
    let issuer = TestIssuer::start().unwrap();
    let set = issuer.jwks();
    for (more, expected) in [(96, 200), (97, 503)] {
        let filler = r#"{"kty":"new"},"#.repeat(more);
        issuer.set_jwks_body(set.replacen('[', &format!("[{filler}"), 1));
        let keys = Jwks::new(issuer.url(), &issuer.jwks_uri()).unwrap();
        assert_eq!(status(&keys, &issuer).await, expected, "{more}");
    }
}

#[tokio::test]
async fn bad_keys_among_good_ones_are_skipped() {
    let issuer = TestIssuer::start().unwrap();
    let bad = r#"[{},{"kty":"oct","kid":"x","k":"AAAA"},{"kty":"EC","crv":"P-256","kid":"y","x":"AA","y":"AA"},"#;
    issuer.set_jwks_body(issuer.jwks().replacen('[', bad, 1));
    let keys = Jwks::new(issuer.url(), &issuer.jwks_uri()).unwrap();
    assert_eq!(status(&keys, &issuer).await, 200);
    for kid in ["x", "y"] {
        assert_eq!(status_of(&keys, issuer.url(), kid).await, 401, "{kid}");
    }
}

#[tokio::test]
async fn an_outage_keeps_the_keys_and_is_never_a_401() {
    let issuer = TestIssuer::start().unwrap();
    let clock = clock();
    let keys = Jwks::new(issuer.url(), &issuer.jwks_uri())
        .unwrap()
        .with_clock(clock.clone());
    assert_eq!(status(&keys, &issuer).await, 200);
    let good = issuer.jwks();
    for body in ["", "{\"keys\":[]}", "<html>", "{\"keys\":[", "null"] {
        clock.advance(Duration::from_secs(10));
        issuer.set_jwks_body(body);
        assert_eq!(status_of(&keys, issuer.url(), "new").await, 503, "{body}");
        assert_eq!(status(&keys, &issuer).await, 200, "{body}");
    }
    issuer.set_jwks_body(good);
    clock.advance(Duration::from_secs(10));
    assert_eq!(status_of(&keys, issuer.url(), "new").await, 401);
}

#[tokio::test]
async fn max_age_is_honoured_within_its_bounds() {
    for (cache_control, ttl) in [
        (None, 600),
        (Some("max-age=0"), 60),
        (Some("public, max-age=120"), 120),
        (Some("max-age=31536000"), 3600),
    ] {
        let issuer = TestIssuer::start().unwrap();
        issuer.set_cache_control(cache_control);
        let clock = clock();
        let keys = Jwks::new(issuer.url(), &issuer.jwks_uri())
            .unwrap()
            .with_max_stale(Duration::ZERO)
            .with_clock(clock.clone());
        assert_eq!(status(&keys, &issuer).await, 200);
        issuer.fail(true);
        clock.advance(Duration::from_secs(ttl - 1));
        assert_eq!(status(&keys, &issuer).await, 200, "{cache_control:?}");
        clock.advance(Duration::from_secs(1));
        assert_eq!(status(&keys, &issuer).await, 503, "{cache_control:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_or_drips_costs_five_seconds_once() {
    let hanging = TestIssuer::start().unwrap();
    hanging.hang(true);
    let dripping = dripping_server();
    let began = Instant::now();
    let (hung, dripped) = (
        Jwks::new(hanging.url(), &hanging.jwks_uri()).unwrap(),
        Jwks::new(&*dripping, &dripping).unwrap(),
    );
    let (first, second) = tokio::join!(
        status(&hung, &hanging),
        status_of(&dripped, &dripping, "any")
    );
    assert_eq!((first, second), (503, 503));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(6),
        "{took:?}"
    );
    // It is not asked again at once.
    assert_eq!(status(&hung, &hanging).await, 503);
    assert!(began.elapsed() - took < Duration::from_secs(1));
}

/// Sends a byte of its answer every 100 ms, for ever.
fn dripping_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn an_issuer_that_nobody_runs_is_503() {
    let issuer = TestIssuer::start().unwrap();
    let (url, jwks_uri) = (issuer.url().to_owned(), issuer.jwks_uri());
    drop(issuer);
    let keys = Jwks::new(&*url, &jwks_uri).unwrap();
    assert_eq!(status_of(&keys, &url, "any").await, 503);
    assert!(!keys.is_ready());
}

#[test]
fn what_is_neither_https_nor_on_this_machine_is_a_configuration_error() {
    for issuer in [
        "http://idp.example.com",
        "ftp://idp.example.com",
        "idp.example.com",
        "https://idp.example.com?tenant=1",
        "https://idp.example.com#x",
        "https://user:secret@idp.example.com",
        "http://127.0.0.1.example.com",
        "",
    ] {
        assert!(Jwks::discover(issuer).is_err(), "{issuer}");
        let fixed = Jwks::new(issuer, "https://idp.example.com/jwks");
        assert!(fixed.is_err(), "{issuer}");
    }
    for uri in [
        "http://idp.example.com/jwks",
        "http://localhost@idp.example.com/jwks",
        "file:///etc/passwd",
        "data:application/json,{}",
        "/jwks",
        "",
    ] {
        assert!(Jwks::new("https://idp.example.com", uri).is_err(), "{uri}");
    }
    assert!(Jwks::new("https://idp.example.com", "https://keys.example.com/j?t=1").is_ok());
}
