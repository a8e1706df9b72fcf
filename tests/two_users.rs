//! Two users at once, with sessions, for ten seconds (for a minute where `CI` is set): nobody
//! sees anything of the other's. A stack without the session guard fails the same check.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Debug,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, response::IntoResponse};
use http::{HeaderMap, Method, Request, request::Parts};
use mcp_auth::{
    Algorithm, AuthStack, Decision, Jwks, JwtValidateLayer, JwtValidator, KeyHeader, KeyMap,
    KeyMapLayer, McpBody, McpRequestLayer, PolicyFn, ResourceMetadata, ScopeGuardLayer, policy_fn,
    testing::TestIssuer,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use support::soon;
use tokio::{net::TcpListener, task::JoinSet};
use tower::{Layer, Service, ServiceBuilder};

const AUDIENCE: &str = "litellm-mcp";
const USERS: [&str; 2] = ["alice", "bob"];
/// So many requests of each user are on their way at any time.
const IN_PARALLEL: usize = 64;
const VERSION: &str = "2025-11-25";

fn key_of(user: &str) -> String {
    format!("key-of-{user}")
}

/// The server behind: what a session was told to remember, and which key it is asked with.
#[derive(Clone, Default)]
struct Vault {
    secret: Arc<Mutex<String>>,
}

fn key(context: &RequestContext<RoleServer>) -> String {
    let parts = context.extensions.get::<Parts>().unwrap();
    parts.headers["x-api-key"].to_str().unwrap().to_owned()
}

impl ServerHandler for Vault {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let name = format!("{}/{}", key(&context), self.secret.lock().unwrap());
        let tool = Tool::new(name, "One tool for each session", JsonObject::new());
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        if request.name == "remember" {
            let text = arguments["text"].as_str().unwrap_or_default();
            text.clone_into(&mut self.secret.lock().unwrap());
        }
        // Others have their turn in the middle of a call.
        tokio::task::yield_now().await;
        let secret = self.secret.lock().unwrap().clone();
        let said = format!("{}/{secret}/{}", key(&context), arguments["echo"]);
        Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into())
    }
}

/// What went wrong, and how often which question was asked.
#[derive(Default)]
struct Report {
    violations: Mutex<Vec<String>>,
    calls: AtomicUsize,
    lists: AtomicUsize,
    sessions: AtomicUsize,
    attacks: AtomicUsize,
}

impl Report {
    /// Asserts nothing: it notes.
    fn expect<T: PartialEq + Debug>(&self, what: &str, seen: T, expected: T) {
        if seen != expected {
            let violation = format!("{what}: {seen:?} instead of {expected:?}");
            self.violations.lock().unwrap().push(violation);
        }
    }
}

/// One of the two: a name, tokens, and the sessions that the other has heard of.
#[derive(Clone)]
struct User {
    name: &'static str,
    issuer: Arc<TestIssuer>,
    /// Both users come over the same connections.
    client: reqwest::Client,
    url: String,
    known: Arc<Mutex<Vec<String>>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    messages: Vec<Value>,
}

impl User {
    fn token(&self) -> String {
        let claims = self.issuer.claims().subject(self.name).audience(AUDIENCE);
        self.issuer.token_signed_with(Algorithm::ES256, &claims)
    }

    async fn send(
        &self,
        token: &str,
        method: Method,
        session: Option<&str>,
        message: Option<Value>,
    ) -> Answer {
        let mut request = self
            .client
            .request(method.clone(), &self.url)
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", VERSION);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        if method == Method::GET {
            request = request.header("last-event-id", "0/0");
        }
        if let Some(message) = message {
            request = request.body(message.to_string());
        }
        let answer = soon("an answer", request.send()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        // A stream that only listens does not end by itself.
        let text = if method == Method::GET && status == 200 {
            String::new()
        } else {
            soon("the whole answer", answer.text()).await.unwrap()
        };
        let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
        let mut messages: Vec<Value> = events
            .filter_map(|event| serde_json::from_str(event).ok())
            .collect();
        messages.extend(serde_json::from_str::<Value>(&text).ok());
        Answer {
            status,
            headers,
            messages,
        }
    }

    async fn ask(
        &self,
        token: &str,
        session: &str,
        id: &str,
        method: &str,
        params: Value,
    ) -> Answer {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(token, Method::POST, Some(session), Some(message))
            .await
    }
}

/// One of a user's many hands.
struct Worker {
    user: User,
    other: User,
    number: usize,
    token: String,
    session: String,
    secret: String,
    turn: usize,
    report: Arc<Report>,
}

impl Worker {
    async fn run(mut self, until: Instant) {
        self.open().await;
        while Instant::now() < until {
            self.turn += 1;
            match self.turn % 8 {
                0 => {
                    self.close().await;
                    self.open().await;
                }
                2 => self.list().await,
                4 => self.token = self.user.token(),
                1 | 5 => self.attack().await,
                _ => self.recall().await,
            }
        }
        self.close().await;
    }

