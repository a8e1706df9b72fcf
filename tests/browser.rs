//! Pages in a real browser: one of an allowed origin works with the gateway, all others cannot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../examples/gateway/notes.rs"]
#[allow(dead_code, unreachable_pub)]
mod notes;
mod support;

use std::{collections::BTreeMap, io::ErrorKind, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Response;
use http_body_util::{BodyExt, Full};
use mcp_auth::testing::TestIssuer;
use serde_json::{Value, json};
use tokio::process::Command;

use support::{eventually, gateway::Gateway, json_lines, upstream::Upstream};

const POLICY: &str = r#"{"base": ["read:data"], "tools": {"get_*": [], "put_*": ["write:data"]}}"#;

/// What a page tries, one after the other, and what it could read of each answer.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><pre id="seen"></pre><script>
const { gateway, token } = SETTINGS;
const post = (method, params, token) => fetch(gateway + "/mcp", {
  method: "POST",
  headers: {
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2025-11-25",
  },
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
});
const tries = {
  list: async () => {
    const { result } = await (await post("tools/list", {}, token)).json();
    return result.tools.some((tool) => tool.name == "get_note");
  },
  call: async () => {
    const params = { name: "get_note", arguments: { name: "welcome" } };
    return (await (await post("tools/call", params, token)).json()).result.content[0].text;
  },
  challenge: async () => {
    const response = await post("tools/list", {});
    return [response.status, response.headers.get("WWW-Authenticate")];
  },
  step_up: async () => {
    const params = { name: "put_note", arguments: { name: "a", text: "b" } };
    const response = await post("tools/call", params, token);
    return [response.status, response.headers.get("WWW-Authenticate")];
  },
  simple: async () => (await fetch(gateway + "/mcp")).status,
  metadata: async () =>
    (await (await fetch(gateway + "/.well-known/oauth-protected-resource/mcp")).json()).resource,
};
(async () => {
  const seen = {};
  for (const [name, attempt] of Object.entries(tries)) {
    seen[name] = await attempt().catch((error) => error.name);
  }
  document.getElementById("seen").textContent = btoa(JSON.stringify(seen));
})();
</script>"#;

/// Opens a page and gives what it saw. Every name but the pages' own leads nowhere.
async fn seen_by(page: &str) -> Value {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .arg("--disable-dev-shm-usage")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(
            "--host-resolver-rules=MAP app.example 127.0.0.1, MAP evil.example 127.0.0.1, \
             MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        )
        .args(["--virtual-time-budget=20000", "--dump-dom", page])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the browser does not end");
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("chromium is missing: install the package chromium")
        }
        output => output.unwrap(),
    };
    let dom = String::from_utf8(output.stdout).unwrap();
    let seen = dom
        .split_once(r#"<pre id="seen">"#)
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(seen, _)| STANDARD.decode(seen).unwrap())
        .unwrap_or_default();
    serde_json::from_slice(&seen).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("the page saw nothing: {dom}\n{said}")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_works_with_the_gateway_and_no_other_can() {
    let names = BTreeMap::from([("internal-key".to_owned(), "ro".to_owned())]);
    let upstream = Upstream::of_service(notes::Notes::new(names).into_service()).await;
    let issuer = TestIssuer::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (policy, audit) = (path("policy.json"), path("audit.jsonl"));
    std::fs::write(&policy, POLICY).unwrap();

    // The pages' server; the gateway learns its origin, and the pages the gateway's.
    let (tell, told) = tokio::sync::watch::channel(String::new());
    let pages = Upstream::start(move |_| {
        let page = told.borrow().clone();
        async move {
            Response::builder()
                .header("content-type", "text/html")
                .body(Full::from(page).boxed())
                .unwrap()
        }
    })
    .await;
    let (app, evil) = ("app.example", "evil.example");
    let [app, evil] = [app, evil].map(|host| format!("http://{host}:{}", pages.addr.port()));

    let (upstream_url, issuer_url) = (upstream.url(), issuer.url().to_owned());
    let mut flags = vec!["--upstream", &upstream_url, "--issuer", &issuer_url];
    flags.extend(["--audience", "litellm-mcp", "--allow-origin", &app]);
    flags.extend(["--policy", policy.to_str().unwrap()]);
    flags.extend(["--audit-log", audit.to_str().unwrap()]);
    let keys = [("MCP_PROXY_KEY_MAP", r#"{"alice":"internal-key"}"#)];
    let gateway = Gateway::start(flags, keys).await;
    let claims = issuer.claims().subject("alice").audience("litellm-mcp");
    let settings = json!({
        "gateway": gateway.url(""), "token": issuer.token(&claims.scope("read:data")),
    });
    tell.send_replace(PAGE.replace("SETTINGS", &settings.to_string()));
    let metadata = gateway.url("/.well-known/oauth-protected-resource/mcp");
    let resource = gateway.url("/mcp");

    let base = format!(r#"scope="read:data", resource_metadata="{metadata}""#);
    assert_eq!(
        seen_by(&format!("{app}/")).await,
        json!({
            "list": true,
            "call": "Hello from behind the gateway",
            "challenge": [401, format!("Bearer {base}")],
            "step_up": [403, format!(
                r#"Bearer error="insufficient_scope", scope="read:data write:data", resource_metadata="{metadata}""#
            )],
            "simple": 401,
            "metadata": resource,
        })
    );
    let calls = upstream.seen().len();
    assert!(calls > 0);

    assert_eq!(
        seen_by(&format!("{evil}/")).await,
        json!({
            "list": "TypeError", "call": "TypeError", "challenge": "TypeError",
            "step_up": "TypeError", "simple": "TypeError",
            "metadata": resource,
        })
    );
    assert_eq!(upstream.seen().len(), calls);
    // One preflight for each POST, none of which followed, and the simple GET.
    let denied = eventually("the audit lines", || {
        let denied: Vec<_> = json_lines(&audit)
            .into_iter()
            .filter(|line| line["reason"] == "origin_denied")
            .map(|line| line["action"].as_str().unwrap().to_owned())
            .collect();
        (denied.len() >= 5).then_some(denied)
    })
    .await;
    assert_eq!(
        denied,
        ["preflight", "preflight", "preflight", "preflight", "GET"]
    );
}
