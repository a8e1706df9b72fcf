//! The peers' JWT layers, each as its own documentation sets it up, with keys that are there.

use std::{collections::HashSet, convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRef, Request, State},
    middleware::{Next, from_fn_with_state},
};
use axum_jwt_auth::{Claims as ExtractedClaims, Decoder, RemoteJwksDecoder};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jwt_authorizer::{IntoLayer, JwtAuthorizer, Validation, layer::AuthorizationLayer};
use mcp_auth::Algorithm;
use oauth_resource_server::{
    KeyNaming, OAuthConfig, OAuthValidator, http_layer::HttpAuthLayer, mcp::McpToolScopes,
};
use serde::{Deserialize, Serialize};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2_resource_server::{
    layer::OAuth2ResourceServerLayer, server::OAuth2ResourceServer, tenant::TenantConfiguration,
    validation::ClaimsValidationSpec,
};

use crate::world::{ISSUER, RESOURCE, World, request};

/// What all of them read of the claims.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub exp: u64,
    pub iat: u64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
}

/// Sends a request through a clone of the service, as servers do, and gives the status.
pub fn send<S, B, R>(service: &S, request: http::Request<B>) -> StatusCode
where
    S: Service<http::Request<B>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
{
    let answer = service.clone().oneshot(request);
    let response = answer.now_or_never().expect("it is ready at once");
    response.expect("an answer").status()
}

/// Sends a request with these headers and a body.
pub type Send = Box<dyn Fn(&HeaderMap, bytes::Bytes) -> StatusCode>;

