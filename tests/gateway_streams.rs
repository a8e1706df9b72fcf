//! Streams and lists through the running gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mcp_auth::{UnixTime, testing::TestIssuer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use support::{
    eventually,
    gateway::Gateway,
    json_lines, soon,
    upstream::{Upstream, event_stream, json as json_answer},
};

const AUDIENCE: &str = "litellm-mcp";
const POLICY: &str = r#"{"base": ["read:data"], "tools": {"get_*": [], "put_*": ["write:data"]}}"#;
/// What the gateway's token check allows after the expiry.
const LEEWAY: Duration = Duration::from_secs(30);

struct Setup {
    issuer: TestIssuer,
    gateway: Gateway,
    revocations: PathBuf,
    audit: PathBuf,
    /// The streams that the upstream was asked for, for the test to feed.
    opened: mpsc::UnboundedReceiver<mpsc::Sender<String>>,
    _upstream: Upstream,
    _directory: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let (streams, opened) = mpsc::unbounded_channel();
        let upstream = Upstream::start(move |_| {
            let (sender, response) = event_stream();
            streams.send(sender).unwrap();
            async { response }
        })
        .await;
        Self::before(upstream, opened).await
    }

    async fn before(
        upstream: Upstream,
        opened: mpsc::UnboundedReceiver<mpsc::Sender<String>>,
    ) -> Self {
        let issuer = TestIssuer::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (policy, revocations, audit) = (path("policy"), path("revoked"), path("audit"));
        std::fs::write(&policy, POLICY).unwrap();
        let (url, jwks_uri, to) = (issuer.url().to_owned(), issuer.jwks_uri(), upstream.url());
        let mut flags = vec!["--upstream", &to, "--issuer", &url, "--no-key-map"];
        flags.extend(["--audience", AUDIENCE, "--jwks-uri", &jwks_uri]);
        flags.extend(["--policy", policy.to_str().unwrap()]);
        flags.extend(["--revocation-file", revocations.to_str().unwrap()]);
        flags.extend(["--audit-log", audit.to_str().unwrap()]);
        let gateway = Gateway::start(flags, []).await;
        Self {
            issuer,
            gateway,
            revocations,
            audit,
            opened,
            _upstream: upstream,
            _directory: directory,
        }
    }

    /// A token of Alice that is honoured until a second of the clock, so long from now or a little
    /// less.
    fn token(&self, honoured: Duration) -> (String, SystemTime) {
        let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + honoured;
        let until = UnixTime::from_secs(until.as_secs());
        let claims = self.issuer.claims().subject("alice").audience(AUDIENCE);
        let claims = claims.scope("read:data").jwt_id("t-1");
        let token = self
            .issuer
            .token(&claims.expires_at(until.saturating_sub(LEEWAY)));
        let until = UNIX_EPOCH + Duration::from_secs(until.as_secs());
        (token, until)
    }

    fn post(&self, token: &str, message: &Value) -> reqwest::RequestBuilder {
        reqwest::Client::new()
            .post(self.gateway.url("/mcp"))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string())
    }

    fn get(&self, token: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new()
            .get(self.gateway.url("/mcp"))
            .bearer_auth(token)
            .header("accept", "text/event-stream")
    }

    fn listen(&self, token: &str) -> reqwest::RequestBuilder {
        let version = "2026-07-28";
        let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
        let params = json!({"notifications": {"toolsListChanged": true}, "_meta": meta});
        let message = json!({
            "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params,
        });
        self.post(token, &message)
            .header("mcp-protocol-version", version)
            .header("mcp-method", "subscriptions/listen")
    }

    /// Opens a stream, and shows its first event within 100 ms of the upstream's sending it.
    async fn open(
        &mut self,
        request: reqwest::RequestBuilder,
    ) -> (reqwest::Response, mpsc::Sender<String>) {
        let mut response = soon("an answer", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        let events = soon("a stream", self.opened.recv()).await.unwrap();
        let sent = Instant::now();
        events.send("data: 1\n\n".to_owned()).await.unwrap();
        let got = soon("an event", response.chunk()).await.unwrap().unwrap();
        assert!(
            sent.elapsed() < Duration::from_millis(100),
            "{:?}",
            sent.elapsed()
        );
        assert_eq!(got, "data: 1\n\n");
        (response, events)
    }

    async fn ended(&self, decision: &str, reason: &str, revocation: Value) -> Value {
        let line = eventually("the end in the audit log", || {
            let lines = json_lines(&self.audit);
            lines
                .into_iter()
                .find(|line| line["action"] == "stream_end")
        })
        .await;
        assert_eq!(line["user"], "alice");
        assert_eq!(
            [&line["decision"], &line["reason"], &line["revocation"]],
            [&json!(decision), &json!(reason), &revocation]
        );
        assert_eq!(json_lines(&self.audit).len(), 2);
        line
    }
}

