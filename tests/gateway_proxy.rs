//! The gateway as a process, between real clients and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../examples/gateway/notes.rs"]
#[allow(dead_code, unreachable_pub)]
mod notes;
mod support;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{BufRead, BufReader, PipeReader, Read, Write},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::StatusCode;
use mcp_auth::{
    Algorithm,
    testing::{ClaimsBuilder, TestIssuer},
};
use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
        streamable_http_server::StreamableHttpService,
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    sync::mpsc,
};

use support::{
    eventually,
    gateway::{Gateway, command},
    json_lines, soon,
    upstream::{Recorded, Upstream, event_stream, json as json_answer},
};

const AUDIENCE: &str = "litellm-mcp";
const POLICY: &str = r#"{
    "base": ["read:data"],
    "hierarchy": {"write:data": ["read:data"]},
    "tools": {"list_*": [], "get_*": [], "whoami": [], "put_*": ["write:data"]}
}"#;
const KEY_MAP: &str = r#"{"alice": [
    {"name": "ro", "key": "internal-key-ro", "scopes": ["read:data"]},
    {"name": "rw", "key": "internal-key-rw", "scopes": ["write:data"]}
]}"#;

/// A gateway in front of an upstream, with all parts of the stack.
struct Setup {
    issuer: TestIssuer,
    gateway: Gateway,
    revocations: PathBuf,
    audit: PathBuf,
    _directory: tempfile::TempDir,
}

impl Setup {
    async fn new(upstream: &Upstream) -> Self {
        Self::with_flags(&upstream.url(), &[]).await
    }

    async fn with_flags(upstream: &str, flags: &[&str]) -> Self {
        let issuer = TestIssuer::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (policy, revocations, audit) = (
            path("policy.json"),
            path("revoked.jsonl"),
            path("audit.jsonl"),
        );
        std::fs::write(&policy, POLICY).unwrap();
        let url = issuer.url().to_owned();
        let jwks_uri = issuer.jwks_uri();
        let mut all = vec!["--upstream", upstream, "--issuer", &url];
        all.extend(["--audience", AUDIENCE, "--jwks-uri", &jwks_uri]);
        all.extend(["--policy", policy.to_str().unwrap()]);
        all.extend(["--revocation-file", revocations.to_str().unwrap()]);
        all.extend(["--audit-log", audit.to_str().unwrap()]);
        all.extend(flags);
        let gateway = Gateway::start(all, [("MCP_PROXY_KEY_MAP", KEY_MAP)]).await;
        Self {
            issuer,
            gateway,
            revocations,
            audit,
            _directory: directory,
        }
    }

    /// Claims of Alice with these scopes.
    fn alice(&self, scope: &str) -> ClaimsBuilder {
        self.issuer
            .claims()
            .subject("alice")
            .audience(AUDIENCE)
            .scope(scope)
    }

    fn token(&self, scope: &str) -> String {
        self.issuer.token(&self.alice(scope))
    }

    /// A POST of one message.
    fn post(&self, token: &str, message: &Value) -> reqwest::RequestBuilder {
        reqwest::Client::new()
            .post(self.gateway.url("/mcp"))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string())
    }

    async fn call(&self, token: &str, tool: &str) -> reqwest::Response {
        soon("an answer", self.post(token, &call(tool)).send())
            .await
            .unwrap()
    }

    /// Waits for a line on standard error that holds all of this.
    async fn said(&self, parts: &[&str]) {
        let is_it = |line: &String| parts.iter().all(|part| line.contains(part));
        eventually(&format!("a line with {parts:?}"), || {
            let lines = self.gateway.stderr().all();
            lines.iter().any(is_it).then_some(())
        })
        .await;
    }

    /// Waits for the audit line that fits, and asserts its user, tool, decision and reason.
    async fn audited(
        &self,
        action: &str,
        tool: Option<&str>,
        decision: &str,
        reason: &str,
    ) -> Value {
        let wanted = json!([action, tool, decision, reason]);
        let line = eventually(&format!("the audit line {wanted}"), || {
            json_lines(&self.audit)
                .into_iter()
                .find(|line| of(line) == wanted)
        })
        .await;
        assert_eq!(line["user"], "alice", "{line}");
        assert_eq!(line["issuer"], self.issuer.url(), "{line}");
        line
    }
}

/// What tells audit lines apart.
fn of(line: &Value) -> Value {
    json!([
        line["action"],
        line["tool"],
        line["decision"],
        line["reason"]
    ])
}

