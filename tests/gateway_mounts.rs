//! Several servers behind one gateway: what each has of its own, and what they share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::{fs, io::Write, path::PathBuf};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mcp_auth::testing::TestIssuer;
use serde_json::{Value, json};

use support::{
    eventually,
    gateway::{Gateway, refused},
    json_lines, soon,
    upstream::{Recorded, Upstream},
};

const ROOT: &str = "/.well-known/oauth-protected-resource";

/// The servers: the one of `--upstream`, and two mounts. Each audience is the name with an `x-`.
const SERVERS: [&str; 3] = ["main", "notes", "files"];

/// A gateway in front of three servers.
struct Setup {
    issuer: TestIssuer,
    gateway: Gateway,
    upstreams: [Upstream; 3],
    directory: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    challenge: String,
    session: String,
    body: Value,
}

impl Setup {
    async fn new(flags: &[&str]) -> Self {
        let issuer = TestIssuer::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let policy = |server: &str| {
            let text = format!(
                r#"{{"base":["{server}:read"],"tools":{{"list_{server}":[],"get_*":["{server}:get"]}}}}"#
            );
            file(&format!("{server}-policy.json"), &text)
        };
        let keys = |server: &str, subject: &str| {
            let text = format!(r#"{{"{subject}":"key-of-{subject}-for-{server}"}}"#);
            file(&format!("{server}-keys.json"), &text)
        };
        let upstreams = [
            Upstream::start(answer).await,
            Upstream::start(answer).await,
            Upstream::start(answer).await,
        ];
        let notes = format!(
            "/notes={}/mcp,policy={},key-map={},audience=x-notes,resource=https://mcp.example/notes",
            upstreams[1].url(),
            policy("notes"),
            keys("notes", "alice"),
        );
        let files = format!(
            "/files/a={},audience=x-files,policy={},key-map={}",
            upstreams[2].url(),
            policy("files"),
            file(
                "files-keys.json",
                r#"{"alice":"key-of-alice-for-files","bob":"key-of-bob-for-files"}"#
            ),
        );
        let (main, main_policy, main_keys) =
            (upstreams[0].url(), policy("main"), keys("main", "alice"));
        let audit = directory.path().join("audit.jsonl");
        let revoked = directory.path().join("revoked.jsonl");
        let mut all = vec!["--issuer", issuer.url(), "--upstream", &main];
        all.extend(["--audience", "x-main", "--policy", &main_policy]);
        all.extend(["--key-map-file", &main_keys]);
        all.extend(["--mount", &notes, "--mount", &files]);
        all.extend(["--audit-log", audit.to_str().unwrap()]);
        all.extend(["--revocation-file", revoked.to_str().unwrap()]);
        all.extend(flags);
        let gateway = Gateway::start(all, []).await;
        Self {
            issuer,
            gateway,
            upstreams,
            directory,
        }
    }

    fn audit(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    /// A token for one server, with every scope that there is.
    fn token(&self, subject: &str, server: &str) -> String {
        let scope = SERVERS.map(|server| format!("{server}:read {server}:get"));
        self.scoped(subject, server, &scope.join(" "))
    }

    fn scoped(&self, subject: &str, server: &str, scope: &str) -> String {
        let claims = self.issuer.claims().subject(subject).scope(scope);
        self.issuer.token(&claims.audience(&format!("x-{server}")))
    }

    /// Where each server's metadata is, as its challenges say.
    fn metadata(&self, server: &str) -> String {
        match server {
            "main" => self.gateway.url(&format!("{ROOT}/mcp")),
            "notes" => format!("https://mcp.example{ROOT}/notes"),
            _ => self.gateway.url(&format!("{ROOT}/files/a")),
        }
    }

    async fn send(&self, request: http::request::Builder, body: &Value) -> Answer {
        // This client sends a path as it stands.
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::from(body.to_string()))
            .unwrap();
        let response = soon("an answer", client.request(request)).await.unwrap();
        let text = |name: &str| {
            let value = response.headers().get(name);
            value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
        };
        let (challenge, session) = (text("www-authenticate"), text("mcp-session-id"));
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            challenge,
            session,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn post(&self, path: &str, token: &str, message: &Value) -> Answer {
        let request = Request::post(self.gateway.url(path))
            .header("authorization", format!("Bearer {token}"));
        self.send(request, message).await
    }

    async fn call(&self, path: &str, token: &str, tool: &str) -> Answer {
        let params = json!({"name": tool, "arguments": {}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.post(path, token, &message).await
    }

    /// What each server was asked up to now.
    fn seen(&self) -> [usize; 3] {
        self.upstreams.each_ref().map(|server| server.seen().len())
    }

    fn last(&self, server: usize) -> Recorded {
        self.upstreams[server].seen().pop().unwrap()
    }
}

/// A server that opens a session for everybody.
async fn answer(request: Recorded) -> http::Response<support::upstream::UpstreamBody> {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let result = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}});
    let mut response = support::upstream::json(&result.to_string());
    if asked["method"] == "initialize" {
        let headers = response.headers_mut();
        headers.insert("mcp-session-id", "session-1".parse().unwrap());
    }
    response
}

#[tokio::test]
async fn each_server_has_its_own_policy_keys_and_paths() {
    let setup = Setup::new(&[]).await;
    for (server, path, asked_as) in [
        (0, "/mcp", "/mcp"),
        (0, "/other?x=1", "/other?x=1"),
        (0, "/notesbook", "/notesbook"),
        (0, "/files", "/files"),
        (1, "/notes", "/mcp"),
        (1, "/notes?x=1", "/mcp?x=1"),
        (1, "/notes/", "/mcp/"),
        (1, "/notes/sse", "/mcp/sse"),
        (1, "/notes/files/a", "/mcp/files/a"),
        (2, "/files/a", "/"),
        (2, "/files/a/mcp", "/mcp"),
    ] {
        let name = SERVERS[server];
        let before = setup.seen();
        let token = setup.token("alice", name);
        let answer = setup.call(path, &token, &format!("list_{name}")).await;
        assert_eq!(answer.status, 200, "{path}");
        let mut expected = before;
        expected[server] += 1;
        assert_eq!(setup.seen(), expected, "{path}");
        let last = setup.last(server);
        assert_eq!(last.uri, asked_as, "{path}");
        assert_eq!(last.all("host"), [setup.upstreams[server].addr.to_string()]);
        assert_eq!(last.all("x-api-key"), [format!("key-of-alice-for-{name}")]);
    }

    let before = setup.seen();
    for (server, path) in [("main", "/mcp"), ("notes", "/notes"), ("files", "/files/a")] {
        let metadata = setup.metadata(server);
        // What the rules of another server name is nothing here.
        let other = if server == "main" { "notes" } else { "main" };
        let token = setup.token("alice", server);
        let answer = setup.call(path, &token, &format!("list_{other}")).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.challenge),
            (403, ""),
            "{path}"
        );
        // The scopes of another server's rules do not count here.
        let others = setup.scoped("alice", server, &format!("{other}:read {other}:get"));
        let answer = setup.call(path, &others, "get_it").await;
        let scope = format!("{server}:read {server}:get");
        let expected = format!(
            r#"Bearer error="insufficient_scope", scope="{scope}", resource_metadata="{metadata}""#
        );
        assert_eq!(answer.status, 403, "{path}");
        assert!(
            answer.challenge.starts_with(&expected),
            "{}",
            answer.challenge
        );
    }
    assert_eq!(setup.seen(), before);

    // Bob has a key for one of them.
    for (server, path, status) in [
        ("main", "/mcp", 403),
        ("notes", "/notes", 403),
        ("files", "/files/a", 200),
    ] {
        let token = setup.token("bob", server);
        let answer = setup.call(path, &token, &format!("list_{server}")).await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(setup.seen(), [before[0], before[1], before[2] + 1]);
    assert_eq!(setup.last(2).all("x-api-key"), ["key-of-bob-for-files"]);
}

