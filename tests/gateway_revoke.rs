//! `gateway revoke`: it says `revoked` only of what is.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{
    gateway::{command, refused},
    redis::Server,
    soon,
};

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

#[tokio::test]
async fn it_is_done_also_where_nobody_hears_of_it() {
    let redis = Server::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut revoke = command();
    revoke
        .args(["revoke", "--redis-url", &redis.url(), "--jti", "1"])
        .args(["--issuer", "https://idp.example.com"])
        .stdout(writer);
    let revoke = revoke.spawn().unwrap().wait_with_output();
    let output = soon("the end", revoke).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    assert_eq!(redis.cli(["DBSIZE"]), "1");
}
