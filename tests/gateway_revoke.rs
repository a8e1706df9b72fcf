//! `gateway revoke`: it says `revoked` only of what is.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{gateway::refused, redis::Server};

#[tokio::test]
async fn what_revokes_nothing_is_refused() {
    let redis = Server::start();
    let url = redis.url();
    let issuer = "https://idp.example.com";
    for (named, issuer, id) in [
        ("--jti", issuer, ["--jti", ""]),
        ("--sub", issuer, ["--sub", ""]),
        ("--sid", issuer, ["--sid", ""]),
        ("--client-id", issuer, ["--client-id", ""]),
        ("--issuer", "", ["--jti", "1"]),
        ("--issuer", "idp", ["--jti", "1"]),
        ("--issuer", "idp.example.com", ["--jti", "1"]),
        ("--issuer", "http://idp.example.com", ["--jti", "1"]),
        ("--issuer", "https://idp.example.com|x", ["--jti", "1"]),
        ("--issuer", "https://idp.example.com#x", ["--jti", "1"]),
    ] {
        let mut flags = vec!["revoke", "--redis-url", &url, "--issuer", issuer];
        flags.extend(id);
        refused(named, &flags, &[]).await;
        // One that is right does not help one that is not.
        flags.extend(["--issuer", "https://other.example.com"]);
        refused(named, &flags, &[]).await;
    }
    assert_eq!(redis.cli(["DBSIZE"]), "0");
}