    fn expect<T: PartialEq + Debug>(&self, what: &str, seen: T, expected: T) {
        let what = format!("{} {what}", self.user.name);
        self.report.expect(&what, seen, expected);
    }

    fn id(&self) -> String {
        format!("{}-{}-{}", self.user.name, self.number, self.turn)
    }

    async fn open(&mut self) {
        let (user, token) = (&self.user, &self.token);
        let initialize = json!({
            "jsonrpc": "2.0", "id": self.id(), "method": "initialize",
            "params": {
                "protocolVersion": VERSION, "capabilities": {},
                "clientInfo": {"name": user.name, "version": "1"},
            },
        });
        let answer = user.send(token, Method::POST, None, Some(initialize)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.messages);
        let session = answer.headers["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let answer = user
            .send(token, Method::POST, Some(&session), Some(initialized))
            .await;
        self.expect("initialized", answer.status, 202);
        self.report.sessions.fetch_add(1, Ordering::Relaxed);
        user.known.lock().unwrap().push(session.clone());
        (self.session, self.secret) = (session, format!("secret-of-{}", self.id()));
        let text = self.secret.clone();
        self.call("remember", json!({"text": text})).await;
    }

    async fn close(&self) {
        let (user, session) = (&self.user, Some(&*self.session));
        let answer = user.send(&self.token, Method::DELETE, session, None).await;
        self.expect("closes", answer.status / 100, 2);
        let answer = user.send(&self.token, Method::GET, session, None).await;
        self.expect("comes back", answer.status, 404);
    }

    async fn recall(&self) {
        self.call("recall", json!({})).await;
    }

    async fn call(&self, tool: &str, mut arguments: Value) {
        let (id, user) = (self.id(), &self.user);
        arguments["echo"] = json!(id);
        let params = json!({"name": tool, "arguments": arguments});
        let answer = user
            .ask(&self.token, &self.session, &id, "tools/call", params)
            .await;
        let said: Vec<_> = answer
            .messages
            .iter()
            .map(|message| {
                let text = &message["result"]["content"][0]["text"];
                (message["id"].clone(), text.clone())
            })
            .collect();
        let expected = json!(format!("{}/{}/{:?}", key_of(user.name), self.secret, id));
        self.expect("calls", said, vec![(json!(id), expected)]);
        self.report.calls.fetch_add(1, Ordering::Relaxed);
    }

    async fn list(&self) {
        let (id, user) = (self.id(), &self.user);
        let answer = user
            .ask(&self.token, &self.session, &id, "tools/list", json!({}))
            .await;
        let listed: Vec<_> = answer
            .messages
            .iter()
            .flat_map(|message| message["result"]["tools"].as_array().into_iter().flatten())
            .map(|tool| tool["name"].as_str().unwrap_or_default())
            .collect();
        let expected = format!("{}/{}", key_of(user.name), self.secret);
        self.expect("lists", listed, vec![&*expected]);
        self.report.lists.fetch_add(1, Ordering::Relaxed);
    }

    /// Comes with a session of the other's, alive or gone.
    async fn attack(&self) {
        let known = {
            let known = self.other.known.lock().unwrap();
            let Some(last) = known.len().checked_sub(1) else {
                return;
            };
            // One of the latest, as many as are alive at a time.
            known[last.saturating_sub((self.turn * 31 + self.number) % IN_PARALLEL)].clone()
        };
        let (id, user, token) = (self.id(), &self.user, &self.token);
        let (answer, is_message) = match self.turn / 2 % 4 {
            0 => {
                let params = json!({"name": "recall", "arguments": {"echo": id}});
                (
                    user.ask(token, &known, &id, "tools/call", params).await,
                    true,
                )
            }
            1 => {
                let answer = user.ask(token, &known, &id, "tools/list", json!({})).await;
                (answer, true)
            }
            2 => (
                user.send(token, Method::GET, Some(&known), None).await,
                false,
            ),
            _ => {
                let answer = user.send(token, Method::DELETE, Some(&known), None).await;
                (answer, false)
            }
        };
        let expected = if is_message {
            let error = json!({"code": -31404, "message": "There is no such session"});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        } else {
            json!({"error": "session_mismatch", "error_description": "There is no such session"})
        };
        let seen = (answer.status, answer.messages);
        self.expect("attacks", seen, (404, vec![expected]));
        self.report.attacks.fetch_add(1, Ordering::Relaxed);
    }
}

/// The layers around the server behind, whichever they are.
struct Setup {
    issuer: Arc<TestIssuer>,
    report: Arc<Report>,
}

impl Setup {
    fn new() -> Self {
        Self {
            issuer: Arc::new(TestIssuer::start().unwrap()),
            report: Arc::default(),
        }
    }

    fn validator(&self) -> JwtValidator {
        JwtValidator::new(self.issuer.url(), AUDIENCE).unwrap()
    }

