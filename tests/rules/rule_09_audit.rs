//! Rule 9: exactly one event for every request, however it ends, and no secret in it.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, poll, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use mcp_auth::{
    AuditEvent, BoxKeyStore, BoxRevocationStore, KeyMapLayer, Rejection, Revocation,
    RevocationLayer, StoreError, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId,
    key_store_fn, policy_fn, reject_fn, revocation_store_fn,
};
use tower::{Service, ServiceExt};

use crate::house::{
    Body, House, ISSUER, Plan, RequestExt, SESSION, Told, alice, answering, call, call_body, post,
    reader, request, told,
};

fn only(house: &House) -> AuditEvent {
    let mut events = house.audit.events();
    assert_eq!(events.len(), 1, "one event");
    events.remove(0)
}

/// The line, without what differs from run to run.
fn line(event: &AuditEvent) -> String {
    let mut line: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap();
    let id = line["request_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(line["total_ms"].as_f64().unwrap() >= 0.0);
    let fields = line.as_object_mut().unwrap();
    fields.remove("request_id");
    fields.remove("total_ms");
    if fields["upstream_ms"].is_number() {
        fields.insert("upstream_ms".into(), "some".into());
    }
    line.to_string()
}

/// As a map prints it, whatever the order of its fields.
fn expected(json: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(json).unwrap();
    line.to_string()
}

#[tokio::test]
async fn rule_09_the_line_of_a_call_that_passed() {
    let house = House::new();
    let request = call(&reader(), "get_note").and("mcp-session-id", SESSION);
    house.open_session(&reader()).await;
    let (_, event) = house.passes("call", request).await;
    assert_eq!(
        line(&event),
        expected(&format!(
            r#"{{"v":1,"timestamp":"2027-01-15T08:00:00.000000Z","user":"alice","issuer":"{}",
            "client_id":"client-1","client_claimed":null,"action":"tools/call","tool":"get_note",
            "operations":null,"decision":"allow","reason":"ok","status":200,
            "required_scopes":["read:data"],"held_scopes":["read:data"],"key_name":"ro",
            "session":"84097828","revocation":"active","rate_limit":"ok","upstream_ms":"some",
            "cancelled":false}}"#,
            ISSUER.url()
        ))
    );
}

#[tokio::test]
async fn rule_09_the_line_of_a_batch_that_was_denied() {
    let house = House::new();
    house.clock.advance(Duration::from_micros(1_234_567));
    let body = format!(
        "[{},{}]",
        call_body("1", "get_note"),
        call_body("2", "put_note")
    );
    house.send("batch", post(&reader(), body)).await;
    assert_eq!(
        line(&only(&house)),
        expected(&format!(
            r#"{{"v":1,"timestamp":"2027-01-15T08:00:01.234567Z","user":"alice","issuer":"{}",
            "client_id":"client-1","client_claimed":null,"action":"batch","tool":null,
            "operations":[{{"action":"tools/call","tool":"get_note"}},
                          {{"action":"tools/call","tool":"put_note"}}],
            "decision":"deny","reason":"insufficient_scope","status":403,
            "required_scopes":["read:data","write:data"],"held_scopes":["read:data"],
            "key_name":null,"session":null,"revocation":"active","rate_limit":null,
            "upstream_ms":null,"cancelled":false}}"#,
            ISSUER.url()
        ))
    );
}

#[tokio::test]
async fn rule_09_the_line_of_a_stranger_tells_what_was_tried_and_believes_nothing() {
    let house = House::new();
    let claims = alice("admin").issuer("https://canary.example");
    let request = call(&ISSUER.token(&claims), "get_note").and("mcp-session-id", SESSION);
    house.send("stranger", request).await;
    assert_eq!(
        line(&only(&house)),
        expected(
            r#"{"v":1,"timestamp":"2027-01-15T08:00:00.000000Z","user":null,"issuer":null,
            "client_id":null,"client_claimed":null,"action":"POST","tool":null,"operations":null,
            "decision":"deny","reason":"wrong_issuer","status":401,"required_scopes":[],
            "held_scopes":[],"key_name":null,"session":"84097828","revocation":null,
            "rate_limit":null,"upstream_ms":null,"cancelled":false}"#
        )
    );
}

