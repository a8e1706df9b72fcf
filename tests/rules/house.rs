//! The stack under test, the service behind it, and what is to be expected of both.

use std::{
    num::NonZeroU32,
    sync::{Arc, LazyLock, Mutex},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{
    BodyExt, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};
use mcp_auth::{
    AuditEvent, AuthBody, AuthStack, BoxKeyStore, BoxRateLimitStore, BoxRevocationStore,
    BoxSessionStore, JsonReject, JwtValidator, KeyMap, KeyMapLayer, McpBody, MemoryRateLimitStore,
    MemoryRevocationStore, MemorySessionStore, Origins, Policy, Quota, RateLimit, RateLimitLayer,
    RecordingSink, Reject, ResourceMetadata, RevocationLayer, ScopePolicy, StaticJwks, UnixTime,
    UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId,
    testing::{ClaimsBuilder, TestClock, TestIssuer},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

pub const RESOURCE: &str = "https://mcp.example.com/mcp";
const HOST: &str = "host-canary.example";
pub const METADATA: &str =
    r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
/// The session that the service behind opens, and how the audit log names it.
pub const SESSION: &str = "session-1";
pub const SESSION_LOGGED: &str = "84097828";
/// What the service behind says to everything.
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
const POLICY: &str = r#"{
    "base": ["read:data"],
    "hierarchy": {"admin": ["write:data"], "write:data": ["read:data"]},
    "methods": {"logging/setLevel": ["admin"]},
    "tools": {"get_*": [], "put_*": ["write:data"], "export": ["export:data"]},
    "prompts": {"*": []},
    "resources": {"file:///public/*": [], "file:///logs/*": [["admin"], ["export:data"]]}
}"#;
const KEYS: &str = r#"{
    "alice": [{"name": "ro", "key": "internal-key-ro", "scopes": ["read:data"]},
              {"name": "rw", "key": "internal-key-rw", "scopes": ["write:data"]},
              {"name": "all", "key": "internal-key-all"}],
    "carol": {"key": "internal-key-carol", "scopes": ["read:data"]}
}"#;

pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub type UpstreamBody = BoxBody<Bytes, std::convert::Infallible>;
pub type Upstream = Arc<dyn Fn(Seen) -> BoxFuture<'static, UpstreamAnswer> + Send + Sync>;
pub type UpstreamAnswer = Result<Response<UpstreamBody>, &'static str>;

/// One issuer for all tests: making its keys takes a while.
pub static ISSUER: LazyLock<TestIssuer> = LazyLock::new(|| TestIssuer::start().unwrap());

/// A request that reached the service.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the stack is made of, for a test to change.
pub struct Plan {
    pub policy: Arc<dyn Policy>,
    pub keys: BoxKeyStore<VerificationKeyId, VerificationKey>,
    pub revocation: RevocationLayer<BoxRevocationStore>,
    pub limits: RateLimitLayer<BoxRateLimitStore>,
    pub upstream_keys: KeyMapLayer<BoxKeyStore<UpstreamKeyId, UpstreamKey>>,
    pub sessions: BoxSessionStore,
    pub upstream: Upstream,
    pub reject: Arc<dyn Reject>,
}

pub struct House {
    pub clock: TestClock,
    pub revocations: MemoryRevocationStore,
    pub audit: Arc<RecordingSink>,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub service: BoxCloneService<Request<Body>, Response<AuthBody<UpstreamBody>>, &'static str>,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
    pub event: AuditEvent,
}

