//! What all contestants get: the same keys, tokens and requests.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use mcp_auth::{
    Algorithm, Clock, SystemClock,
    testing::{ClaimsBuilder, TestIssuer},
};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://idp.example.com";
pub const RESOURCE: &str = "https://mcp.example.com/mcp";
pub const SCOPE: &str = "openid profile offline_access read:data write:data admin:notes";

/// One algorithm: its key set, and tokens signed with it.
pub struct World {
    pub algorithm: Algorithm,
    pub issuer: TestIssuer,
    /// A set of the one key, which names its algorithm.
    pub jwks: String,
    /// A good token.
    pub token: String,
    /// The same with another signature, another audience, and an end that has passed.
    pub tampered: String,
    pub wrong_audience: String,
    pub expired: String,
}

impl World {
    pub fn new(algorithm: Algorithm) -> Self {
        let issuer = TestIssuer::start().expect("an issuer on loopback");
        let kid = issuer.kid(algorithm);
        let all: Value = serde_json::from_str(&issuer.jwks()).expect("a key set");
        let mut key = all["keys"]
            .as_array()
            .and_then(|keys| keys.iter().find(|key| key["kid"] == *kid))
            .expect("the key")
            .clone();
        key["alg"] = format!("{algorithm:?}").into();
        let jwks = json!({ "keys": [key] }).to_string();
        issuer.set_jwks_body(jwks.clone());
        let now = SystemClock.now();
        let sign = |claims: &ClaimsBuilder| issuer.token_signed_with(algorithm, claims);
        let token = sign(&claims("alice"));
        let long_ago = now.saturating_sub(Duration::from_secs(7200));
        Self {
            algorithm,
            tampered: tampered(&token),
            wrong_audience: sign(&claims("alice").audience("https://other.example.com/mcp")),
            expired: sign(&claims("alice").made_at(long_ago)),
            token,
            jwks,
            issuer,
        }
    }

    /// Another good token.
    pub fn token_of(&self, subject: &str) -> String {
        self.issuer
            .token_signed_with(self.algorithm, &claims(subject))
    }
}

/// The message of a token that is signed, and the signature.
pub fn signed_parts(token: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    (message.as_bytes().to_vec(), signature)
}

/// The claims of RFC 9068, good for an hour.
pub fn claims(subject: &str) -> ClaimsBuilder {
    let now = SystemClock.now();
    ClaimsBuilder::new()
        .issuer(ISSUER)
        .audience(RESOURCE)
        .subject(subject)
        .client_id("claude-desktop")
        .jwt_id(&format!("5f2c6a0e-0c6d-4a57-9f0e-{subject:0>12}"))
        .scope(SCOPE)
        .issued_at(now)
        .not_before(now)
        .expires_at(now.saturating_add(Duration::from_secs(3600)))
}

/// The token with one character of its signature changed.
pub fn tampered(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    format!("{message}.{other}{rest}")
}

/// A `tools/call` of 264 bytes.
pub const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"get_note","arguments":"#,
    r#"{"path":"projects/2026/plan.md","format":"markdown","limit":50,"tags":["work","q3"],"#,
    r#""options":{"follow":true,"depth":3}},"_meta":{"progressToken":"b1f2c3d4-0001-4abc-9def-01"}}}"#,
);

/// A `tools/call` of about so many bytes, its arguments small objects.
pub fn call_of(bytes: usize) -> Bytes {
    if bytes <= CALL.len() {
        return Bytes::from_static(CALL.as_bytes());
    }
    let mut body = String::from(
        r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"put_rows","arguments":{"rows":["#,
    );
    let mut row = 0;
    while body.len() < bytes - 110 {
        if row > 0 {
            body.push(',');
        }
        body.push_str(&format!(
            r#"{{"id":{row},"name":"row number {row}","price":{row}.25,"tags":["a","b"],"done":false}}"#
        ));
        row += 1;
    }
    body.push_str(r#"]},"_meta":{"progressToken":"b1f2c3d4-0001-4abc-9def-01"}}}"#);
    body.into()
}

/// The head of a `tools/call` with this token, as a client sends it.
pub fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut insert = |name, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    };
    insert(header::HOST, "mcp.example.com");
    insert(header::USER_AGENT, "bench/1.0");
    insert(header::ACCEPT, "application/json, text/event-stream");
    insert(header::ACCEPT_ENCODING, "identity");
    insert(header::CONTENT_TYPE, "application/json");
    insert(header::CONTENT_LENGTH, "264");
    insert(header::AUTHORIZATION, &format!("Bearer {token}"));
    headers.insert(
        "mcp-protocol-version",
        HeaderValue::from_static("2025-06-18"),
    );
    headers
}

/// The request that everybody gets.
pub fn request<B>(headers: &HeaderMap, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/mcp");
    *request.headers_mut() = headers.clone();
    request
}
