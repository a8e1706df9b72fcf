//! Several gateways, each a process of its own, that share a Redis that runs.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode};
use mcp_auth::testing::{ClaimsBuilder, TestIssuer};
use serde_json::{Value, json};
use support::{
    eventually,
    gateway::{Gateway, command},
    json_lines,
    redis::Server,
    soon,
    tls::Certificates,
    upstream::{Recorded, Upstream, json as json_answer},
};
use tokio::task::JoinSet;

const AUDIENCE: &str = "litellm-mcp";
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// The session that the upstream opens.
const SESSION: &str = "abc";

/// Gateways in front of an upstream.
struct House {
    issuer: TestIssuer,
    upstream: Upstream,
    dir: tempfile::TempDir,
    client: reqwest::Client,
}

/// One of them.
struct Instance {
    gateway: Gateway,
    audit: PathBuf,
}

impl House {
    async fn new() -> Self {
        let answer = async |request: Recorded| {
            let mut answer = json_answer(ANSWER);
            if String::from_utf8_lossy(&request.body).contains("initialize") {
                let session = HeaderValue::from_static(SESSION);
                answer.headers_mut().insert("mcp-session-id", session);
            }
            answer
        };
        Self {
            issuer: TestIssuer::start().unwrap(),
            upstream: Upstream::start(answer).await,
            dir: tempfile::tempdir().unwrap(),
            client: reqwest::Client::new(),
        }
    }

    async fn instance(&self, name: &str, redis: &str, flags: &[&str]) -> Instance {
        let variables = [("MCP_PROXY_REDIS_URL", redis)];
        self.instance_with(name, &variables, flags).await
    }

    async fn instance_with(
        &self,
        name: &str,
        variables: &[(&str, &str)],
        flags: &[&str],
    ) -> Instance {
        let audit = self.dir.path().join(format!("{name}.jsonl"));
        let (upstream, jwks) = (self.upstream.url(), self.issuer.jwks_uri());
        let mut all = vec!["--upstream", &upstream, "--issuer", self.issuer.url()];
        all.extend(["--audience", AUDIENCE, "--jwks-uri", &jwks, "--no-key-map"]);
        all.extend(["--audit-log", audit.to_str().unwrap()]);
        all.extend(flags);
        let gateway = Gateway::start(all, variables.iter().copied()).await;
        Instance { gateway, audit }
    }

    fn claims(&self, sub: &str) -> ClaimsBuilder {
        self.issuer.claims().subject(sub).audience(AUDIENCE)
    }

    fn token(&self, sub: &str) -> String {
        self.issuer.token(&self.claims(sub))
    }

