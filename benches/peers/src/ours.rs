//! This crate: its JWT layer alone, and its whole stack.

use std::{convert::Infallible, num::NonZeroU32, sync::Arc};

use axum::body::Body;
use mcp_auth::{
    AuditEvent, AuthStack, Jwks, JwtValidateLayer, JwtValidator, KeyHeader, KeyMap, McpBody,
    MemoryRateLimitStore, MemoryRevocationStore, Quota, RateLimit, RateLimitLayer, Requirement,
    ResourceMetadata, ScopePolicy, StaticJwks, UpstreamKey, audit_sink_fn,
};
use tower::{Layer, service_fn};

use crate::{
    peers::{Send, empty_result, send},
    world::{ISSUER, RESOURCE, World, request},
};

pub fn validator() -> JwtValidator {
    JwtValidator::new(ISSUER, RESOURCE).expect("a validator")
}

pub fn jwks(world: &World) -> StaticJwks {
    StaticJwks::from_json(ISSUER, world.jwks.as_bytes()).expect("keys")
}

/// The JWT layer alone, with a cache of so many tokens.
pub fn jwt_alone(world: &World, cache: usize) -> Send {
    let layer = JwtValidateLayer::new(validator(), jwks(world)).with_cache(cache);
    let service = layer.layer(service_fn(|_: http::Request<Body>| async {
        Ok::<_, Infallible>(empty_result::<Body>())
    }));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

/// The JWT layer with keys that come from the issuer over HTTP.
pub fn jwt_remote(world: &World) -> (Jwks, Send) {
    let jwks = Jwks::new(ISSUER, &world.issuer.jwks_uri()).expect("keys");
    let layer = JwtValidateLayer::new(validator(), jwks.clone());
    let service = layer.layer(service_fn(|_: http::Request<Body>| async {
        Ok::<_, Infallible>(empty_result::<Body>())
    }));
    let send: Send =
        Box::new(move |headers, body| send(&service, request(headers, Body::from(body))));
    (jwks, send)
}

/// A policy of so many rules, of which one lets `get_note` through.
pub fn policy(rules: usize) -> ScopePolicy {
    let read = || Requirement::all("read:data".parse().expect("a scope"));
    let mut policy = ScopePolicy::new()
        .tool("get_note", read())
        .and_then(|policy| policy.tool("put_*", read()))
        .expect("rules");
    for rule in 2..rules {
        policy = policy
            .tool(
                &format!("tool_{rule}{}", if rule % 2 == 0 { "*" } else { "" }),
                read(),
            )
            .expect("a rule");
    }
    policy
}

/// What stands beside the one caller that is timed.
pub struct Beside {
    pub cache: usize,
    pub revocations: MemoryRevocationStore,
    pub limits: MemoryRateLimitStore,
    pub rules: usize,
}

impl Default for Beside {
    fn default() -> Self {
        let revocations = MemoryRevocationStore::new();
        for n in 0..10_000 {
            revocations.revoke_token(ISSUER, &format!("revoked-{n}"), mcp_auth::UnixTime::MAX);
        }
        Self {
            cache: 10_000,
            revocations,
            limits: MemoryRateLimitStore::new(),
            rules: 10,
        }
    }
}

pub fn quota() -> Quota {
    Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"))
}

type Stack<K> = AuthStack<K, MemoryRevocationStore, MemoryRateLimitStore, KeyMap>;

/// The default stack: metadata, token, revocation, message, scopes, limit, upstream key, audit.
pub fn stack(world: &World, beside: &Beside) -> Stack<StaticJwks> {
    stack_of(jwks(world), beside)
}

/// The same with verification keys from elsewhere.
pub fn stack_of<K>(keys: K, beside: &Beside) -> Stack<K> {
    let upstream_keys = KeyMap::new().with_user(
        "alice",
        UpstreamKey::new("ro", "internal-key-1").expect("a key"),
        "read:data".parse().expect("a scope"),
    );
    AuthStack::new(
        validator(),
        keys,
        ResourceMetadata::new(RESOURCE, [ISSUER]).expect("metadata"),
        policy(beside.rules),
    )
    .with_token_cache(beside.cache)
    .with_revocation(beside.revocations.clone())
    .with_rate_limit(RateLimitLayer::new(
        beside.limits.clone(),
        RateLimit::new("calls", quota()),
    ))
    .with_upstream_keys(upstream_keys, KeyHeader::default())
    .with_audit(Arc::new(audit_sink_fn(|event: AuditEvent| drop(event))))
}

/// The stack around a service that does nothing.
pub fn whole_stack(world: &World, beside: &Beside) -> Send {
    let service = stack(world, beside).layer(service_fn(|_: http::Request<McpBody>| async {
        Ok::<_, Infallible>(empty_result::<Body>())
    }));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}
