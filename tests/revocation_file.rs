//! A file of revocations, followed while it grows.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mcp_auth::{Claims, MemoryRevocationStore, Revocation, RevocationStore, VerifiedToken};

fn token(jti: &str) -> VerifiedToken {
    let json = format!(
        r#"{{"iss":"https://idp","sub":"alice","aud":"a","exp":4000000000,"jti":"{jti}"}}"#
    );
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

fn is_revoked(store: &MemoryRevocationStore, jti: &str) -> bool {
    store.status(&token(jti)).into_inner().unwrap() == Revocation::Revoked
}

/// Waits until the token is revoked, and gives how long it took.
fn until_revoked(store: &MemoryRevocationStore, jti: &str) -> Duration {
    let start = Instant::now();
    while !is_revoked(store, jti) && start.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_is_appended_is_in_force_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revoked.jsonl");
    fs::write(
        &path,
        "{\"jti\":\"first\"}\nnonsense\n{\"jti\":\"third\"}\n",
    )
    .unwrap();
    let store = MemoryRevocationStore::new();
    store.follow_file(&path, ["https://idp"]).unwrap();
    // What is there already is in force at once; a line that is wrong harms no other.
    assert!(is_revoked(&store, "first") && is_revoked(&store, "third"));
    assert!(!is_revoked(&store, "late"));

    append(&path, "{\"jti\":\"late\"}\n");
    assert!(until_revoked(&store, "late") < Duration::from_secs(1));

    // Cut, and written anew: the new lines hold, and the old ones still do.
    fs::write(&path, "{\"jti\":\"new\"}\n").unwrap();
    assert!(until_revoked(&store, "new") < Duration::from_secs(1));
    assert!(is_revoked(&store, "first"));
}

#[test]
fn a_last_line_without_a_newline_is_in_force_once_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revoked.jsonl");
    fs::write(&path, "{\"jti\":\"first\"}\n{\"jti\":\"last\"}").unwrap();
    let store = MemoryRevocationStore::new();
    store.follow_file(&path, ["https://idp"]).unwrap();
    assert!(is_revoked(&store, "first") && is_revoked(&store, "last"));

    append(&path, "\n{\"jti\":\"late\"");
    append(&path, "}");
    assert!(until_revoked(&store, "late") < Duration::from_secs(1));
}

#[test]
fn a_subject_is_revoked_up_to_the_instant_that_is_named_or_when_the_line_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revoked.jsonl");
    fs::write(
        &path,
        "{\"sub\":\"alice\"}\n{\"sub\":\"bob\",\"until\":1000}\n",
    )
    .unwrap();
    let store = MemoryRevocationStore::new();
    store.follow_file(&path, ["https://idp"]).unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (sub, iat, revoked) in [
        ("alice", now - 3600, true),
        ("alice", now + 3600, false),
        ("bob", 1000, true),
        ("bob", 1001, false),
        ("carol", 1000, false),
    ] {
        let json = format!(r#"{{"iss":"https://idp","sub":"{sub}","iat":{iat},"exp":4000000000}}"#);
        let token = VerifiedToken::assertion(Claims::from_json(&json).unwrap());
        let status = store.status(&token).into_inner().unwrap();
        assert_eq!(status == Revocation::Revoked, revoked, "{sub} {iat}");
    }
}

#[test]
fn a_file_that_does_not_exist_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revoked.jsonl");
    let store = MemoryRevocationStore::new();
    store
        .follow_file(&path, ["https://idp", "https://other"])
        .unwrap();
    append(
        &path,
        "{\"jti\":\"no-issuer\"}\n{\"iss\":\"https://idp\",\"jti\":\"x\"}\n",
    );
    assert!(until_revoked(&store, "x") < Duration::from_secs(1));
    assert!(!is_revoked(&store, "no-issuer"));
}

#[test]
fn what_cannot_be_followed_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryRevocationStore::new();
    let missing = dir.path().join("no").join("such");
    let error = store.follow_file(&missing, ["https://idp"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("can be neither read nor created"),
        "{error}"
    );
    let error = store.follow_file(dir.path(), ["https://idp"]).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    let error = store
        .follow_file(dir.path().join("f"), [""; 0])
        .unwrap_err();
    assert!(
        error.to_string().ends_with("is followed for no issuer"),
        "{error}"
    );
}