fn call(tool: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": tool, "arguments": {"name": "welcome", "text": "x"}},
    })
}

/// The MCP server of the demonstration, with sessions and event streams.
async fn notes() -> Upstream {
    let names = BTreeMap::from(
        [("internal-key-ro", "ro"), ("internal-key-rw", "rw")]
            .map(|(key, name)| (key.to_owned(), name.to_owned())),
    );
    let notes = notes::Notes::new(names);
    let service = StreamableHttpService::new(
        move || Ok(notes.clone()),
        Arc::<rmcp::transport::streamable_http_server::session::local::LocalSessionManager>::default(),
        Default::default(),
    );
    Upstream::of_service(service).await
}

/// Asserts that the upstream never saw the token, under whatever name.
fn never_saw(upstream: &Upstream, token: &str) {
    let signature = token.rsplit('.').next().unwrap();
    for seen in upstream.seen() {
        let all = format!("{:?} {:?} {:?}", seen.uri, seen.headers, seen.body);
        assert!(!all.contains(signature), "{all}");
        assert!(seen.headers.get("authorization").is_none(), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_lists_and_calls_tools() {
    let upstream = notes().await;
    let setup = Setup::new(&upstream).await;
    let stateless = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    for (algorithm, lifecycle) in [
        (Algorithm::RS256, ClientLifecycleMode::Initialize),
        (Algorithm::ES256, ClientLifecycleMode::Initialize),
        (Algorithm::EdDSA, ClientLifecycleMode::Initialize),
        (Algorithm::EdDSA, stateless),
    ] {
        let claims = setup.alice("write:data");
        let token = setup.issuer.token_signed_with(algorithm, &claims);
        let config = StreamableHttpClientTransportConfig::with_uri(setup.gateway.url("/mcp"))
            .auth_header(&*token);
        let transport = StreamableHttpClientTransport::from_config(config);
        let client = soon("a session", ().serve_with_lifecycle(transport, lifecycle))
            .await
            .unwrap();

        let tools = soon("tools", client.list_all_tools()).await.unwrap();
        let mut names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
        names.sort_unstable();
        // The policy lets nobody call `delete_note`, and so nobody sees it.
        assert_eq!(
            names,
            ["get_note", "list_notes", "put_note", "whoami"],
            "{algorithm:?}"
        );
        let said =
            |result: rmcp::model::CallToolResult| result.content[0].as_text().unwrap().text.clone();
        let whoami = client.call_tool(CallToolRequestParams::new("whoami"));
        let whoami = said(soon("whoami", whoami).await.unwrap());
        assert_eq!(whoami, "You came with the key ro");
        let note = json!({"name": "n", "text": "t"});
        let put = CallToolRequestParams::new("put_note")
            .with_arguments(note.as_object().unwrap().clone());
        let put = said(soon("put_note", client.call_tool(put)).await.unwrap());
        assert_eq!(put, "Written with the key rw");
        soon("the end", client.cancel()).await.unwrap();
        never_saw(&upstream, &token);
    }
    let line = setup.audited("tools/list", None, "allow", "ok").await;
    assert_eq!(line["status"], 200);
    let line = setup
        .audited("tools/call", Some("whoami"), "allow", "ok")
        .await;
    assert_eq!(line["key_name"], "ro");
    let line = setup
        .audited("tools/call", Some("put_note"), "allow", "ok")
        .await;
    assert_eq!(line["key_name"], "rw");
    setup.audited("DELETE", None, "allow", "ok").await;
    setup.audited("server/discover", None, "allow", "ok").await;
    let keys: Vec<_> = upstream
        .seen()
        .iter()
        .flat_map(|seen| seen.all("x-api-key"))
        .collect();
    assert_eq!(keys.len(), upstream.seen().len());
    assert!(keys.contains(&"internal-key-ro".to_owned()));
    assert!(keys.contains(&"internal-key-rw".to_owned()));
}

#[tokio::test]
async fn a_reader_may_not_write() {
    let upstream = notes().await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    let response = setup.call(&token, "put_note").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let metadata = setup
        .gateway
        .url("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(
        response.headers()["www-authenticate"].to_str().unwrap(),
        format!(
            "Bearer error=\"insufficient_scope\", scope=\"read:data write:data\", \
             resource_metadata=\"{metadata}\""
        )
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["id"], 7);
    assert_eq!(body["error"]["code"], -31403);
    assert_eq!(
        body["error"]["data"]["required"],
        json!(["read:data", "write:data"])
    );
    assert_eq!(upstream.seen().len(), 0);
    let line = setup
        .audited("tools/call", Some("put_note"), "deny", "insufficient_scope")
        .await;
    assert_eq!(line["status"], 403);
    assert_eq!(line["held_scopes"], json!(["read:data"]));
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_a_second() {
    let upstream = Upstream::start(|_| async { json_answer("{}") }).await;
    let setup = Setup::new(&upstream).await;
    let token = setup.issuer.token(&setup.alice("read:data").jwt_id("t-1"));
    let other = setup.issuer.token(&setup.alice("read:data").jwt_id("t-2"));
    assert_eq!(setup.call(&token, "get_note").await.status(), 200);

    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&setup.revocations)
        .unwrap();
    writeln!(file, r#"{{"jti":"t-1"}}"#).unwrap();
    let appended = Instant::now();
    let response = loop {
        let response = setup.call(&token, "get_note").await;
        if response.status() != 200 {
            break response;
        }
        assert!(appended.elapsed() < Duration::from_secs(1));
    };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer error=\"invalid_token\""),
        "{challenge}"
    );
    let line = setup.audited("POST", None, "deny", "revoked").await;
    assert_eq!(line["revocation"], "revoked");
    assert_eq!(setup.call(&other, "get_note").await.status(), 200);
}

#[tokio::test]
async fn the_limit_answers_429() {
    let upstream = Upstream::start(|_| async { json_answer("{}") }).await;
    let setup = Setup::with_flags(&upstream.url(), &["--rate-limit", "2/h"]).await;
    let token = setup.token("read:data");
    for _ in 0..2 {
        assert_eq!(setup.call(&token, "get_note").await.status(), 200);
    }
    let response = setup.call(&token, "get_note").await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1700..=1800).contains(&after), "{after}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], -31429);
    assert_eq!(body["error"]["data"]["retryAfterSeconds"], after);
    assert_eq!(upstream.seen().len(), 2);
    let line = setup
        .audited("tools/call", Some("get_note"), "deny", "rate_limited")
        .await;
    assert_eq!(line["rate_limit"], "limited");
    // Only calls count.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let response = setup.post(&token, &list).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

/// An upstream that answers with event streams, which the test feeds.
async fn streaming() -> (Upstream, mpsc::UnboundedReceiver<mpsc::Sender<String>>) {
    let (streams, opened) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        let (sender, response) = event_stream();
        streams.send(sender).unwrap();
        async { response }
    })
    .await;
    (upstream, opened)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_arrives_within_100_ms() {
    let (upstream, mut opened) = streaming().await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    let mut response = setup.call(&token, "get_note").await;
    assert_eq!(response.status(), 200);
    let events = soon("a stream", opened.recv()).await.unwrap();
    for n in 0..3 {
        let sent = Instant::now();
        events.send(format!("data: {n}\n\n")).await.unwrap();
        let got = soon("an event", response.chunk()).await.unwrap().unwrap();
        assert!(
            sent.elapsed() < Duration::from_millis(100),
            "{:?}",
            sent.elapsed()
        );
        assert_eq!(got, format!("data: {n}\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_is_seen_by_the_upstream_within_a_second() {
    let (upstream, mut opened) = streaming().await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");

    // While it reads a stream.
    let mut response = setup.call(&token, "get_note").await;
    let events = soon("a stream", opened.recv()).await.unwrap();
    events.send("data: 1\n\n".to_owned()).await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    let left = Instant::now();
    soon("the upstream's notice", events.closed()).await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    let line = setup
        .audited("tools/call", Some("get_note"), "allow", "ok")
        .await;
    assert_eq!(line["cancelled"], false, "it was answered: {line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_before_the_head_is_seen_as_well() {
    struct Told(Option<std::sync::mpsc::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (told, dropped) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |_| {
        let told = Told(Some(told.lock().unwrap().clone()));
        async move {
            let _told = told;
            std::future::pending().await
        }
    })
    .await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    let asked = tokio::spawn(setup.post(&token, &call("get_note")).send());
    eventually("the call", || (!upstream.seen().is_empty()).then_some(())).await;
    asked.abort();
    let left = Instant::now();
    tokio::task::spawn_blocking(move || dropped.recv_timeout(Duration::from_secs(1)))
        .await
        .unwrap()
        .unwrap_or_else(|_| panic!("not seen after {:?}", left.elapsed()));
    let line = eventually("the audit line", || json_lines(&setup.audit).pop()).await;
    assert_eq!(line["action"], "tools/call", "{line}");
    assert_eq!(line["tool"], "get_note", "{line}");
    assert_eq!(line["user"], "alice", "{line}");
    assert_eq!(line["status"], Value::Null, "{line}");
    assert_eq!(line["cancelled"], true, "{line}");
}

#[tokio::test]
async fn headers_that_are_not_for_the_upstream_stay_here() {
    let upstream = Upstream::start(|_| async {
        let mut response = json_answer("{}");
        let headers = response.headers_mut();
        headers.insert("connection", "x-hop".parse().unwrap());
        headers.insert("x-hop", "1".parse().unwrap());
        headers.insert("proxy-authenticate", "Basic".parse().unwrap());
        headers.insert("mcp-session-id", "s".parse().unwrap());
        response
    })
    .await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    let response = setup
        .post(&token, &call("get_note"))
        .header("origin", setup.gateway.url(""))
        .header("accept-encoding", "gzip")
        .header("connection", "x-api-key, x-private, mcp-protocol-version")
        // Without its other headers a request of this revision would be refused: nobody judges it
        // by what stays here.
        .header("mcp-protocol-version", "2026-07-28")
        .header("x-private", "1")
        .header("te", "trailers")
        .header("x-api-key", "forged")
        .header("x-forwarded-for", "1.2.3.4")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "for=1.2.3.4")
        .header("proxy-authorization", "Basic x")
        .header("x-kept", "yes")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert!(headers.get("x-hop").is_none());
    assert!(headers.get("connection").is_none());
    assert!(headers.get("proxy-authenticate").is_none());
    // The answer to `initialize` alone opens a session.
    assert!(headers.get("mcp-session-id").is_none());

    let [seen] = <[Recorded; 1]>::try_from(upstream.seen()).unwrap();
    let mut names: Vec<_> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "host",
            "via",
            "x-api-key",
            "x-kept"
        ]
    );
    assert_eq!(seen.all("host"), [upstream.addr.to_string()]);
    assert_eq!(seen.all("x-api-key"), ["internal-key-ro"]);
    assert_eq!(seen.body, call("get_note").to_string());
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_502_with_the_id() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let setup = Setup::with_flags(&url, &[]).await;
    let response = setup.call(&setup.token("read:data"), "get_note").await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["id"], 7);
    assert_eq!(body["jsonrpc"], "2.0");
    let line = setup
        .audited("tools/call", Some("get_note"), "error", "upstream_error")
        .await;
    assert_eq!(line["status"], 502);
    setup.said(&["WARN", "the upstream failed", &url]).await;
}

#[tokio::test]
async fn a_redirect_of_the_upstream_stays_behind_the_gateway() {
    // As a FastAPI application does where a server is mounted at `/mcp/`.
    let upstream = Upstream::start(async |asked: Recorded| {
        if asked.uri.path() == "/mcp/" {
            return json_answer(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
        }
        let mut redirect = json_answer("");
        *redirect.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        let location = format!("http://{}/mcp/", asked.all("host")[0]);
        let headers = redirect.headers_mut();
        headers.insert("location", location.parse().unwrap());
        redirect
    })
    .await;
    let setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    // The client follows, with its token only to where it had sent it before.
    let response = setup.call(&token, "get_note").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), setup.gateway.url("/mcp/"));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    for asked in seen {
        assert_eq!(asked.all("x-api-key"), ["internal-key-ro"]);
    }
    never_saw(&upstream, &token);
}

