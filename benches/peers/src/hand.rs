//! The same job put together by hand from the peers: `tower-oauth2-resource-server` verifies,
//! `tower_governor` limits, and a middleware does the rest as one writes it. It writes no audit log,
//! keeps no sessions and filters no lists.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, RwLock},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tower::{Layer, service_fn};
use tower_governor::{
    GovernorError, GovernorLayer, governor::GovernorConfigBuilder, key_extractor::KeyExtractor,
};

use crate::{
    peers::{Claims, Send, empty_result, send, tower_oauth2_resource_server},
    world::{World, request},
};

const MAX_BODY: usize = 4 * 1024 * 1024;

#[derive(Clone)]
struct BySubject;

impl KeyExtractor for BySubject {
    type Key = String;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<String, GovernorError> {
        request
            .extensions()
            .get::<Claims>()
            .map(|claims| claims.sub.clone())
            .ok_or(GovernorError::UnableToExtractKey)
    }
}

struct Rest {
    revoked: RwLock<HashSet<String>>,
    scopes: HashMap<String, &'static str>,
    keys: HashMap<String, HeaderValue>,
}

async fn rest(State(rest): State<Arc<Rest>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let Some(claims) = head.extensions.get::<Claims>().cloned() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    if rest.revoked.read().expect("a lock").contains(&claims.jti) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if message["method"] == "tools/call" {
        let tool = message["params"]["name"].as_str().unwrap_or_default();
        let held: HashSet<&str> = claims.scope.split(' ').collect();
        if !rest
            .scopes
            .get(tool)
            .is_some_and(|needed| held.contains(needed))
        {
            return StatusCode::FORBIDDEN.into_response();
        }
    }
    let Some(key) = rest.keys.get(&claims.sub) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    head.headers.remove(http::header::AUTHORIZATION);
    head.headers.insert("x-api-key", key.clone());
    next.run(Request::from_parts(head, Body::from(body))).await
}

pub async fn assembled(world: &World) -> Send {
    let state = Arc::new(Rest {
        revoked: RwLock::new((0..10_000).map(|n| format!("revoked-{n}")).collect()),
        scopes: HashMap::from([
            ("get_note".to_owned(), "read:data"),
            ("put_note".to_owned(), "write:data"),
        ]),
        keys: HashMap::from([(
            "alice".to_owned(),
            HeaderValue::from_static("internal-key-1"),
        )]),
    });
    let limits = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(1_000_000)
        .key_extractor(BySubject)
        .finish()
        .expect("a limit");
    let inner = service_fn(|_: Request| async { Ok::<_, Infallible>(empty_result::<Body>()) });
    let judged = from_fn_with_state(state, rest).layer(inner);
    let limited = GovernorLayer::new(limits).layer(judged);
    let verify = tower_oauth2_resource_server(world)
        .await
        .into_layer::<Body>();
    let service = verify.layer(limited);
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}