    fn post(&self, instance: &Instance, token: &str) -> reqwest::RequestBuilder {
        let call =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}});
        self.client
            .post(instance.gateway.url("/mcp"))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(call.to_string())
    }

    async fn call(&self, instance: &Instance, token: &str) -> StatusCode {
        soon("an answer", self.post(instance, token).send())
            .await
            .unwrap()
            .status()
    }

    /// Calls until the answer is this one.
    async fn until(&self, instance: &Instance, token: &str, status: StatusCode) {
        let start = Instant::now();
        while self.call(instance, token).await != status {
            assert!(start.elapsed() < support::PATIENCE, "no {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Instance {
    /// The last audit line of a user.
    async fn audited(&self, user: &str, reason: &str) -> Value {
        eventually(&format!("{reason} of {user}"), || {
            let lines = json_lines(&self.audit);
            let mut lines = lines.into_iter().rev();
            lines.find(|line| line["user"] == user && line["reason"] == reason)
        })
        .await
    }
}

#[tokio::test]
async fn what_is_revoked_is_refused_by_all_at_the_next_request() {
    let (server, house) = (Server::start(), House::new().await);
    let url = server.url();
    let one = house.instance("one", &url, &[]).await;
    let other = house.instance("other", &url, &[]).await;
    let issuer = house.issuer.url();
    let token = house.issuer.token(&house.claims("alice").jwt_id("t-1"));
    for instance in [&one, &other] {
        house.until(instance, &token, StatusCode::OK).await;
    }
    let key = format!("mcp-auth:revoked:jti:{issuer}|t-1");
    server.cli(["SET", &key, "1", "EX", "600"]);
    for instance in [&one, &other] {
        assert_eq!(house.call(instance, &token).await, 401);
        let line = instance.audited("alice", "revoked").await;
        assert_eq!(line["revocation"], "revoked");
        assert_eq!(house.call(instance, &house.token("alice")).await, 200);
        let line = instance.audited("alice", "ok").await;
        assert_eq!(line["revocation"], "active");
    }

    // By hand, and through the gateway's own command.
    for (flag, id, claims) in [
        ("--jti", "t-2", house.claims("bob").jwt_id("t-2")),
        ("--sid", "s-2", house.claims("bob").session_id("s-2")),
        ("--client-id", "c-2", house.claims("bob").client_id("c-2")),
        ("--sub", "bob", house.claims("bob")),
    ] {
        let token = house.issuer.token(&claims);
        assert_eq!(house.call(&one, &token).await, 200, "{flag}");
        let output = command()
            .args(["revoke", flag, id, "--issuer", issuer])
            .env("MCP_PROXY_REDIS_URL", &url)
            .output();
        let output = soon("the end of revoke", output).await.unwrap();
        assert!(output.status.success(), "{flag}: {output:?}");
        for instance in [&one, &other] {
            assert_eq!(house.call(instance, &token).await, 401, "{flag}");
        }
    }
    assert_eq!(house.call(&one, &house.token("carol")).await, 200);
}

/// Calls 200 times side by side, through two gateways; says how many passed, and in what time.
async fn passed_under(limit: &str) -> (u64, Duration) {
    let (server, house) = (Server::start(), House::new().await);
    let flags = ["--rate-limit", limit];
    let one = house.instance("one", &server.url(), &flags).await;
    let other = house.instance("other", &server.url(), &flags).await;
    let (alice, bob) = (house.token("alice"), house.token("bob"));
    for instance in [&one, &other] {
        house.until(instance, &bob, StatusCode::OK).await;
    }
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let instance = if n % 2 == 0 { &one } else { &other };
        calls.spawn(house.post(instance, &alice).send());
    }
    let answers = soon("200 answers", calls.join_all()).await;
    let took = start.elapsed();
    let statuses: Vec<_> = answers
        .iter()
        .map(|it| it.as_ref().unwrap().status())
        .collect();
    let passed = statuses.iter().filter(|it| **it == 200).count() as u64;
    let limited = statuses.iter().filter(|it| **it == 429).count() as u64;
    assert_eq!(passed + limited, 200, "{statuses:?}");
    let line = one.audited("alice", "rate_limited").await;
    assert_eq!(line["rate_limit"], "limited");
    // Alice's count is hers.
    assert_eq!(house.call(&other, &bob).await, 200);
    (passed, took)
}

#[tokio::test]
async fn all_share_one_limit() {
    let (passed, took) = passed_under("60/min").await;
    let earned = took.as_secs();
    assert!((60..=60 + earned).contains(&passed), "{passed} in {took:?}");
    // Within a minute nothing is earned here.
    let (passed, took) = passed_under("60/h").await;
    assert_eq!(passed, 60, "in {took:?}");
}

#[tokio::test]
async fn a_session_is_its_owners_at_every_gateway_whichever_opened_it() {
    let (server, house) = (Server::start(), House::new().await);
    let one = house.instance("one", &server.url(), &[]).await;
    let other = house.instance("other", &server.url(), &[]).await;
    let (alice, bob) = (house.token("alice"), house.token("bob"));
    for instance in [&one, &other] {
        house.until(instance, &bob, StatusCode::OK).await;
    }
    let in_session = async |instance: &Instance, token: &str| {
        let call = house
            .post(instance, token)
            .header("mcp-session-id", SESSION);
        soon("an answer", call.send()).await.unwrap().status()
    };
    assert_eq!(in_session(&other, &alice).await, 404);
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    let open = house.post(&one, &alice).body(initialize.to_string());
    let opened = soon("a session", open.send()).await.unwrap();
    assert_eq!(opened.headers()["mcp-session-id"], SESSION);
    for instance in [&one, &other] {
        assert_eq!(in_session(instance, &alice).await, 200);
        assert_eq!(in_session(instance, &bob).await, 404);
    }

    // One that starts later knows it too, and ends it for all.
    let third = house.instance("third", &server.url(), &[]).await;
    house.until(&third, &bob, StatusCode::OK).await;
    assert_eq!(in_session(&third, &alice).await, 200);
    let end = house.client.delete(third.gateway.url("/mcp"));
    let end = end.bearer_auth(&alice).header("mcp-session-id", SESSION);
    assert_eq!(soon("the end", end.send()).await.unwrap().status(), 200);
    for instance in [&one, &other, &third] {
        assert_eq!(in_session(instance, &alice).await, 404);
    }
}

#[tokio::test]
async fn an_outage_is_503_within_the_timeout_and_over_by_itself() {
    let (server, house) = (Server::start(), House::new().await);
    let gateway = house.instance("one", &server.url(), &[]).await;
    let token = house.token("alice");
    house.until(&gateway, &token, StatusCode::OK).await;
    server.signal("STOP");
    let mut slowest = Duration::ZERO;
    let stopped = Instant::now();
    // So long that it is probed, in vain.
    while stopped.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        let answer = soon("an answer", house.post(&gateway, &token).send())
            .await
            .unwrap();
        slowest = slowest.max(start.elapsed());
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let line = gateway.audited("alice", "store_unavailable").await;
    assert_eq!(line["revocation"], "unchecked");
    assert_eq!(line["decision"], "error");
    server.signal("CONT");
    let start = Instant::now();
    house.until(&gateway, &token, StatusCode::OK).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    // One line for each change.
    for line in [
        "Redis does not answer",
        "Redis answers again",
        "revocations cannot be checked",
        "revocations are checked again",
    ] {
        let lines = gateway.gateway.stderr().all();
        let said = lines.iter().filter(|it| it.contains(line)).count();
        assert_eq!(said, 1, "{line}: {lines:#?}");
    }
}

#[tokio::test]
async fn where_it_may_fail_open_limits_are_local_and_grant_no_new_burst() {
    let (server, house) = (Server::start(), House::new().await);
    let flags = ["--rate-limit", "5/h", "--revocation-on-error", "open"];
    let one = house.instance("one", &server.url(), &flags).await;
    let other = house.instance("other", &server.url(), &flags).await;
    let alice = house.token("alice");
    for instance in [&one, &other] {
        house
            .until(instance, &house.token("bob"), StatusCode::OK)
            .await;
    }
    // Three of five, the last one seen by the first gateway.
    for instance in [&other, &one, &one] {
        assert_eq!(house.call(instance, &alice).await, 200);
    }
    server.signal("STOP");
    // Whom the gateway never saw it does not give a burst.
    let carol = house.token("carol");
    assert_eq!(house.call(&one, &carol).await, 200);
    for _ in 0..5 {
        assert_eq!(house.call(&one, &carol).await, 429);
    }
    // By now Redis is not asked any more, and hears of what follows only from the gateway.
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        statuses.push(house.call(&one, &alice).await.as_u16());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let line = one.audited("carol", "ok").await;
    assert_eq!(
        [&line["revocation"], &line["rate_limit"]],
        ["unchecked", "local"]
    );

    server.signal("CONT");
    let start = Instant::now();
    loop {
        assert_eq!(house.call(&one, &alice).await, 429);
        let lines = json_lines(&one.audit);
        if lines
            .last()
            .is_some_and(|line| line["revocation"] == "active")
        {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(2), "still local");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What was taken meanwhile is known to all.
    assert_eq!(house.call(&other, &alice).await, 429);
    let lines = one.gateway.stderr().all();
    for line in [
        "limits are counted by this instance alone",
        "limits are shared again",
    ] {
        let said = lines.iter().filter(|it| it.contains(line)).count();
        assert_eq!(said, 1, "{line}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_password_is_used_and_never_shown() {
    let server = Server::prepared(
        "redis-server",
        support::redis::free_port(),
        &[],
        &["--requirepass", "hunter2%40"],
        &["--no-auth-warning", "-a", "hunter2%40"],
    );
    // The folder stands for the % of the test's own settings.
    let password = format!("hunter2{}40", server.dir().display()).replace('/', "%2F");
    let house = House::new().await;
    let url = format!("redis://:{password}@127.0.0.1:{}", server.port);
    let gateway = house.instance("one", &url, &[]).await;
    house
        .until(&gateway, &house.token("alice"), StatusCode::OK)
        .await;

    let wrong = format!("redis://:hunter3@127.0.0.1:{}", server.port);
    let locked_out = house.instance("other", &wrong, &[]).await;
    for _ in 0..10 {
        assert_eq!(house.call(&locked_out, &house.token("alice")).await, 503);
    }
    for (instance, word) in [(&gateway, "hunter2"), (&locked_out, "hunter3")] {
        let said = format!("{:?}", instance.gateway.stderr().all());
        assert!(!said.contains(word), "{said}");
    }
    assert!(
        locked_out
            .gateway
            .stderr()
            .all()
            .join("")
            .contains("Redis does not answer")
    );
}

#[tokio::test]
async fn tls_is_spoken_with_a_server_that_proves_who_it_is() {
    let certificates = Certificates::new();
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    let authority = path(certificates.authority());
    let (cert, key) = (path(certificates.certificate()), path(certificates.key()));
    let port = support::redis::free_port();
    let server = Server::prepared(
        "redis-server",
        port,
        &[],
        &[
            "--port",
            "0",
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "no",
            "--requirepass",
            "hunter2",
        ],
        &[
            "--tls",
            "--cacert",
            &authority,
            "--no-auth-warning",
            "-a",
            "hunter2",
        ],
    );

    let house = House::new().await;
    let token = house.issuer.token(&house.claims("alice").jwt_id("t-1"));
    let url = |host: &str| format!("rediss://:hunter2@{host}:{port}");
    let right = [
        ("MCP_PROXY_REDIS_URL", &*url("127.0.0.1")),
        ("SSL_CERT_FILE", &authority),
    ];
    let gateway = house.instance_with("right", &right, &[]).await;
    house.until(&gateway, &token, StatusCode::OK).await;
    let output = command()
        .args(["revoke", "--jti", "t-1", "--issuer", house.issuer.url()])
        .envs(right)
        .output();
    let output = soon("the end of revoke", output).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(house.call(&gateway, &token).await, 401);
    let key = format!("mcp-auth:revoked:jti:{}|t-1", house.issuer.url());
    assert_eq!(server.cli(["GET", &key]), "1");

    // An authority that nobody trusts, and a name that the certificate does not have.
    let (unknown, localhost) = (url("127.0.0.1"), url("localhost"));
    for (name, variables) in [
        ("unknown", vec![("MCP_PROXY_REDIS_URL", &*unknown)]),
        (
            "name",
            vec![
                ("MCP_PROXY_REDIS_URL", &*localhost),
                ("SSL_CERT_FILE", &authority),
            ],
        ),
    ] {
        let gateway = house.instance_with(name, &variables, &[]).await;
        for _ in 0..10 {
            assert_eq!(house.call(&gateway, &token).await, 503, "{name}");
        }
        let said = gateway.gateway.stderr().all().join("\n");
        assert!(said.contains("certificate"), "{name}: {said}");
        assert!(!said.contains("hunter2"), "{name}: {said}");
    }
}

#[tokio::test]
async fn wrong_flags_are_said_in_one_line_that_names_them() {
    for (flags, said) in [
        (
            vec!["--redis-url", "http://u:hunter2@h"],
            "--redis-url: the URL of Redis is none of",
        ),
        (
            vec!["--redis-url", "redis://h", "--revocation-on-error", "maybe"],
            "--revocation-on-error: is neither",
        ),
        (
            vec!["--revocation-on-error", "open"],
            "--revocation-on-error: speaks of --redis-url",
        ),
        (
            vec!["--redis-url", "redis://h", "--revocation-file", "f"],
            "--revocation-file: is for one gateway",
        ),
    ] {
        let common = [
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:1",
            "--no-key-map",
            "--issuer",
            "https://idp.example.com",
            "--audience",
            "a",
        ];
        let output = soon("the end", command().args(common).args(&flags).output())
            .await
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(
            error.starts_with(said) && error.lines().count() == 1,
            "{flags:?}: {error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    let issuer = ["--issuer", "https://idp.example.com"];
    for (flags, said) in [
        (
            vec!["--sub", "alice", "--redis-url", "redis://127.0.0.1:1"],
            "--redis-url: Redis did not take",
        ),
        (
            vec!["--redis-url", "redis://127.0.0.1:1"],
            "--sub: is needed, or",
        ),
        (vec!["--sub", "alice"], "the following required"),
    ] {
        let output = soon(
            "the end",
            command().arg("revoke").args(issuer).args(&flags).output(),
        )
        .await
        .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(
            error.starts_with(said) && error.lines().count() == 1,
            "{flags:?}: {error}"
        );
    }
}