impl House {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let clock = TestClock::new(NOW);
        let revocations = MemoryRevocationStore::new().with_clock(clock.clone());
        let policy = ScopePolicy::from_json(POLICY).unwrap();
        let key_map = KeyMap::from_json(KEYS).unwrap();
        let key_map = key_map.with_hierarchy(policy.hierarchy().clone());
        let jwks = StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap();
        let mut plan = Plan {
            policy: Arc::new(policy),
            keys: BoxKeyStore::new(jwks),
            revocation: RevocationLayer::new(BoxRevocationStore::new(revocations.clone())),
            limits: calls_per_hour(1000),
            upstream_keys: KeyMapLayer::new(BoxKeyStore::new(key_map)),
            sessions: BoxSessionStore::new(MemorySessionStore::new()),
            upstream: answering(|seen| {
                let mut response = Response::builder().header("content-type", "application/json");
                if seen.body.windows(10).any(|word| word == b"initialize") {
                    response = response.header("mcp-session-id", SESSION);
                }
                response.body(Full::from(ANSWER).boxed()).unwrap()
            }),
            reject: Arc::new(JsonReject),
        };
        change(&mut plan);

        let audit = Arc::new(RecordingSink::new());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let upstream = service_fn({
            let (seen, upstream) = (Arc::clone(&seen), plan.upstream);
            move |request: Request<McpBody>| {
                let (seen, upstream) = (Arc::clone(&seen), Arc::clone(&upstream));
                async move {
                    let (head, body) = request.into_parts();
                    let request = Seen {
                        method: head.method.to_string(),
                        uri: head.uri.to_string(),
                        headers: head.headers,
                        body: body.collect().await.unwrap().to_bytes(),
                    };
                    seen.lock().unwrap().push(request.clone());
                    upstream(request).await
                }
            }
        });
        let metadata = ResourceMetadata::new(RESOURCE, [ISSUER.url()]).unwrap();
        let origins = Origins::new(&metadata).allow_host(HOST).unwrap();
        let stack = AuthStack::new(
            JwtValidator::new(ISSUER.url(), RESOURCE).unwrap(),
            plan.keys,
            metadata,
            plan.policy,
        )
        .with_revocation_layer(plan.revocation)
        .with_rate_limit(plan.limits)
        .with_upstream_keys_layer(plan.upstream_keys)
        .with_sessions(plan.sessions)
        .with_origins(origins)
        .with_audit(Arc::clone(&audit))
        .with_clock(clock.clone())
        .with_reject(plan.reject);
        Self {
            service: BoxCloneService::new(stack.layer(upstream)),
            clock,
            revocations,
            audit,
            seen,
        }
    }

    /// Sends a request and reads the answer. There is one audit event more then, which tells no
    /// secret. The fields of every answer but the metadata are looked at here, and left out.
    pub async fn send(&self, what: &str, request: Request<Body>) -> Answer {
        let before = self.audit.events().len();
        let token = credentials(&request);
        let response = self.service.clone().oneshot(request).await;
        let (head, body) = response.expect(what).into_parts();
        let body = body.collect().await.unwrap();
        let mut events = self.audit.events();
        assert_eq!(events.len(), before + 1, "{what}: events");
        let event = events.pop().unwrap();
        let line = event.to_json();
        for secret in ["internal-key", "argument-canary"] {
            assert!(!line.contains(secret), "{what}: {secret} in {line}");
        }
        assert!(
            token.is_empty() || !line.contains(&token),
            "{what}: the token in {line}"
        );
        let mut headers = head.headers;
        if event.action() != "metadata" {
            let mut take = |name: &str| headers.remove(name).expect(what);
            assert_eq!(take("vary"), "Origin", "{what}");
            let exposed = "WWW-Authenticate, Mcp-Session-Id, Retry-After, MCP-Protocol-Version";
            assert_eq!(take("access-control-expose-headers"), exposed, "{what}");
        }
        Answer {
            status: head.status.as_u16(),
            headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
            event,
        }
    }

    /// The request is refused as `no` has it, and nothing of it reached the service.
    pub async fn refuses(&self, what: &str, request: Request<Body>, no: &No) {
        let before = self.seen().len();
        let mut canaries = vec![
            "canary".to_owned(),
            "alice".to_owned(),
            "internal-key".to_owned(),
        ];
        let token = credentials(&request);
        canaries.extend(
            token
                .split('.')
                .filter(|part| part.len() > 8)
                .map(Into::into),
        );
        let answer = self.send(what, request).await;
        no.assert(what, &answer);
        let said = format!("{:?} {:?}", fields(&answer.headers), answer.body);
        for canary in canaries {
            assert!(!said.contains(&canary), "{what}: {canary} in {said}");
        }
        assert_eq!(self.seen().len(), before, "{what}: seen by the service");
    }

    /// The request passes, and that is what the service saw of it and what the event tells.
    pub async fn passes(&self, what: &str, request: Request<Body>) -> (Seen, AuditEvent) {
        let before = self.seen().len();
        let answer = self.send(what, request).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, &*text), (200, ANSWER), "{what}");
        let event = answer.event;
        let outcome = (event.decision().as_str(), event.reason().as_str());
        assert_eq!(outcome, ("allow", "ok"), "{what}");
        assert_eq!(event.status(), Some(200), "{what}");
        assert!(!event.is_cancelled(), "{what}");
        let seen = self.seen();
        assert_eq!(seen.len(), before + 1, "{what}: seen by the service");
        (seen.last().unwrap().clone(), event)
    }

    /// Opens [`SESSION`] for whoever holds the token.
    pub async fn open_session(&self, token: &str) {
        let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#;
        self.passes("initialize", post(token, initialize)).await;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// What follows `Bearer `.
fn credentials(request: &Request<Body>) -> String {
    let field = request.headers().get("authorization");
    let field = field.map_or("", |value| value.to_str().unwrap_or(""));
    let token = field.split_once(' ').map_or("", |(_, token)| token.trim());
    token.to_owned()
}

/// All header fields, in order of their names.
pub fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        })
        .collect();
    fields.sort();
    fields
}

