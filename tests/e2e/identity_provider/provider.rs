//! `oidc-provider` as a process.

use std::{path::PathBuf, process::Stdio};

use reqwest::{Client, Url};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::support::soon;

/// A provider that runs, and is killed with the test.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Provider {
    /// Starts it and waits until it serves.
    pub(crate) async fn start() -> Self {
        let home = std::env::var_os("IDENTITY_PROVIDER_HOME");
        let home = PathBuf::from(home.expect("run tests/e2e/identity_provider.sh"));
        let mut process = Command::new(home.join("node_modules/node/bin/node"))
            .arg(home.join("server.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut provider = Self {
            issuer: String::new(),
            stdin: process.stdin.take().unwrap(),
            stdout: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        provider.issuer = provider.listens().await;
        provider
    }

    /// Its issuer identifier.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Lets it begin anew, with other keys.
    pub(crate) async fn change_keys(&mut self) {
        self.stdin.write_all(b"\n").await.unwrap();
        let issuer = self.listens().await;
        assert_eq!(issuer, self.issuer);
    }

    /// Where it says that it listens. Whatever else it says is for those who run it in earnest.
    async fn listens(&mut self) -> String {
        loop {
            let line = soon("the provider", self.stdout.next_line()).await.unwrap();
            let line = line.expect("the provider ended");
            if let Some(issuer) = line.strip_prefix("listening on ") {
                return issuer.to_owned();
            }
        }
    }

    /// Its metadata (RFC 8414).
    pub(crate) async fn metadata(&self) -> Value {
        let url = format!("{}/.well-known/oauth-authorization-server", self.issuer);
        get(&url).await
    }

    /// The `kid` of all its keys.
    pub(crate) async fn kids(&self) -> Vec<Value> {
        let metadata = self.metadata().await;
        let keys = get(metadata["jwks_uri"].as_str().unwrap()).await;
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].clone()).collect()
    }

    /// An access token for a resource (RFC 8707), by the client's own credentials; for none, one
    /// that only the provider can read.
    pub(crate) async fn token(&self, client: &str, resource: Option<&str>, scope: &str) -> String {
        let metadata = self.metadata().await;
        let endpoint = metadata["token_endpoint"].as_str().unwrap();
        // A form is written as a query is.
        let mut form = Url::parse(endpoint).unwrap();
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", scope)
            .extend_pairs(resource.map(|resource| ("resource", resource)));
        let asked = Client::new()
            .post(endpoint)
            .basic_auth(client, Some("secret"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap().to_owned());
        let answer = soon("a token", asked.send()).await.unwrap();
        let answer: Value = soon("a token", answer.json()).await.unwrap();
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no token: {answer}")).into()
    }
}

/// A JSON document.
pub(crate) async fn get(url: &str) -> Value {
    let answer = soon(url, reqwest::get(url)).await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    soon(url, answer.json()).await.unwrap()
}