#[tokio::test]
async fn rule_09_no_name_forges_a_line_and_none_is_endless() {
    let house = House::new();
    let name = r#"drop\n{\"v\":1}\u001b[2J\u202e\u2028"#;
    house.send("forged", call(&reader(), name)).await;
    let event = house.audit.events().remove(0);
    assert_eq!(
        event.tool(),
        Some("drop\n{\"v\":1}\u{1b}[2J\u{202e}\u{2028}")
    );
    let line = event.to_json();
    assert!(line.is_ascii(), "{line}");
    assert!(
        !line.contains(|char: char| char.is_ascii_control()),
        "{line}"
    );
    assert!(
        line.contains(r#""tool":"drop\n{\"v\":1}\u001b[2J\u202e\u2028""#),
        "{line}"
    );

    let subject = format!("m\u{f6}ller-{}", "x".repeat(1000));
    let claims = alice("read:data").subject(&subject);
    house
        .send("long", call(&ISSUER.token(&claims), &"d".repeat(5000)))
        .await;
    let event = house.audit.events().remove(1);
    assert_eq!(event.tool(), Some(&*format!("{}\u{2026}", "d".repeat(256))));
    let user: String = subject.chars().take(256).collect();
    assert_eq!(event.user(), Some(&*format!("{user}\u{2026}")));
}

#[tokio::test]
async fn rule_09_a_request_id_names_one_request() {
    let house = House::new();
    for _ in 0..50 {
        house
            .send(
                "call",
                call(&reader(), "get_note").and("x-request-id", "canary"),
            )
            .await;
    }
    let events = house.audit.events();
    let ids: HashSet<_> = events
        .iter()
        .map(|event| event.request_id().to_string())
        .collect();
    assert_eq!(ids.len(), 50);
    assert!(!ids.contains("canary"));
}

/// The event of a request that ended without an answer.
fn unanswered(reason: &str, user: &str, action: &str, tool: &str, required: &str) -> Told {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Told {
        decision: "error".into(),
        reason: reason.into(),
        status: None,
        user: some(user),
        action: action.into(),
        tool: some(tool),
        required: required.into(),
        cancelled: reason == "ok",
    }
}

type Change = fn(&mut Plan);

fn waiting_keys(plan: &mut Plan) {
    plan.keys = BoxKeyStore::new(key_store_fn(|_: VerificationKeyId| {
        std::future::pending::<Result<Option<VerificationKey>, StoreError>>()
    }));
}

fn waiting_revocation(plan: &mut Plan) {
    plan.revocation = RevocationLayer::new(BoxRevocationStore::new(revocation_store_fn(|_| {
        std::future::pending::<Result<Revocation, StoreError>>()
    })));
}

fn waiting_upstream_keys(plan: &mut Plan) {
    plan.upstream_keys = KeyMapLayer::new(BoxKeyStore::new(key_store_fn(|_: UpstreamKeyId| {
        std::future::pending::<Result<Option<UpstreamKey>, StoreError>>()
    })));
}

fn waiting_upstream(plan: &mut Plan) {
    plan.upstream = Arc::new(|_| std::future::pending().boxed());
}

fn stalled() -> Request<Body> {
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"{")))]);
    let mut request = call(&reader(), "get_note");
    *request.body_mut() = StreamBody::new(first.chain(stream::pending())).boxed_unsync();
    request
}

#[tokio::test]
async fn rule_09_whoever_goes_away_is_recorded_wherever_the_request_was() {
    let call = || call(&reader(), "get_note");
    let known = |user| unanswered("ok", user, "POST", "", "");
    let read = unanswered("ok", "alice", "tools/call", "get_note", "read:data");
    let rows: [(&str, Change, Request<Body>, Told); 6] = [
        (
            "while the key is looked for",
            waiting_keys,
            call(),
            known(""),
        ),
        (
            "while the store is asked",
            waiting_revocation,
            call(),
            known("alice"),
        ),
        ("while the body comes in", |_| {}, stalled(), known("alice")),
        (
            "while the upstream's key is looked for",
            waiting_upstream_keys,
            call(),
            read.clone(),
        ),
        ("while the upstream works", waiting_upstream, call(), read),
        (
            "while the upstream waits for an event",
            waiting_upstream,
            request("GET", &reader(), ""),
            unanswered("ok", "alice", "GET", "", "read:data"),
        ),
    ];
    for (what, change, request, expected) in rows {
        let house = House::with(change);
        let mut service = house.service.clone();
        let mut future = service.ready().await.unwrap().call(request);
        for _ in 0..3 {
            assert!(matches!(poll!(&mut future), Poll::Pending), "{what}");
        }
        assert!(house.audit.events().is_empty(), "{what}");
        drop(future);
        let event = only(&house);
        assert_eq!(told(&event), expected, "{what}");
        assert_eq!(event.upstream().is_some(), was_asked(&house), "{what}");
    }
    // Handed in, and never waited for.
    let house = House::new();
    let mut service = house.service.clone();
    drop(service.ready().await.unwrap().call(call()));
    assert!(only(&house).is_cancelled());
}

/// Whether the request reached the service behind.
fn was_asked(house: &House) -> bool {
    !house.seen().is_empty()
}

fn panicking_upstream(plan: &mut Plan) {
    plan.upstream = Arc::new(|_| {
        async {
            tokio::task::yield_now().await;
            panic!("upstream")
        }
        .boxed()
    });
}

fn panicking_at_once(plan: &mut Plan) {
    plan.policy = Arc::new(policy_fn(|access| {
        assert_ne!(access.operation.method(), "tools/call", "policy");
        mcp_auth::Decision::allow()
    }));
}

