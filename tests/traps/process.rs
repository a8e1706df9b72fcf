//! What only a running gateway can get wrong.

use std::path::PathBuf;

use mcp_auth::testing::TestIssuer;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    eventually,
    gateway::Gateway,
    json_lines, soon,
    upstream::{Recorded, Upstream, json},
};

const POLICY: &str = r#"{"base": ["read:data"], "tools": {"get_*": [], "put_*": ["write:data"]}}"#;
const KEY_MAP: &str = r#"{"alice": "internal-key"}"#;
const PUT: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"put_note","arguments":{"text":"argument-canary"}}}"#;
const GET: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note","arguments":{"text":"argument-canary"}}}"#;

/// A gateway in front of an upstream, and one who reads.
struct Site {
    issuer: TestIssuer,
    gateway: Gateway,
    upstream: Upstream,
    audit: PathBuf,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        Self::before(Upstream::start(async |_| json("{}")).await).await
    }

    async fn before(upstream: Upstream) -> Self {
        let issuer = TestIssuer::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (policy, audit) = (path("policy.json"), path("audit.jsonl"));
        std::fs::write(&policy, POLICY).unwrap();
        let (url, jwks_uri, to) = (issuer.url().to_owned(), issuer.jwks_uri(), upstream.url());
        let mut flags = vec!["--upstream", &to, "--issuer", &url, "--jwks-uri", &jwks_uri];
        flags.extend(["--audience", "litellm-mcp"]);
        flags.extend(["--policy", policy.to_str().unwrap()]);
        flags.extend(["--audit-log", audit.to_str().unwrap()]);
        let gateway = Gateway::start(flags, [("MCP_PROXY_KEY_MAP", KEY_MAP)]).await;
        Self {
            issuer,
            gateway,
            upstream,
            audit,
            _directory: directory,
        }
    }

    fn token(&self, scope: &str) -> String {
        let claims = self.issuer.claims().audience("litellm-mcp");
        self.issuer.token(&claims.scope(scope))
    }

    async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.gateway.addr).await.unwrap();
        Connection {
            stream,
            host: self.gateway.addr.to_string(),
        }
    }

    /// Sends one request on a connection of its own.
    async fn ask(&self, line: &str, token: &str, fields: &str, body: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.ask(line, token, fields, body).await
    }

    async fn audited(&self, lines: usize) -> Vec<Value> {
        eventually("the audit lines", || {
            let all = json_lines(&self.audit);
            (all.len() == lines).then_some(all)
        })
        .await
    }
}

/// HTTP/1.1 as it is written.
struct Connection {
    stream: TcpStream,
    host: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Connection {
    /// Sends one request.
    async fn ask(&mut self, line: &str, token: &str, fields: &str, body: &str) -> Answer {
        let fields = format!("{fields}Content-Length: {}\r\n", body.len());
        // At once, for whoever is refused may find the connection closed.
        let whole = self.head(line, token, &fields) + body;
        self.send(whole.as_bytes()).await;
        self.answer().await
    }

    /// The head of a request whose body is JSON.
    fn head(&self, line: &str, token: &str, fields: &str) -> String {
        let token = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let host = &self.host;
        format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{token}{fields}\r\n"
        )
    }

    async fn send(&mut self, bytes: &[u8]) {
        soon("a write", self.stream.write_all(bytes)).await.unwrap();
    }