/// What else comes, up to a proper end.
async fn rest(mut response: reqwest::Response) -> String {
    let mut rest = String::new();
    while let Some(chunk) = soon("the end", response.chunk()).await.unwrap() {
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    rest
}

const RESULT: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":7}}}\n\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_token_expires() {
    for (listens, last) in [(false, ""), (true, RESULT)] {
        let mut setup = Setup::new().await;
        let (token, until) = setup.token(Duration::from_secs(3));
        let request = if listens {
            setup.listen(&token)
        } else {
            setup.get(&token)
        };
        let (response, events) = setup.open(request).await;
        assert_eq!(rest(response).await, last);
        let late = SystemTime::now().duration_since(until).expect("not sooner");
        assert!(late < Duration::from_secs(1), "{late:?}");
        soon("the upstream's notice", events.closed()).await;
        let line = setup.ended("deny", "expired", json!("active")).await;
        assert_eq!(line["status"], 200);
        assert_eq!(line["cancelled"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_within_5_seconds_of_a_revocation() {
    let mut setup = Setup::new().await;
    let (token, _) = setup.token(Duration::from_secs(600));
    let (response, events) = setup.open(setup.listen(&token)).await;
    std::fs::write(&setup.revocations, "{\"jti\":\"t-1\"}\n").unwrap();
    let revoked = Instant::now();
    assert_eq!(rest(response).await, RESULT);
    assert!(
        revoked.elapsed() < Duration::from_secs(5),
        "{:?}",
        revoked.elapsed()
    );
    soon("the upstream's notice", events.closed()).await;
    setup.ended("deny", "revoked", json!("revoked")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_is_noticed_by_the_upstream_within_a_second() {
    let mut setup = Setup::new().await;
    let (token, _) = setup.token(Duration::from_secs(600));
    let (response, events) = setup.open(setup.get(&token)).await;
    drop(response);
    let left = Instant::now();
    soon("the upstream's notice", events.closed()).await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    let line = setup.ended("allow", "ok", json!("active")).await;
    assert_eq!(line["cancelled"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_of_a_running_call_outlives_its_token() {
    let mut setup = Setup::new().await;
    let (token, _) = setup.token(Duration::from_secs(2));
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_note"},
    });
    let (mut response, events) = setup.open(setup.post(&token, &call)).await;
    // Until the token is refused.
    let refused = async {
        while setup.post(&token, &call).send().await.unwrap().status() != 401 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("the expiry", refused).await;
    events.send("data: done\n\n".to_owned()).await.unwrap();
    let got = soon("the answer", response.chunk()).await.unwrap().unwrap();
    assert_eq!(got, "data: done\n\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_list_leaks_nothing_and_is_not_damaged() {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_note"},{"name":"put_note"}],"nextCursor":"c","cacheScope":"public"}}"#;
    const SHOWN: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_note"}],"nextCursor":"c","cacheScope":"private"}}"#;
    let event = |text: &str| format!("id: 1\ndata: {text}\n\n");
    let changed = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
    let upstream = Upstream::start(move |request| async move {
        assert_eq!(request.all("accept-encoding"), [""; 0]);
        let page = String::from_utf8(request.body.to_vec()).unwrap();
        let mut answer = match page.as_str() {
            page if page.contains("in a stream") => {
                let (sender, response) = event_stream();
                tokio::spawn(async move {
                    let _ = sender.send(changed.to_owned()).await;
                    let _ = sender.send(event(LIST)).await;
                });
                response
            }
            _ => json_answer(LIST),
        };
        if page.contains("encoded") {
            let encoding = "gzip".parse().unwrap();
            answer.headers_mut().insert("content-encoding", encoding);
        }
        answer
    })
    .await;
    let setup = Setup::before(upstream, mpsc::unbounded_channel().1).await;
    let (token, _) = setup.token(Duration::from_secs(600));
    let list = async |cursor: &str| {
        let params = json!({"cursor": cursor});
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
        let request = setup.post(&token, &list).header("accept-encoding", "gzip");
        soon("an answer", request.send()).await.unwrap()
    };
    let response = list("in JSON").await;
    assert_eq!(
        response.headers()["content-length"],
        SHOWN.len().to_string()
    );
    assert_eq!(response.text().await.unwrap(), SHOWN);
    let response = list("in a stream").await;
    let text = response.text().await.unwrap();
    assert_eq!(text, format!("{changed}{}", event(SHOWN)));
    for encoded in ["encoded in JSON", "encoded in a stream"] {
        assert_eq!(list(encoded).await.status(), 502, "{encoded}");
    }
    // What is hidden, and what is not there, are refused alike.
    let refused = async |tool: &str| {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool},
        });
        let response = setup.post(&token, &call).send().await.unwrap();
        assert_eq!(response.status(), 403, "{tool}");
        response.text().await.unwrap()
    };
    assert_eq!(refused("put_note").await, refused("put_unknown").await);
}