pub fn answering(
    answer: impl Fn(Seen) -> Response<UpstreamBody> + Send + Sync + 'static,
) -> Upstream {
    Arc::new(move |seen| std::future::ready(Ok(answer(seen))).boxed())
}

pub fn calls_per_hour(calls: u32) -> RateLimitLayer<BoxRateLimitStore> {
    let quota = Quota::per_hour(NonZeroU32::new(calls).unwrap());
    let store = BoxRateLimitStore::new(MemoryRateLimitStore::new());
    RateLimitLayer::new(store, RateLimit::new("calls", quota))
}

/// The claims of alice, made now.
pub fn alice(scope: &str) -> ClaimsBuilder {
    let claims = ISSUER.claims().made_at(NOW).scope(scope);
    claims.jwt_id("t-1").session_id("s-1")
}

pub fn reader() -> String {
    ISSUER.token(&alice("read:data"))
}

pub fn writer() -> String {
    ISSUER.token(&alice("read:data write:data"))
}

/// A request that comes through a host of which no answer may tell.
pub fn request(method: &str, token: &str, body: impl Into<Bytes>) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri("/mcp")
        .header("host", HOST)
        .header("x-forwarded-host", "forwarded-canary.example");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = Full::new(body.into()).map_err(|never| match never {});
    request.body(body.boxed_unsync()).unwrap()
}

pub fn post(token: &str, body: impl Into<Bytes>) -> Request<Body> {
    request("POST", token, body).and("content-type", "application/json")
}

/// A `tools/call` with the id 7.
pub fn call(token: &str, tool: &str) -> Request<Body> {
    post(token, call_body("7", tool))
}

pub fn call_body(id: &str, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"argument-canary"}}}}}}"#
    )
}

pub trait RequestExt {
    /// The same with one header field more.
    fn and(self, name: &'static str, value: &str) -> Self;
    /// The same to another path.
    fn to(self, uri: &str) -> Self;
}

impl RequestExt for Request<Body> {
    fn and(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers_mut().append(name, value.parse().unwrap());
        self
    }