    /// The first answer that comes, interim ones included.
    async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(soon("a head", self.stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        soon("a body", self.stream.read_exact(&mut body))
            .await
            .unwrap();
        Answer {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }
}

#[tokio::test]
async fn trap_12_a_body_is_read_for_nobody_and_without_end() {
    const MOST: usize = 4 * 1024 * 1024;
    let site = Site::new().await;
    let reader = site.token("read:data");
    // The answer comes before a byte of the body does.
    for (what, token, fields, status) in [
        ("nobody", "", "Content-Length: 1000000\r\n", 401),
        ("nobody", "", "Transfer-Encoding: chunked\r\n", 401),
        ("nobody", "canary", "Content-Length: 1000000\r\n", 401),
        (
            "nobody is told to go on",
            "",
            "Content-Length: 1000000\r\nExpect: 100-continue\r\n",
            401,
        ),
        (
            "encoded",
            &reader,
            "Content-Length: 1000\r\nContent-Encoding: gzip\r\nExpect: 100-continue\r\n",
            415,
        ),
        (
            "too large, and says so",
            &reader,
            "Content-Length: 4194305\r\nExpect: 100-continue\r\n",
            413,
        ),
    ] {
        let mut connection = site.connect().await;
        let head = connection.head("POST /mcp", token, fields);
        connection.send(head.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{what}: {}", answer.head);
    }
    // Nobody says how large it is, and it is the whole of it that counts.
    let mut connection = site.connect().await;
    let fields = "Transfer-Encoding: chunked\r\n";
    let head = connection.head("POST /mcp", &reader, fields);
    connection.send(head.as_bytes()).await;
    let piece = " ".repeat(0x10_0000);
    for _ in 0..MOST / piece.len() {
        connection
            .send(format!("100000\r\n{piece}\r\n").as_bytes())
            .await;
    }
    connection.send(b"1\r\n \r\n").await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 413, "{}", answer.head);

    assert_eq!(site.upstream.seen().len(), 0);
    let reasons: Vec<_> = site.audited(7).await;
    let reasons: Vec<_> = reasons.iter().map(|line| &line["reason"]).collect();
    assert_eq!(
        reasons,
        [
            "no_token",
            "no_token",
            "invalid_token",
            "no_token",
            "unsupported_media",
            "too_large",
            "too_large"
        ]
    );
}

#[tokio::test]
async fn trap_14_the_same_server_answers_under_another_path() {
    let site = Site::new().await;
    let (reader, writer) = (site.token("read:data"), site.token("read:data write:data"));
    let absolute = format!("http://{}/mcp", site.gateway.addr);
    let mut seen = Vec::new();
    for (path, upstream_sees) in [
        ("/mcp", Some("/mcp")),
        ("/mcp/", Some("/mcp/")),
        ("//mcp", Some("//mcp")),
        ("/MCP", Some("/MCP")),
        ("/mcp/sse", Some("/mcp/sse")),
        ("/sse", Some("/sse")),
        ("/messages?session=1", Some("/messages?session=1")),
        ("/%6dcp", Some("/%6dcp")),
        ("/mcp%2f", Some("/mcp%2f")),
        ("/mcp;x=1", Some("/mcp;x=1")),
        ("/", Some("/")),
        (&absolute, Some("/mcp")),
        (
            "/.well-known/oauth-protected-resource/mcp/",
            Some("/.well-known/oauth-protected-resource/mcp/"),
        ),
        (
            "/.well-known/oauth-protected-resource/other",
            Some("/.well-known/oauth-protected-resource/other"),
        ),
        (
            "/.well-known/oauth-protected-resource%2fmcp",
            Some("/.well-known/oauth-protected-resource%2fmcp"),
        ),
        // These climb out of their place.
        ("/.well-known/oauth-protected-resource/../../mcp", None),
        ("/.well-known/oauth-protected-resource/mcp/%2e%2e/mcp", None),
        ("/x/../mcp", None),
    ] {
        for line in [format!("POST {path}"), format!("GET {path}")] {
            let answer = site.ask(&line, "", "", PUT).await;
            assert_eq!(answer.status, 401, "{line}: {}", answer.head);
        }
        let answer = site.ask(&format!("POST {path}"), &reader, "", PUT).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.head);
        let expected = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-31403,"message":"The access token lacks a scope","data":{"required":["read:data","write:data"]}}}"#;
        assert_eq!(answer.body, expected, "{path}");
        let answer = site.ask(&format!("POST {path}"), &writer, "", PUT).await;
        let status = if upstream_sees.is_some() { 200 } else { 404 };
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
        if upstream_sees.is_none() {
            let expected = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-31403,"message":"There is nothing at this path"}}"#;
            assert_eq!(answer.body, expected, "{path}");
        }
        seen.extend(upstream_sees.map(str::to_owned));
        let paths: Vec<_> = site
            .upstream
            .seen()
            .iter()
            .map(|seen| seen.uri.to_string())
            .collect();
        assert_eq!(paths, seen, "{path}");
    }
}

