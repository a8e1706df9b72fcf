//! The gateway as a process of its own, between an MCP server and the identity provider.

use std::path::PathBuf;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    provider::Provider,
    support::{
        eventually,
        gateway::Gateway,
        json_lines, soon,
        upstream::{Recorded, Upstream, json as json_answer},
    },
};

/// What the gateway stands for. The provider knows it under this name.
pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
const POLICY: &str = r#"{
    "base": ["read:data"],
    "tools": {"get_*": [], "put_*": ["write:data"]}
}"#;

/// The gateway, and what stands behind it.
#[derive(Debug)]
pub(crate) struct Gated {
    gateway: Gateway,
    upstream: Upstream,
    audit_log: PathBuf,
    _directory: TempDir,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    /// Of the audit line: client, issuer, action, tool, decision, reason and status.
    pub(crate) audited: Value,
    /// What the upstream saw of it.
    pub(crate) forwarded: Vec<Recorded>,
}

impl Gated {
    /// Starts it. Of the provider it is told nothing but the issuer identifier.
    pub(crate) async fn start(provider: &Provider) -> Self {
        let upstream = Upstream::start(|_| async {
            json_answer(r#"{"jsonrpc": "2.0", "id": 7, "result": {"content": []}}"#)
        })
        .await;
        let directory = tempfile::tempdir().unwrap();
        let policy = directory.path().join("policy.json");
        std::fs::write(&policy, POLICY).unwrap();
        let audit_log = directory.path().join("audit.jsonl");
        let gateway = Gateway::start(
            [
                ["--upstream", &upstream.url()],
                ["--issuer", provider.issuer()],
                ["--audience", RESOURCE],
                ["--policy", policy.to_str().unwrap()],
                ["--audit-log", audit_log.to_str().unwrap()],
            ]
            .into_iter()
            .flatten()
            .chain(["--no-key-map"]),
            [],
        )
        .await;
        Self {
            gateway,
            upstream,
            audit_log,
            _directory: directory,
        }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        self.gateway.url(path)
    }

    /// Calls a tool, and waits for the audit line of it.
    pub(crate) async fn call(&self, token: Option<&str>, tool: &str) -> Answer {
        let seen = self.upstream.seen().len();
        let audited = json_lines(&self.audit_log).len();
        let message = json!({
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": tool, "arguments": {}},
        });
        let mut request = Client::new()
            .post(self.url("/mcp"))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = soon("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        soon("the end of an answer", response.bytes())
            .await
            .unwrap();
        let line = eventually("the audit line", || {
            let mut lines = json_lines(&self.audit_log).into_iter();
            lines.nth(audited)
        })
        .await;
        Answer {
            status,
            challenge: headers
                .get("www-authenticate")
                .map(|value| value.to_str().unwrap().to_owned()),
            audited: json!([
                line["client_id"],
                line["issuer"],
                line["action"],
                line["tool"],
                line["decision"],
                line["reason"],
                line["status"]
            ]),
            forwarded: self.upstream.seen().split_off(seen),
        }
    }
}