/// What the service behind answers: a result, as a server of MCP does.
pub fn empty_result<R: From<&'static str>>() -> Response<R> {
    let mut response = Response::new(R::from(r#"{"jsonrpc":"2.0","id":42,"result":{}}"#));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn ok(_: http::Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(empty_result())
}

/// No layer at all.
pub fn nothing() -> Send {
    let service = service_fn(ok);
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

/// No layer at all, with the bodies of axum 0.7.
pub fn nothing_07() -> Send {
    let service = service_fn(|_: http::Request<axum07::body::Body>| async {
        Ok::<_, Infallible>(empty_result::<axum07::body::Body>())
    });
    Box::new(move |headers, body| send(&service, request(headers, axum07::body::Body::from(body))))
}

/// axum's own middleware that does nothing: what `axum-jwt-auth`, an extractor, stands in.
pub fn nothing_in_middleware() -> Send {
    async fn pass(State(_): State<AppState>, request: Request, next: Next) -> Response<Body> {
        next.run(request).await
    }
    let state = AppState { decoder: None };
    let service = from_fn_with_state(state, pass).layer(service_fn(ok));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

pub async fn tower_oauth2_resource_server(world: &World) -> OAuth2ResourceServer<Claims> {
    let audiences = vec![RESOURCE.to_owned()];
    let tenant = TenantConfiguration::static_builder(world.jwks.clone())
        .audiences(&audiences)
        .claims_validation(ClaimsValidationSpec::recommended(ISSUER, &audiences))
        .build()
        .expect("a tenant");
    OAuth2ResourceServer::<Claims>::builder()
        .add_tenant(tenant)
        .build()
        .await
        .expect("a resource server")
}

pub async fn tors_layer(world: &World) -> OAuth2ResourceServerLayer<Body, Claims> {
    tower_oauth2_resource_server(world).await.into_layer()
}

pub async fn tors(world: &World) -> Send {
    let layer = tors_layer(world).await;
    let service = layer.layer(service_fn(ok));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

pub async fn jwt_authorizer_layer(world: &World) -> AuthorizationLayer<Claims> {
    JwtAuthorizer::<Claims>::from_jwks_text(&world.jwks)
        .validation(Validation::new().iss(&[ISSUER]).aud(&[RESOURCE]).nbf(true))
        .build()
        .await
        .expect("an authorizer")
        .into_layer()
}

pub async fn jwt_authorizer(world: &World) -> Send {
    let layer = jwt_authorizer_layer(world).await;
    let service = layer.layer(service_fn(|_: http::Request<axum07::body::Body>| async {
        Ok::<_, Infallible>(empty_result::<axum07::body::Body>())
    }));
    Box::new(move |headers, body| send(&service, request(headers, axum07::body::Body::from(body))))
}

/// The state that the extractor of `axum-jwt-auth` finds its decoder in.
#[derive(Clone)]
pub struct AppState {
    decoder: Option<Decoder<Claims>>,
}

impl FromRef<AppState> for Decoder<Claims> {
    fn from_ref(state: &AppState) -> Self {
        state.decoder.clone().expect("a decoder")
    }
}

/// The middleware that lets nothing through without the claims of `axum-jwt-auth`.
pub async fn guard(_: ExtractedClaims<Claims>, request: Request, next: Next) -> Response<Body> {
    next.run(request).await
}

pub async fn axum_jwt_auth_state(world: &World) -> AppState {
    use jsonwebtoken10::{Algorithm as Alg, Validation as Rules};

    let mut rules = Rules::new(match world.algorithm {
        Algorithm::RS256 => Alg::RS256,
        Algorithm::ES256 => Alg::ES256,
        _ => Alg::EdDSA,
    });
    rules.set_audience(&[RESOURCE]);
    rules.set_issuer(&[ISSUER]);
    rules.validate_nbf = true;
    let decoder = RemoteJwksDecoder::builder()
        .jwks_url(world.issuer.jwks_uri())
        .validation(rules)
        .build()
        .expect("a decoder");
    decoder.refresh().await.expect("keys");
    AppState {
        decoder: Some(Arc::new(decoder)),
    }
}

pub async fn axum_jwt_auth(world: &World) -> Send {
    let state = axum_jwt_auth_state(world).await;
    let service = from_fn_with_state(state, guard).layer(service_fn(ok));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

async fn validator(world: &World) -> Arc<OAuthValidator> {
    let resolved = OAuthConfig {
        enabled: true,
        issuer: ISSUER.into(),
        jwks_uri: Some(world.issuer.jwks_uri()),
        audience: RESOURCE.into(),
        resource: RESOURCE.into(),
        required_scope: Some("read:data".into()),
        algorithms: vec![format!("{:?}", world.algorithm)],
        ..OAuthConfig::default()
    }
    .resolve(KeyNaming::Dotted("oauth"))
    .expect("settings")
    .expect("it is enabled");
    let validator = OAuthValidator::new(&resolved).expect("a validator");
    validator.refresh_now().await.expect("keys");
    Arc::new(validator)
}

pub async fn oauth_resource_server_layer(world: &World) -> HttpAuthLayer {
    HttpAuthLayer::builder()
        .oauth(validator(world).await)
        .build()
        .expect("a layer")
}

pub async fn oauth_resource_server(world: &World) -> Send {
    let layer = oauth_resource_server_layer(world).await;
    let service = layer.layer(service_fn(ok));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

/// Its tower layer with its tool scopes behind.
pub async fn oauth_resource_server_with_tools(world: &World) -> Send {
    let layer = oauth_resource_server_layer(world).await;
    let tools = McpToolScopes::new()
        .default(["admin:tools"])
        .tool("get_note", ["read:data"])
        .tool("put_note", ["write:data"]);
    let service = layer.layer(tools.layer(service_fn(ok)));
    Box::new(move |headers, body| send(&service, request(headers, Body::from(body))))
}

/// Whether a peer does the job: the good token passes, and the three wrong ones do not. A peer that
/// knows the algorithm not at all is left out.
pub fn does_the_job(name: &str, world: &World, send: &Send) -> bool {
    let body = || bytes::Bytes::from_static(crate::world::CALL.as_bytes());
    let status = |token: &str| send(&crate::world::headers(token), body());
    let good = status(&world.token);
    if good != StatusCode::OK {
        eprintln!(
            "{name} refuses a good {:?} token ({good}): left out",
            world.algorithm
        );
        return false;
    }
    let answers: HashSet<_> = [&world.tampered, &world.wrong_audience, &world.expired]
        .map(|token| status(token))
        .into();
    assert_eq!(
        answers,
        HashSet::from([StatusCode::UNAUTHORIZED]),
        "{name} must refuse what is wrong"
    );
    true
}