#[tokio::test]
async fn trap_24_credentials_leak_inward_and_outward() {
    let upstream = Upstream::start(async |asked: Recorded| {
        let mut answer = json("{}");
        let headers = answer.headers_mut();
        headers.insert(
            "www-authenticate",
            "Bearer upstream-canary".parse().unwrap(),
        );
        let key = asked.headers["x-api-key"].clone();
        headers.insert("x-echo", key);
        headers.insert("set-cookie", "key=internal-key".parse().unwrap());
        if asked.uri.path() == "/refusing" {
            *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        answer
    })
    .await;
    let site = Site::before(upstream).await;
    let token = site.token("read:data");
    let signature = token.rsplit('.').next().unwrap();

    // Inward: the key and no token, wherever that stood.
    let fields = "Mcp-Param-Region: param-canary\r\nX-Api-Key: forged\r\nProxy-Authorization: Bearer forged\r\nX-Forwarded-User: forged\r\nCookie: c=1\r\n";
    let answer = site
        .ask("POST /mcp?q=query-canary", &token, fields, GET)
        .await;
    assert_eq!(
        (answer.status, &*answer.body),
        (200, "{}"),
        "{}",
        answer.head
    );
    let [seen] = <[Recorded; 1]>::try_from(site.upstream.seen()).unwrap();
    assert_eq!(seen.all("x-api-key"), ["internal-key"]);
    assert_eq!(seen.all("mcp-param-region"), ["param-canary"]);
    assert_eq!(seen.body, GET);
    let all = format!("{:?} {:?}", seen.uri, seen.headers);
    assert!(!all.contains(signature) && !all.contains("forged"), "{all}");
    for name in ["authorization", "proxy-authorization", "x-forwarded-user"] {
        assert_eq!(seen.all(name), [""; 0], "{name}");
    }
    // Outward: nothing by which a client would know the upstream's key, or take its challenge for
    // ours.
    for secret in ["internal-key", "\nwww-authenticate:", "upstream-canary"] {
        assert!(!answer.head.contains(secret), "{}", answer.head);
    }
    let answer = site.ask("POST /refusing", &token, "", GET).await;
    let failed =
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-31502,"message":"The upstream failed"}}"#;
    assert_eq!((answer.status, &*answer.body), (502, failed));
    for secret in ["internal-key", "\nwww-authenticate:", "upstream-canary"] {
        assert!(!answer.head.contains(secret), "{}", answer.head);
    }
    // A token in the query is in too many logs to be one.
    let line = format!("POST /mcp?access_token={token}");
    for given in ["", &token] {
        let answer = site.ask(&line, given, "", GET).await;
        assert_eq!(answer.status, 400, "{}", answer.head);
        assert_eq!(
            answer.body,
            r#"{"error":"invalid_request","error_description":"A token was sent in the query"}"#
        );
    }
    // Nor does a connection remember who came by it before.
    let mut connection = site.connect().await;
    for (line, given, body, status) in [
        ("POST /mcp", &*token, GET, 200),
        ("GET /mcp", "", "", 401),
        ("POST /mcp", &token, GET, 200),
        ("POST /mcp", "", GET, 401),
    ] {
        let answer = connection.ask(line, given, "", body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.head);
    }
    assert_eq!(site.upstream.seen().len(), 4);

    site.audited(8).await;
    let written = std::fs::read_to_string(&site.audit).unwrap();
    let logged = site.gateway.stderr().all().concat() + &site.gateway.stdout().all().concat();
    for secret in [
        signature,
        "internal-key",
        "argument-canary",
        "param-canary",
        "query-canary",
        "forged",
        "upstream-canary",
    ] {
        assert!(!written.contains(secret), "{secret} in {written}");
        assert!(!logged.contains(secret), "{secret} in {logged}");
    }
}
