//! A session says where a request belongs, never whose it is.

use std::time::Duration;

use http::Request;

use crate::{
    answers::stranger,
    house::{
        Body, House, ISSUER, NOW, No, RequestExt, SESSION, alice, bad_token, call, fields, no,
        post, reader, request,
    },
};

const METHODS: [(&str, &str); 3] = [("GET", "GET"), ("HEAD", "GET"), ("DELETE", "DELETE")];

fn carol() -> String {
    ISSUER.token(&alice("read:data").subject("carol"))
}

fn in_session(request: Request<Body>, session: &str) -> Request<Body> {
    request.and("mcp-session-id", session)
}

fn no_such_session() -> No {
    no(404, "session_mismatch")
}

#[tokio::test]
async fn trap_08_a_stream_and_an_end_are_asked_for_without_a_message() {
    let house = House::new();
    house.open_session(&reader()).await;
    let replay = |method: &str, token: &str| {
        in_session(request(method, token, ""), SESSION).and("last-event-id", "9")
    };
    for (method, action) in METHODS {
        let expected = stranger().of(method, "");
        house.refuses(method, replay(method, ""), &expected).await;
        let expected = no_such_session()
            .oauth("session_mismatch", "There is no such session")
            .by("carol")
            .of(action, "");
        house
            .refuses(method, replay(method, &carol()), &expected)
            .await;
    }
    // `Connection` takes the session off on the way, and with it what is asked of the session.
    let taken_off = replay("GET", &reader()).and("connection", "mcp-session-id");
    let (seen, _) = house.passes("session taken off", taken_off).await;
    assert!(!seen.headers.contains_key("mcp-session-id"));
    assert!(!seen.headers.contains_key("last-event-id"));
    for (method, action) in METHODS {
        let (seen, event) = house.passes(method, replay(method, &reader())).await;
        assert_eq!(seen.method, method);
        assert_eq!(seen.headers["mcp-session-id"], SESSION);
        assert_eq!(seen.headers["last-event-id"], "9");
        assert_eq!((event.user(), event.action()), (Some("alice"), action));
    }
    // It has ended. And outside of a session nothing is replayed.
    let expected = no_such_session()
        .oauth("session_mismatch", "There is no such session")
        .by("alice")
        .of("GET", "");
    house
        .refuses("ended", replay("GET", &reader()), &expected)
        .await;
    let request = request("GET", &reader(), "").and("last-event-id", "9");
    let (seen, _) = house.passes("no session", request).await;
    assert!(!seen.headers.contains_key("last-event-id"));
}

#[tokio::test]
async fn trap_09_the_session_stands_in_for_the_token() {
    let house = House::new();
    house.open_session(&reader()).await;
    let lists = |token: &str| {
        let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
        in_session(post(token, list), SESSION)
    };
    let reads = |method: &str, token: &str| in_session(request(method, token, ""), SESSION);
    let token = reader();
    house.passes("with its token", lists(&token)).await;
    house.refuses("no token", lists(""), &stranger()).await;
    for (method, _) in METHODS {
        let expected = stranger().of(method, "");
        house.refuses(method, reads(method, ""), &expected).await;
    }
    // The very token that opened it, no longer good.
    let revoked = bad_token("revoked", "The access token was revoked").by("alice");
    let until = NOW.saturating_add(Duration::from_secs(60));
    house.revocations.revoke_token(ISSUER.url(), "t-1", until);
    house.refuses("revoked", lists(&token), &revoked).await;
    for (method, _) in METHODS {
        let expected = revoked.clone().of(method, "");
        house
            .refuses(method, reads(method, &token), &expected)
            .await;
    }
    house.clock.advance(Duration::from_secs(330));
    let expired = bad_token("expired", "The access token expired");
    house.refuses("expired", lists(&token), &expired).await;
    for (method, _) in METHODS {
        let expected = expired.clone().of(method, "");
        house
            .refuses(method, reads(method, &token), &expected)
            .await;
    }
}

#[tokio::test]
async fn trap_10_a_good_token_comes_with_somebody_elses_session() {
    let house = House::new();
    house.open_session(&reader()).await;
    let message = |user: &str| {
        no_such_session()
            .rpc("7", -31404, "There is no such session", "")
            .by(user)
            .of("tools/call", "get_note")
    };
    for (user, token) in [
        ("carol", carol()),
        // The same name, by another way.
        (
            "alice",
            ISSUER.token(&alice("read:data").client_id("client-2")),
        ),
        (
            "alice",
            ISSUER.token(&alice("read:data").without("client_id")),
        ),
    ] {
        // To whom it belongs is not told, nor whether it is there.
        for session in [SESSION, "never-was"] {
            let request = in_session(call(&token, "get_note"), session);
            house.refuses(session, request, &message(user)).await;
        }
        let initialize = r#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#;
        let request = in_session(post(&token, initialize), SESSION);
        let expected = message(user).of("initialize", "");
        house.refuses("taken over", request, &expected).await;
    }
    let (seen, _) = house
        .passes("its own", in_session(call(&reader(), "get_note"), SESSION))
        .await;
    assert_eq!(seen.headers["mcp-session-id"], SESSION);
    // An answer gives no session away but that of an `initialize`.
    let answer = house
        .send("another answer", call(&carol(), "get_note"))
        .await;
    assert!(
        fields(&answer.headers)
            .iter()
            .all(|(name, _)| name != "mcp-session-id")
    );
}