#[tokio::test]
async fn a_token_for_one_server_is_refused_by_the_others() {
    let setup = Setup::new(&[]).await;
    let mut crossed = 0;
    for meant in SERVERS {
        let token = setup.token("alice", meant);
        for (server, path) in [("main", "/mcp"), ("notes", "/notes"), ("files", "/files/a")] {
            if server == meant {
                continue;
            }
            let answer = setup.call(path, &token, &format!("list_{server}")).await;
            let expected = format!(
                r#"Bearer error="invalid_token", scope="{server}:read", resource_metadata="{}", error_description="The access token is meant for another resource""#,
                setup.metadata(server)
            );
            assert_eq!(
                (answer.status.as_u16(), answer.challenge),
                (401, expected),
                "{meant} {path}"
            );
            crossed += 1;
        }
    }
    assert_eq!(setup.seen(), [0, 0, 0]);
    let lines = eventually("the audit lines", || {
        let lines = json_lines(&setup.audit());
        (lines.len() == crossed).then_some(lines)
    })
    .await;
    assert!(
        lines.iter().all(|line| line["reason"] == "wrong_audience"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn each_server_is_described_at_its_own_path_and_none_at_the_root() {
    let setup = Setup::new(&[]).await;
    let get = async |path: &str| {
        let request = Request::get(setup.gateway.url(path));
        setup.send(request, &Value::Null).await
    };
    for (path, server, resource) in [
        ("/mcp", "main", setup.gateway.url("/mcp")),
        ("/notes", "notes", "https://mcp.example/notes".to_owned()),
        ("/files/a", "files", setup.gateway.url("/files/a")),
    ] {
        let answer = get(&format!("{ROOT}{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.body,
            json!({
                "resource": resource,
                "authorization_servers": [setup.issuer.url()],
                "bearer_methods_supported": ["header"],
                "scopes_supported": [format!("{server}:read")],
            })
        );
        let answer = get(path).await;
        let expected = format!(
            r#"Bearer scope="{server}:read", resource_metadata="{}""#,
            setup.metadata(server)
        );
        assert_eq!((answer.status.as_u16(), answer.challenge), (401, expected));
    }
    let answer = get(ROOT).await;
    assert_eq!((answer.status.as_u16(), &*answer.challenge), (404, ""));
    for path in ["/notes/x", "/files", "/main", "/"] {
        let answer = get(&format!("{ROOT}{path}")).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    assert_eq!(setup.seen(), [0, 0, 0]);
}

#[tokio::test]
async fn a_path_that_could_be_read_as_a_mounts_is_not_the_main_servers() {
    let setup = Setup::new(&[]).await;
    let (main, notes) = (setup.token("alice", "main"), setup.token("alice", "notes"));
    for path in [
        "//notes",
        "/%6eotes",
        "/notes;v=1/x",
        "/%2fnotes",
        "/notes%2fx",
        "/notes%3bx",
        "/%5cnotes",
    ] {
        let answer = setup.call(path, &main, "list_main").await;
        assert_eq!(answer.status, 401, "{path}");
        let answer = setup.call(path, &notes, "list_notes").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in ["/notes/../mcp", "/notes/..%2fmcp", "/notes/%2e%2e/mcp"] {
        let answer = setup.call(path, &notes, "list_notes").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in [
        "/mcp/../notes",
        "/./notes",
        "/mcp/..%2fnotes",
        "/..;x/notes",
    ] {
        let answer = setup.call(path, &main, "list_main").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(setup.seen(), [0, 0, 0]);
    let reasons = eventually("the audit lines", || {
        let lines = json_lines(&setup.audit());
        let reason = |line: &Value| line["reason"].as_str().unwrap().to_owned();
        (lines.len() == 21).then(|| lines.iter().map(reason).collect::<Vec<_>>())
    })
    .await;
    let denied = reasons.iter().filter(|reason| *reason == "denied");
    assert_eq!(denied.count(), 14, "{reasons:?}");
}

#[tokio::test]
async fn limits_and_revocations_hold_for_all_servers_together() {
    let setup = Setup::new(&["--rate-limit", "3/h"]).await;
    for (server, path, status) in [
        ("notes", "/notes", 200),
        ("files", "/files/a", 200),
        ("main", "/mcp", 200),
        ("notes", "/notes", 429),
        ("files", "/files/a", 429),
        ("main", "/mcp", 429),
    ] {
        let token = setup.token("alice", server);
        let answer = setup.call(path, &token, &format!("list_{server}")).await;
        assert_eq!(answer.status, status, "{path}");
    }
    // Bob has a bucket of his own.
    let token = setup.token("bob", "files");
    assert_eq!(
        setup.call("/files/a", &token, "list_files").await.status,
        200
    );

    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let tokens = SERVERS.map(|server| setup.token("alice", server));
    let revoked = setup.directory.path().join("revoked.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(revoked).unwrap();
    writeln!(file, r#"{{"sub":"alice"}}"#).unwrap();
    for (token, path) in tokens.iter().zip(["/mcp", "/notes", "/files/a"]) {
        let start = std::time::Instant::now();
        while setup.post(path, token, &list).await.status != 401 {
            assert!(start.elapsed() < support::PATIENCE, "{path} still answers");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_session_of_one_server_is_unknown_to_the_others() {
    let setup = Setup::new(&[]).await;
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let notes = setup.token("alice", "notes");
    let session = setup.post("/notes", &notes, &open).await.session;
    assert_eq!(session, "session-1");
    for (server, path, status) in [
        ("notes", "/notes", 200),
        ("files", "/files/a", 404),
        ("main", "/mcp", 404),
    ] {
        let token = setup.token("alice", server);
        let request = Request::post(setup.gateway.url(path))
            .header("authorization", format!("Bearer {token}"))
            .header("mcp-protocol-version", "2025-11-25")
            .header("mcp-session-id", &session);
        assert_eq!(setup.send(request, &ping).await.status, status, "{path}");
    }
    assert_eq!(setup.seen(), [0, 2, 0]);
}

#[tokio::test]
async fn mounts_need_no_other_server() {
    let upstream = Upstream::start(answer).await;
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit.jsonl");
    let issuer = TestIssuer::start().unwrap();
    let mount = format!("/a={},audience=https://mcp.example/a", upstream.url());
    let mut flags = vec!["--issuer", issuer.url(), "--mount", &mount, "--no-key-map"];
    flags.extend(["--audit-log", audit.to_str().unwrap()]);
    let gateway = Gateway::start(flags, []).await;
    let client = reqwest::Client::new();
    let ask = async |path: &str| {
        let claims = issuer.claims().audience("https://mcp.example/a");
        let request = client
            .get(gateway.url(path))
            .bearer_auth(issuer.token(&claims));
        let response = soon("an answer", request.send()).await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        (status, body)
    };
    let nothing = json!({"error": "denied", "error_description": "There is nothing at this path"});
    for path in [
        "/",
        "/mcp",
        "/ab",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        assert_eq!(ask(path).await, (404, nothing.clone()), "{path}");
    }
    // One server alone is described at the root too.
    for path in [ROOT.to_owned(), format!("{ROOT}/a")] {
        let (status, document) = ask(&path).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(document["resource"], "https://mcp.example/a");
    }
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(ask("/a").await.0, 200);
    assert_eq!(upstream.seen().len(), 1);
    let facts = eventually("the audit lines", || {
        let lines = json_lines(&audit);
        let facts = |line: &Value| {
            json!([
                line["action"],
                line["decision"],
                line["reason"],
                line["status"]
            ])
        };
        (lines.len() == 7).then(|| lines.iter().map(facts).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(facts[0], json!(["GET", "deny", "denied", 404]));
    assert_eq!(facts[4], json!(["metadata", "allow", "ok", 200]));
    assert_eq!(facts[6], json!(["GET", "allow", "ok", 200]));
    // The keys come whenever they come: their line may stand before it.
    let said = gateway.stderr().all();
    let notice = said.iter().filter(|line| line.starts_with("/a: "));
    let expected = "/a: no policy (policy=), no key map: any valid token may do anything";
    assert_eq!(notice.collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn two_mounts_alone_have_no_root_alias() {
    let mut flags = vec!["--issuer", "http://127.0.0.1:9", "--no-key-map"];
    flags.extend(["--mount", "/a=http://127.0.0.1:9,audience=a"]);
    flags.extend(["--mount", "/b=http://127.0.0.1:9,audience=b"]);
    let gateway = Gateway::start(flags, []).await;
    for (path, status) in [
        (ROOT.to_owned(), 404),
        (format!("{ROOT}/a"), 200),
        (format!("{ROOT}/b"), 200),
        (format!("{ROOT}/c"), 404),
        ("/a".to_owned(), 401),
        ("/b/x".to_owned(), 401),
        ("/c".to_owned(), 404),
    ] {
        let response = reqwest::get(gateway.url(&path)).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn each_mount_is_answered_under_the_host_of_its_own_resource() {
    let mut command = support::gateway::command();
    command
        .args([
            "--listen",
            "0.0.0.0:0",
            "--issuer",
            "http://127.0.0.1:9",
            "--no-key-map",
        ])
        .args([
            "--mount",
            "/a=http://127.0.0.1:9,audience=a,resource=https://a.example/a",
        ])
        .args([
            "--mount",
            "/b=http://127.0.0.1:9,audience=b,resource=https://b.example/b",
        ]);
    let gateway = Gateway::run(command).await;
    let client = reqwest::Client::new();
    for (host, path, status) in [
        ("a.example", "/a", 401),
        ("b.example", "/b", 401),
        ("a.example", "/b", 403),
        ("b.example", "/a", 403),
    ] {
        let url = format!("http://127.0.0.1:{}{path}", gateway.addr.port());
        let request = client.get(url).header("host", host);
        let response = soon("an answer", request.send()).await.unwrap();
        assert_eq!(response.status(), status, "{host} {path}");
    }
}

#[tokio::test]
async fn a_wrong_mount_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (wrong, secret) = (path("wrong.json"), path("secret.json"));
    fs::write(&wrong, r#"{"toools":{}}"#).unwrap();
    fs::write(
        &secret,
        r#"{"alice":"secret-of-alice","alice":"secret-of-alice"}"#,
    )
    .unwrap();
    let (audit, missing) = (path("audit.jsonl"), path("missing.json"));

    let right = [
        "--issuer",
        "http://127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
        "--audit-log",
        &audit,
    ];
    let main = ["--upstream", "http://127.0.0.1:9", "--audience", "main"];
    let good = "/ok=http://127.0.0.1:9,audience=ok";
    let start = "/a=http://127.0.0.1:9,audience=a";
    for (mount, expected) in [
        (String::new(), "--mount: is not PATH=URL"),
        (
            start.replace("/a=", "a="),
            "--mount: \"a\" is not a plain path",
        ),
        (
            start.replace("/a=", "/a/../b="),
            "--mount: \"/a/../b\" is not a plain",
        ),
        (
            start.replace("http", "ftp"),
            "--mount: /a: upstream: is not an http",
        ),
        (
            start.replace("//", "//me:pass@"),
            "--mount: /a: upstream: must not hold credentials",
        ),
        (
            start.replace(",audience=a", ""),
            "--mount: /a: audience: is needed",
        ),
        (
            start.replace("audience=a", "audience=main"),
            "--mount: /a: audience: is another server's",
        ),
        (
            start.replace("audience=a", "audience=ok"),
            "--mount: /a: audience: is another server's",
        ),
        (start.replace("/a=", "/ok="), "--mount: /ok is given twice"),
        (
            format!("{start},tools=x"),
            "--mount: /a: tools: there is no such part",
        ),
        (format!("{start},resource=x"), "--mount: /a: resource: "),
        (
            format!("{start},resource=https://h/a/"),
            "--mount: /a: resource: ",
        ),
        (
            format!("{start},resource=https://h/ok"),
            "--mount: /a: resource: has the path of another",
        ),
        (format!("{start},policy={missing}"), "--mount: /a: policy: "),
        (format!("{start},policy={wrong}"), "--mount: /a: policy: "),
        (
            format!("{start},key-map={missing}"),
            "--mount: /a: key-map: ",
        ),
        (
            format!("{start},key-map={secret}"),
            "--mount: /a: key-map: ",
        ),
    ] {
        let mut flags = Vec::from_iter(right.into_iter().chain(main));
        flags.extend(["--no-key-map", "--mount", good, "--mount", &mount]);
        let said = refused("--mount", &flags, &[]).await;
        assert!(said.starts_with(expected), "{mount}: {said}");
        assert!(
            !said.contains("secret-of-alice") && !said.contains("pass"),
            "{said}"
        );

        // The twin is judged like the flag.
        let mut flags = Vec::from_iter(right.into_iter().chain(main));
        flags.push("--no-key-map");
        if !mount.contains("ok") {
            let said = refused("--mount", &flags, &[("MCP_PROXY_MOUNT", &mount)]).await;
            assert!(said.starts_with(expected), "{mount}: {said}");
        }
    }
    assert!(!fs::exists(&audit).unwrap());

    // Without a key map, and nobody said that none is needed.
    let mut flags = Vec::from_iter(right.into_iter().chain(["--mount", start]));
    let said = refused("--mount", &flags, &[]).await;
    assert!(
        said.starts_with("--mount: /a: key-map: is needed"),
        "{said}"
    );
    // Rules that would guard nothing.
    flags.push("--no-key-map");
    let map = ("MCP_PROXY_KEY_MAP", r#"{"alice":"secret-of-alice"}"#);
    refused("MCP_PROXY_KEY_MAP", &flags, &[map]).await;
    for flag in ["--policy", "--key-map-file"] {
        let mut flags = flags.clone();
        flags.extend([flag, &wrong]);
        let said = refused(flag, &flags, &[]).await;
        assert!(said.contains("--upstream"), "{said}");
    }
    // Elsewhere than on loopback clients need a name.
    let mut flags = vec!["--issuer", "http://127.0.0.1:9", "--listen", "0.0.0.0:0"];
    flags.extend(["--no-key-map", "--mount", start]);
    let said = refused("--mount", &flags, &[]).await;
    assert!(
        said.starts_with("--mount: /a: resource: is needed"),
        "{said}"
    );
}

#[tokio::test]
async fn keys_may_be_needed_by_one_server_alone() {
    let mut flags = vec!["--issuer", "http://127.0.0.1:9", "--no-key-map"];
    flags.extend(["--upstream", "http://127.0.0.1:9", "--audience", "main"]);
    let map = ("MCP_PROXY_KEY_MAP", r#"{"alice":"secret-of-alice"}"#);
    // Of the main server alone the two contradict each other.
    refused("--no-key-map", &flags, &[map]).await;
    flags.extend(["--mount", "/a=http://127.0.0.1:9,audience=a"]);
    let gateway = Gateway::start(flags, [map]).await;
    let response = reqwest::get(gateway.url("/a")).await.unwrap();
    assert_eq!(response.status(), 401);
}

/// HTTP/2 breaks off an answer to `HEAD` that has a body, and its server does not leave it out.
#[tokio::test]
async fn a_head_has_no_body_in_either_version_of_http() {
    let setup = Setup::new(&[]).await;
    for only_2 in [false, true] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(only_2)
            .build_http::<Full<Bytes>>();
        for (path, expected) in [
            ("/notes", StatusCode::UNAUTHORIZED),
            (ROOT, StatusCode::NOT_FOUND),
            (&format!("{ROOT}/notes"), StatusCode::OK),
        ] {
            let request = Request::head(setup.gateway.url(path));
            let request = request.body(Full::default()).unwrap();
            let response = soon("an answer", client.request(request)).await.unwrap();
            assert_eq!(response.status(), expected, "{path} {only_2}");
            let length = response.headers()["content-length"].to_str().unwrap();
            assert!(length.parse::<u64>().unwrap() > 0, "{path} {only_2}");
            let body = soon("the end", response.into_body().collect()).await;
            assert!(body.unwrap().to_bytes().is_empty(), "{path} {only_2}");
        }
    }
}

/// A server that needs no key may know the header all the same, and take a client's key in it.
#[tokio::test]
async fn where_no_key_is_injected_none_of_a_client_passes() {
    let issuer = TestIssuer::start().unwrap();
    let upstream = Upstream::start(answer).await;
    let mount = format!("/a={},audience=x-a", upstream.url());
    let mut flags = vec!["--issuer", issuer.url(), "--mount", &mount];
    flags.extend(["--no-key-map", "--key-header", "x-internal-key"]);
    let gateway = Gateway::start(flags, []).await;
    let token = issuer.token(&issuer.claims().audience("x-a"));
    let request = reqwest::Client::new().get(gateway.url("/a"));
    let request = request.bearer_auth(token).header("x-own", "passes");
    let request = request.header("x-internal-key", "forged");
    let request = request.header("X_Internal_Key", "forged");
    let response = soon("an answer", request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = &upstream.seen()[0];
    assert_eq!(seen.all("x-own"), ["passes"]);
    let values: Vec<_> = seen.headers.values().filter(|it| *it == "forged").collect();
    assert!(values.is_empty(), "{:?}", seen.headers);
}