fn panicking_at_the_answer(plan: &mut Plan) {
    panicking_at_once(plan);
    let list = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"get_note"}]}}"#;
    plan.upstream = answering(move |_| {
        let response = Response::builder().header("content-type", "application/json");
        response.body(Full::from(list).boxed()).unwrap()
    });
}

fn panicking_reject(plan: &mut Plan) {
    plan.reject = Arc::new(reject_fn(|rejection: &Rejection| panic!("{rejection}")));
}

fn panicking_keys(plan: &mut Plan) {
    plan.keys = BoxKeyStore::new(key_store_fn(|_: VerificationKeyId| {
        async {
            tokio::task::yield_now().await;
            panic!("keys")
        }
        .map(
            |never: std::convert::Infallible| -> Result<Option<VerificationKey>, StoreError> {
                match never {}
            },
        )
    }));
}

#[tokio::test]
async fn rule_09_a_panic_is_recorded_as_a_fault_of_ours_however_it_is_caught() {
    let read = |required| unanswered("internal", "alice", "tools/call", "get_note", required);
    let unread = || unanswered("internal", "", "POST", "", "");
    let note = || call(&reader(), "get_note");
    let list = || {
        let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
        post(&reader(), list)
    };
    let bad = || call("canary", "get_note");
    type Ask = fn() -> Request<Body>;
    let rows: [(&str, Change, Ask, Told); 5] = [
        ("the upstream", panicking_upstream, note, read("read:data")),
        ("the policy", panicking_at_once, note, read("")),
        (
            "the policy, asked of a list",
            panicking_at_the_answer,
            list,
            unanswered("internal", "alice", "tools/list", "", ""),
        ),
        ("the body of a refusal", panicking_reject, bad, unread()),
        ("the keys", panicking_keys, note, unread()),
    ];
    for (what, change, ask, expected) in rows {
        // By the task.
        let house = House::with(change);
        let task = tokio::spawn(house.service.clone().oneshot(ask()));
        assert!(task.await.unwrap_err().is_panic(), "{what}");
        let event = only(&house);
        assert_eq!(told(&event), expected, "{what}: in a task");
        assert_eq!(event.upstream().is_some(), was_asked(&house), "{what}");

        // By a layer outside, which drops the future only later.
        let house = House::with(change);
        let future = house.service.clone().oneshot(ask());
        let caught = AssertUnwindSafe(future).catch_unwind().await;
        assert!(caught.is_err(), "{what}");
        assert_eq!(told(&only(&house)), expected, "{what}: caught");
    }
}

#[tokio::test]
async fn rule_09_an_event_is_there_when_the_head_is_and_no_second_one_follows() {
    let house = House::with(|plan| {
        plan.upstream = answering(|_| Response::new(Full::from("upstream").boxed()));
    });
    let response = house
        .service
        .clone()
        .oneshot(call(&reader(), "get_note"))
        .await;
    assert_eq!(house.audit.events().len(), 1);
    let body = response.unwrap().into_body();
    drop(body);
    assert_eq!(house.audit.events().len(), 1);
    // Many at once: one each.
    let calls = (0..100).map(|n| {
        let token = if n % 2 == 0 { reader() } else { String::new() };
        house.service.clone().oneshot(call(&token, "get_note"))
    });
    futures_util::future::join_all(calls).await;
    let events = house.audit.events();
    let passed = events.iter().filter(|it| it.decision().as_str() == "allow");
    assert_eq!((passed.count(), events.len()), (51, 101));
}

#[tokio::test]
async fn rule_09_an_answer_that_does_not_pass_is_one_event_and_no_stream() {
    let get = || request("GET", &reader(), "");
    let list = || {
        post(
            &reader(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#,
        )
    };
    let rows: [(&str, u16, &str, &str, Request<Body>); 5] = [
        (
            "a stream that asks for a key",
            401,
            "text/event-stream",
            "identity",
            get(),
        ),
        (
            "a stream that is encoded",
            200,
            "text/event-stream",
            "gzip",
            get(),
        ),
        (
            "a list that is encoded",
            200,
            "application/json",
            "gzip",
            list(),
        ),
        ("a list of another type", 200, "text/plain", "", list()),
        ("an upgrade", 101, "text/event-stream", "", get()),
    ];
    for (what, status, media_type, encoding, request) in rows {
        let house = House::with(|plan| {
            plan.upstream = answering(move |_| {
                let response = Response::builder()
                    .status(status)
                    .header("content-type", media_type)
                    .header("content-encoding", encoding);
                response.body(Full::from("data: 1\n\n").boxed()).unwrap()
            });
        });
        let answer = house.send(what, request).await;
        assert_eq!(answer.status, 502, "{what}");
        let event = only(&house);
        assert_eq!(event.reason().as_str(), "upstream_error", "{what}");
        assert!(event.upstream().is_some(), "{what}");
    }
}