    fn to(mut self, uri: &str) -> Self {
        *self.uri_mut() = uri.parse().unwrap();
        self
    }
}

/// A refusal, to the letter. Until told otherwise: a denial of a POST of which nothing is known.
#[derive(Clone)]
pub struct No {
    status: u16,
    challenge: String,
    retry_after: String,
    allow: &'static str,
    body: String,
    reason: String,
    decision: &'static str,
    user: String,
    action: String,
    tool: Option<String>,
    required: String,
}

pub fn no(status: u16, reason: &str) -> No {
    No {
        status,
        challenge: String::new(),
        retry_after: String::new(),
        allow: "",
        body: String::new(),
        reason: reason.into(),
        decision: "deny",
        user: String::new(),
        action: "POST".into(),
        tool: None,
        required: String::new(),
    }
}

/// The refusal of a bad token.
pub fn bad_token(reason: &str, description: &str) -> No {
    no(401, reason)
        .challenge(&format!(
            r#"Bearer error="invalid_token", scope="read:data", {METADATA}, error_description="{description}""#
        ))
        .oauth("invalid_token", description)
}

impl No {
    pub fn challenge(mut self, line: &str) -> Self {
        self.challenge = line.into();
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = seconds.to_string();
        self
    }

    pub fn allow(mut self, methods: &'static str) -> Self {
        self.allow = methods;
        self
    }

    /// A body of before a message was read.
    pub fn oauth(mut self, error: &str, description: &str) -> Self {
        self.body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
        self
    }

    /// A body of after a message was read; `id` and `data` may be empty.
    pub fn rpc(mut self, id: &str, code: i32, message: &str, data: &str) -> Self {
        let member = |name: &str, json: &str| match json {
            "" => String::new(),
            json => format!(r#","{name}":{json}"#),
        };
        let (id, data) = (member("id", id), member("data", data));
        self.body = format!(
            r#"{{"jsonrpc":"2.0"{id},"error":{{"code":{code},"message":"{message}"{data}}}}}"#
        );
        self
    }

    /// Who asked.
    pub fn by(mut self, user: &str) -> Self {
        self.user = user.into();
        self
    }

    /// What was asked.
    pub fn of(mut self, action: &str, tool: &str) -> Self {
        self.action = action.into();
        self.tool = (!tool.is_empty()).then(|| tool.into());
        self
    }

    /// The same with a tool whose name may be empty.
    pub fn of_tool(mut self, action: &str, tool: &str) -> Self {
        self.action = action.into();
        self.tool = Some(tool.into());
        self
    }

    pub fn needs(mut self, scopes: &str) -> Self {
        self.required = scopes.into();
        self
    }

    /// Not a denial: it could not be found out, or broke.
    pub const fn error(mut self) -> Self {
        self.decision = "error";
        self
    }

    /// That is the answer, and that is what the event tells.
    pub fn assert(&self, what: &str, answer: &Answer) {
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(
            (answer.status, &*text),
            (self.status, &*self.body),
            "{what}: status and body"
        );
        assert_eq!(fields(&answer.headers), self.headers(), "{what}: headers");
        assert_eq!(told(&answer.event), self.told(), "{what}: audit event");
    }

    fn headers(&self) -> Vec<(String, String)> {
        let all = [
            ("allow", self.allow),
            ("cache-control", "no-store"),
            ("content-type", "application/json"),
            ("retry-after", &self.retry_after),
            ("www-authenticate", &self.challenge),
        ];
        let set = all.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn told(&self) -> Told {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Told {
            decision: self.decision.into(),
            reason: self.reason.clone(),
            status: Some(self.status),
            user: some(&self.user),
            action: self.action.clone(),
            tool: self.tool.clone(),
            required: self.required.clone(),
            cancelled: false,
        }
    }
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub decision: String,
    pub reason: String,
    pub status: Option<u16>,
    pub user: Option<String>,
    pub action: String,
    pub tool: Option<String>,
    pub required: String,
    pub cancelled: bool,
}

pub fn told(event: &AuditEvent) -> Told {
    Told {
        decision: event.decision().as_str().into(),
        reason: event.reason().as_str().into(),
        status: event.status(),
        user: event.user().map(Into::into),
        action: event.action().into(),
        tool: event.tool().map(Into::into),
        required: event.required_scopes().to_string(),
        cancelled: event.is_cancelled(),
    }
}
