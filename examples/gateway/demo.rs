//! The demonstration: an issuer, an MCP server with notes, and the whole stack between them, in one
//! process, on this machine only.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    num::NonZeroU32,
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use mcp_auth::{
    Clock, JsonLinesSink, KeyHeader, MemoryRevocationStore, Quota, SystemClock, UnixTime,
    testing::TestIssuer,
};
use tokio::net::TcpListener;

use crate::{
    args::{Allowed, Fault},
    mount::Place,
    notes::{KEY_HEADER, Notes},
    proxy::Proxy,
    setup::Gateway,
    stacks::{KeyText, Rules, Shared},
    stores::Stores,
    upstream::Upstream,
};

const DEMO: &str = "the demonstration";

const LISTEN: &str = "127.0.0.1:8080";

const POLICY: &str = r#"{
    "base": ["notes:read"],
    "hierarchy": {"notes:write": ["notes:read"]},
    "tools": {
        "list_notes": [], "get_*": [], "whoami": [],
        "put_*": ["notes:write"], "delete_*": ["notes:write"]
    }
}"#;

/// The keys of the notes: two strings that open nothing else.
const READ_KEY: &str = "demo-key-that-reads";
const WRITE_KEY: &str = "demo-key-that-writes";

const CALLS_A_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `jti` of the revoked token.
const REVOKED: &str = "revoked";

/// Starts the parts, and prints what there is to try.
pub(crate) async fn open() -> Result<(Gateway, TestIssuer), Fault> {
    let issuer = TestIssuer::start().map_err(wrong)?;
    let listener = match TcpListener::bind(LISTEN).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await.map_err(wrong)?,
    };
    let addr = listener.local_addr().map_err(wrong)?;
    let resource = format!("http://{addr}/mcp");

    let notes = TcpListener::bind("127.0.0.1:0").await.map_err(wrong)?;
    let upstream = format!("http://{}", notes.local_addr().map_err(wrong)?);
    tokio::spawn(serve_notes(notes));

    let revoked = MemoryRevocationStore::new();
    revoked.revoke_token(issuer.url(), REVOKED, UnixTime::MAX);
    let mut shared = Shared::new(
        Stores::in_memory(revoked),
        vec![issuer.url().to_owned()],
        None,
        Allowed {
            loopback: true,
            ..Allowed::default()
        },
        KeyHeader::new(KEY_HEADER).map_err(wrong)?,
    )?;
    shared.limit_calls(Quota::per_minute(CALLS_A_MINUTE));
    let stack = Rules {
        place: Place::MAIN,
        audiences: vec![resource.clone()],
        resource: resource.clone(),
        is_alone: true,
        policy: Some(POLICY.to_owned()),
        keys: Some(KeyText {
            flag: DEMO,
            json: key_map().into(),
        }),
    }
    .into_stack(&shared)?;
    let audit = JsonLinesSink::new(io::stdout()).map_err(wrong)?;
    let proxy = Proxy::new(Upstream::from_url(&upstream).map_err(wrong)?).map_err(wrong)?;

    print_what_to_try(&issuer, &resource).map_err(wrong)?;
    let gateway = Gateway {
        listener,
        service: shared.route(vec![(stack, proxy)], Some(&audit)),
        audit: Some(audit),
        notices: Vec::new(),
    };
    Ok((gateway, issuer))
}

fn wrong(problem: impl fmt::Display) -> Fault {
    Fault::new(DEMO, problem)
}

fn key_map() -> String {
    let read = format!(r#"{{"name":"read-only","key":"{READ_KEY}","scopes":["notes:read"]}}"#);
    let write = format!(r#"{{"name":"read-write","key":"{WRITE_KEY}","scopes":["notes:write"]}}"#);
    format!(r#"{{"reader":[{read}],"writer":[{read},{write}]}}"#)
}

async fn serve_notes(listener: TcpListener) {
    let names = [(READ_KEY, "read-only"), (WRITE_KEY, "read-write")];
    let names = names.map(|(key, name)| (key.to_owned(), name.to_owned()));
    let service = Notes::new(BTreeMap::from(names)).into_service();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Prints tokens, and a line for each outcome with the status that it shows.
fn print_what_to_try(issuer: &TestIssuer, resource: &str) -> io::Result<()> {
    let token = |subject: &str, scope: &str, audience: &str, jti: &str| {
        issuer.token(
            &issuer
                .claims()
                .subject(subject)
                .scope(scope)
                .audience(audience)
                .jwt_id(jti)
                .expires_at(SystemClock.now().saturating_add(A_DAY)),
        )
    };
    let reader = token("reader", "notes:read", resource, "1");
    let writer = token("writer", "notes:read notes:write", resource, "2");
    let stranger = token("stranger", "notes:read", resource, "3");
    let elsewhere = token("reader", "notes:read", "https://elsewhere.example/mcp", "4");
    let revoked = token("reader", "notes:read", resource, REVOKED);
    let metadata = resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");

    let curl = |rest: &str| format!("curl -sS -i -m 5 {rest}");
    let post = |token: &str, message: &str| {
        curl(&format!(
            "{resource} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream' -d '{message}'"
        ))
    };
    let call = |token: &str, tool: &str, arguments: &str| {
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        post(
            token,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#),
        )
    };
    let welcome = r#"{"name":"welcome"}"#;
    let note = r#"{"name":"mine","text":"Written through the gateway"}"#;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let unfinished = r#"{"jsonrpc":"2.0","id":1"#;

    let mut out = io::stdout().lock();
    for (whose, token) in [("reader", &reader), ("writer", &writer)] {
        writeln!(out, "The token of a {whose}:\n{token}\n")?;
    }
    writeln!(out, "A revoked token:\n{revoked}\n")?;
    for (what, line, status) in [
        ("Where do tokens come from?", curl(&metadata), 200),
        ("Without a token", curl(resource), 401),
        ("Which tools are there?", post(&reader, list), 200),
        ("A reader reads", call(&reader, "get_note", welcome), 200),
        (
            "A reader may not write",
            call(&reader, "put_note", note),
            403,
        ),
        ("A writer writes", call(&writer, "put_note", note), 200),
        (
            "With which internal key?",
            call(&writer, "whoami", "{}"),
            200,
        ),
        (
            "A tool that no rule names",
            call(&writer, "format_disk", "{}"),
            403,
        ),
        (
            "A caller without a key",
            call(&stranger, "whoami", "{}"),
            403,
        ),
        ("A revoked token", call(&revoked, "get_note", welcome), 401),
        (
            "A token for another server",
            call(&elsewhere, "get_note", welcome),
            401,
        ),
        ("Half a message", post(&reader, unfinished), 400),
    ] {
        writeln!(out, "# {what}\n{line}  # {status}\n")?;
    }
    let many = call(&writer, "whoami", "{}")
        .replace("curl -sS -i", "curl -s -o /dev/null -w '%{http_code}\\n'");
    writeln!(
        out,
        "# More than {CALLS_A_MINUTE} calls in a minute: 429 in the end"
    )?;
    writeln!(
        out,
        "for i in $(seq 70); do {many}; done | sort | uniq -c\n"
    )?;
    writeln!(out, "What happens, one audit event a line:")?;
    out.flush()
}
