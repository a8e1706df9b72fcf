//! The servers that are measured, each a process of its own: `serve JOB` says where it listens and
//! which token it takes, and serves until it is killed.

use std::future::IntoFuture;

use axum::{Router, body::Body, middleware::from_fn_with_state, response::Response, routing::post};
use bytes::Bytes;
use mcp_auth::Algorithm;
use tokio::net::TcpListener;

use super::proxy;
use crate::{
    ours::{self, Beside},
    peers,
    world::World,
};

/// What stands behind every layer: reads the message, and answers.
async fn answer(_: Bytes) -> Response<Body> {
    peers::empty_result()
}

async fn answer_07(_: Bytes) -> Response<axum07::body::Body> {
    peers::empty_result()
}

/// Serves one job for ever.
pub async fn serve(job: &str, upstream: Option<&str>) {
    let world = World::new(Algorithm::RS256);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let plain = || Router::new().route("/mcp", post(answer));
    let app = match job {
        "plain" => plain(),
        "stack" => plain().layer(ours::stack(&world, &Beside::default())),
        "tower-oauth2-resource-server" => plain().layer(peers::tors_layer(&world).await),
        "axum-jwt-auth" => {
            let state = peers::axum_jwt_auth_state(&world).await;
            plain().layer(from_fn_with_state(state, peers::guard))
        }
        "oauth-resource-server" => plain().layer(peers::oauth_resource_server_layer(&world).await),
        "plain-0.7" | "jwt-authorizer" => {
            let mut app = axum07::Router::new().route("/mcp", axum07::routing::post(answer_07));
            if job == "jwt-authorizer" {
                app = app.layer(peers::jwt_authorizer_layer(&world).await);
            }
            println!("{addr} {}", world.token);
            let serving = axum07::serve(listener, app).tcp_nodelay(true);
            return serving.into_future().await.expect("it serves");
        }
        "proxy" => {
            println!("{addr} {}", world.token);
            return proxy::serve(listener, upstream.expect("an upstream")).await;
        }
        other => panic!("there is no server {other:?}"),
    };
    println!("{addr} {}", world.token);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await.expect("it serves");
}