    fn jwks(&self) -> Jwks {
        Jwks::discover(self.issuer.url()).unwrap()
    }

    fn keys() -> KeyMap {
        let keys = USERS.map(|user| (user.to_owned(), json!(key_of(user))));
        let keys = Value::Object(keys.into_iter().collect());
        KeyMap::from_json(&keys.to_string()).unwrap()
    }

    fn server(
        &self,
    ) -> impl Service<
        Request<McpBody>,
        Response = axum::response::Response,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static {
        let report = Arc::clone(&self.report);
        // Which key a session was asked with first.
        let keys: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let vaults = StreamableHttpService::new(
            || Ok(Vault::default()),
            Arc::<LocalSessionManager>::default(),
            Default::default(),
        );
        ServiceBuilder::new()
            .map_request(move |request: Request<McpBody>| {
                let text = |name| {
                    let value = request.headers().get(name);
                    value.map(|value| value.to_str().unwrap().to_owned())
                };
                if let (Some(session), Some(key)) = (text("mcp-session-id"), text("x-api-key")) {
                    let mut keys = keys.lock().unwrap();
                    let first = &*keys.entry(session).or_insert_with(|| key.clone());
                    report.expect("the server sees a session", &key, first);
                }
                request
            })
            .map_response(IntoResponse::into_response)
            .service(vaults)
    }
}

fn anything() -> PolicyFn<impl Fn(&mcp_auth::Access<'_>) -> Decision + Send + Sync> {
    policy_fn(|_| Decision::allow())
}

/// Lets both users work at a service for so long.
async fn let_them_work<S>(parts: &Setup, service: S, time: Duration) -> Arc<Report>
where
    S: Service<Request<axum::body::Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = Router::new().route_service("/mcp", service);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let client = reqwest::Client::new();
    let users = USERS.map(|name| User {
        name,
        issuer: Arc::clone(&parts.issuer),
        client: client.clone(),
        url: url.clone(),
        known: Arc::default(),
    });
    let until = Instant::now() + time;
    let mut workers = JoinSet::new();
    for number in 0..IN_PARALLEL {
        for (user, other) in [(0, 1), (1, 0)] {
            let (user, other) = (users[user].clone(), users[other].clone());
            let worker = Worker {
                token: user.token(),
                user,
                other,
                // They do not all do the same at the same time.
                turn: number,
                number,
                session: String::new(),
                secret: String::new(),
                report: Arc::clone(&parts.report),
            };
            workers.spawn(worker.run(until));
        }
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    server.abort();
    Arc::clone(&parts.report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_at_once_see_nothing_of_each_other() {
    let parts = Setup::new();
    let metadata = ResourceMetadata::new("http://127.0.0.1/mcp", [parts.issuer.url()]).unwrap();
    let stack = AuthStack::new(parts.validator(), parts.jwks(), metadata, anything())
        .with_upstream_keys(Setup::keys(), KeyHeader::default());
    let is_long = std::env::var_os("CI").is_some();
    let time = Duration::from_secs(if is_long { 60 } else { 10 });
    let report = let_them_work(&parts, stack.layer(parts.server()), time).await;

    let violations = report.violations.lock().unwrap();
    assert!(
        violations.is_empty(),
        "{}: {:#?}",
        violations.len(),
        &violations[..1]
    );
    let counts = [
        &report.calls,
        &report.lists,
        &report.sessions,
        &report.attacks,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!("calls, lists, sessions, attacks: {counts:?}");
    assert!(
        counts.iter().all(|&count| count >= 2 * IN_PARALLEL),
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_session_guard_they_would() {
    let parts = Setup::new();
    let stack = ServiceBuilder::new()
        .layer(JwtValidateLayer::new(parts.validator(), parts.jwks()))
        .layer(McpRequestLayer::new())
        .layer(ScopeGuardLayer::new(anything()))
        .layer(KeyMapLayer::new(Setup::keys()))
        .service(parts.server());
    // How soon they meet depends on the machine; that they do does not.
    for _ in 0..30 {
        let report = let_them_work(&parts, stack.clone(), Duration::from_secs(2)).await;
        if was_caught(&report.violations.lock().unwrap()) {
            return;
        }
    }
    panic!("not caught: {:#?}", parts.report.violations);
}

/// Whether the check saw all that a missing guard lets happen: a session of somebody else, and a
/// secret that was told to one user in an answer to the other.
fn was_caught(violations: &[String]) -> bool {
    let told = |violation: &String, thief, owner| {
        violation.starts_with(&format!("{thief} attacks: (200"))
            && violation.contains(&format!("secret-of-{owner}-"))
    };
    let is_leak =
        |violation: &String| told(violation, "alice", "bob") || told(violation, "bob", "alice");
    let is_session = |violation: &String| violation.contains("the server sees a session");
    violations.iter().any(is_leak) && violations.iter().any(is_session)
}