/// A server that sends so much to each connection once it is asked, and closes it.
fn breaks_off(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(call("get_note").to_string().as_bytes()) {
                let mut more = [0; 4096];
                let n = stream.read(&mut more).unwrap();
                assert_ne!(n, 0);
                asked.extend_from_slice(&more[..n]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_here_and_is_told() {
    let url = breaks_off(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    );
    let setup = Setup::with_flags(&url, &[]).await;
    let response = setup.call(&setup.token("read:data"), "get_note").await;
    assert_eq!(response.status(), StatusCode::OK);
    soon("the end", response.bytes()).await.unwrap_err();
    setup
        .said(&["WARN", "the upstream broke off its answer", &url])
        .await;
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_told() {
    let url =
        breaks_off("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    let setup = Setup::with_flags(&url, &[]).await;
    let response = setup.call(&setup.token("read:data"), "get_note").await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    setup.said(&["WARN", "the upstream failed", &url]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_in_good_order() {
    let (streams, mut opened) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |asked| {
        // It never answers one of the calls.
        let is_stuck = asked.body == call("list_notes").to_string();
        let streams = streams.clone();
        async move {
            if is_stuck {
                std::future::pending::<()>().await;
            }
            let (sender, response) = event_stream();
            streams.send(sender).unwrap();
            response
        }
    })
    .await;
    let mut setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    for _ in 0..20 {
        assert_eq!(setup.call(&token, "put_note").await.status(), 403);
    }
    let mut response = setup.call(&token, "get_note").await;
    let events = soon("a stream", opened.recv()).await.unwrap();
    events.send("data: 1\n\n".to_owned()).await.unwrap();
    response.chunk().await.unwrap().unwrap();
    let stuck = tokio::spawn(setup.post(&token, &call("list_notes")).send());
    eventually("both calls", || (upstream.seen().len() == 2).then_some(())).await;

    let told = Instant::now();
    setup.gateway.signal("TERM").await;
    // The stream answers a call: it may go on for a while, and ends as a stream does.
    let end = soon("the stream's end", response.chunk()).await;
    assert_eq!(end.unwrap(), None);
    let status = setup.gateway.ended().await;
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(status.code(), Some(0));
    stuck.await.unwrap().unwrap_err();

    // The call that was cut off ended last: its event was made just before the process ended.
    let lines = json_lines(&setup.audit);
    assert_eq!(lines.len(), 22);
    assert_eq!(
        of(&lines[20]),
        json!(["tools/call", "get_note", "allow", "ok"])
    );
    assert_eq!(lines[21]["tool"], "list_notes");
    assert_eq!(lines[21]["cancelled"], true);
}

#[tokio::test]
async fn a_reader_of_the_audit_log_that_hangs_holds_up_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("audit");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Opened for both, so that nobody waits for the other side. Nothing is ever read from it.
    let mut both = OpenOptions::new();
    let _reader = both.read(true).write(true).open(&pipe).unwrap();
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let issuer = TestIssuer::start().unwrap();
    let (to, url) = (upstream.url(), issuer.url());
    let mut all = vec!["--upstream", &to, "--issuer", url, "--no-key-map"];
    all.extend(["--audience", AUDIENCE]);
    all.extend(["--audit-log", pipe.to_str().unwrap()]);
    let mut gateway = Gateway::start(all, []).await;
    // More events than a pipe holds (64 KiB), of 300 bytes each at least.
    let client = reqwest::Client::new();
    for _ in 0..400 {
        let response = soon("an answer", client.get(gateway.url("/mcp")).send()).await;
        assert_eq!(response.unwrap().status(), 401);
    }
    let claims = issuer.claims().subject("alice").audience(AUDIENCE);
    let stuck = client
        .post(gateway.url("/mcp"))
        .bearer_auth(issuer.token(&claims))
        .header("content-type", "application/json")
        .body(call("get_note").to_string());
    let stuck = tokio::spawn(stuck.send());
    eventually("the call", || (upstream.seen().len() == 1).then_some(())).await;

    let told = Instant::now();
    gateway.signal("TERM").await;
    let status = gateway.ended().await;
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(status.code(), Some(0));
    stuck.await.unwrap().unwrap_err();
    let said = "the audit log could not be written to its end; events that are not in it: up to ";
    let lost = gateway.stderr().wait_for(said).await;
    // The call that was cut off, and more that did not fit in the pipe.
    let lost: u64 = lost.trim_start_matches(said).parse().unwrap();
    assert!((2..=401).contains(&lost), "{lost}");
}

#[tokio::test]
async fn one_who_reads_neither_the_audit_log_nor_the_errors_holds_up_no_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut gateway = command();
    gateway
        .args([
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:9",
        ])
        .args(["--issuer", "http://127.0.0.1:9", "--no-key-map"])
        .args(["--audience", AUDIENCE, "--audit-log", "-"])
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    let process = gateway.spawn().unwrap();
    // The command holds the pipe's other end: without it the reading ends with the gateway.
    drop(gateway);
    let (url, _unread) = soon("the address", address(reader)).await;
    let client = reqwest::Client::new();
    for _ in 0..400 {
        let response = soon("an answer", client.get(format!("{url}/mcp")).send()).await;
        assert_eq!(response.unwrap().status(), 401);
    }
    ends_in_time(process).await;
}

#[tokio::test]
async fn one_who_does_not_read_the_errors_holds_up_neither_requests_nor_the_end() {
    let issuer = TestIssuer::start().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut gateway = command();
    gateway
        .args(["--listen", "127.0.0.1:0", "--issuer", issuer.url()])
        .args(["--upstream", "http://127.0.0.1:9", "--no-key-map"])
        .args(["--audience", AUDIENCE])
        .stderr(writer);
    let process = gateway.spawn().unwrap();
    // The command holds the pipe's other end: without it the reading ends with the gateway.
    drop(gateway);
    let (url, _unread) = soon("the address", address(reader)).await;
    let claims = issuer.claims().subject("alice").audience(AUDIENCE);
    let token = issuer.token(&claims);
    // Each has a line of 150 bytes at least, and a pipe holds 64 KiB.
    let client = reqwest::Client::new();
    for _ in 0..600 {
        let request = client.get(format!("{url}/mcp")).bearer_auth(&token);
        let response = soon("an answer", request.send()).await.unwrap();
        assert_eq!(response.status(), 502);
    }
    ends_in_time(process).await;
}

/// Tells the gateway to end, which it does within ten seconds.
async fn ends_in_time(mut process: Child) {
    let told = Instant::now();
    let pid = process.id().unwrap().to_string();
    let signal = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(signal.unwrap().success());
    let status = soon("the end", process.wait()).await.unwrap();
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(status.code(), Some(0));
}

/// Reads up to the line that says where the gateway listens. The rest stays unread.
async fn address(reader: PipeReader) -> (String, BufReader<PipeReader>) {
    let found = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(reader);
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some(url) = line.strip_prefix("listening on ") {
                return Some((url.trim().to_owned(), lines));
            }
            line.clear();
        }
        None
    });
    found.await.unwrap().unwrap()
}

#[tokio::test]
async fn what_the_audit_log_lacks_is_told_at_the_end() {
    let mut flags = vec!["--upstream", "http://127.0.0.1:9"];
    flags.extend(["--issuer", "http://127.0.0.1:9", "--no-key-map"]);
    flags.extend(["--audience", AUDIENCE, "--audit-log", "/dev/full"]);
    let mut gateway = Gateway::start(flags, []).await;
    for _ in 0..3 {
        let response = soon("an answer", reqwest::get(gateway.url("/mcp"))).await;
        assert_eq!(response.unwrap().status(), 401);
    }
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    let said = "events that are not in the audit log: ";
    assert_eq!(gateway.stderr().wait_for(said).await, format!("{said}3"));
}

#[tokio::test]
async fn a_head_that_is_no_http_has_no_answer_of_ours_and_no_event() {
    let upstream = Upstream::start(|_| async { json_answer("{}") }).await;
    let setup = Setup::new(&upstream).await;
    let host = setup.gateway.addr;
    let large = format!("X: {}\r\n", "a".repeat(70_000));
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (field, expected) in [("X y: 1\r\n", 400), (&many, 431), (&large, 431)] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!("GET /mcp HTTP/1.1\r\nHost: {host}\r\n{field}\r\n");
        soon("a write", stream.write_all(head.as_bytes()))
            .await
            .unwrap();
        let mut answer = Vec::new();
        // What was not read of the head may reset the connection after the answer.
        let _ = soon("the end", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        let start = format!("HTTP/1.1 {expected} ");
        assert!(answer.starts_with(&start), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let token = setup.token("read:data");
    assert_eq!(setup.call(&token, "get_note").await.status(), 200);
    setup
        .audited("tools/call", Some("get_note"), "allow", "ok")
        .await;
    assert_eq!(json_lines(&setup.audit).len(), 1);
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_where_nothing_is_in_flight() {
    let upstream = Upstream::start(|_| async { json_answer("{}") }).await;
    let mut setup = Setup::new(&upstream).await;
    let token = setup.token("read:data");
    assert_eq!(setup.call(&token, "get_note").await.status(), 200);
    let told = Instant::now();
    setup.gateway.signal("INT").await;
    assert_eq!(setup.gateway.ended().await.code(), Some(0));
    let took = told.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(json_lines(&setup.audit).len(), 1);
}
