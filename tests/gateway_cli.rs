//! The command line: whatever is wrong is said in one line that names the flag, and nothing starts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::{
    fs::{self, File},
    net::TcpStream,
    process::Command,
    thread,
};

use support::{
    eventually,
    gateway::{Gateway, command, refused, run},
    redis::free_port,
    soon,
};
use tokio::sync::oneshot;

/// Flags that are right: each case adds to them or leaves one out.
const RIGHT: [(&str, &str); 3] = [
    ("--upstream", "http://127.0.0.1:9"),
    ("--issuer", "http://127.0.0.1:9"),
    ("--audience", "litellm-mcp"),
];

fn right_but(left_out: &str) -> Vec<&'static str> {
    RIGHT
        .into_iter()
        .filter(|(flag, _)| *flag != left_out)
        .flat_map(|(flag, value)| [flag, value])
        .collect()
}

#[tokio::test]
async fn what_is_required_is_named() {
    for flag in ["--upstream", "--issuer", "--audience"] {
        let mut flags = right_but(flag);
        flags.push("--no-key-map");
        refused(flag, &flags, &[]).await;
    }
    let said = refused("--upstream", &right_but("--upstream"), &[]).await;
    assert!(said.contains("--mount"), "{said}");
    refused("--key-map-file", &right_but(""), &[]).await;
    refused("--bogus", &["--bogus"], &[]).await;
    refused("--rate-limit", &["--rate-limit"], &[]).await;
}

#[tokio::test]
async fn wrong_values_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let missing = directory.path().join("missing").join("file");
    let missing = missing.to_str().unwrap();
    let dir = directory.path().to_str().unwrap();
    let no_json = file("no.json", "{");
    let unknown_field = file("unknown.json", r#"{"toools":{}}"#);
    let cycle = file("cycle.json", r#"{"hierarchy":{"a":["b"],"b":["a"]}}"#);
    let wrong_scope = file("scope.json", r#"{"base":["a b"]}"#);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();

    for (flag, value) in [
        ("--listen", "8080"),
        ("--listen", "127.0.0.1:99999"),
        ("--listen", "localhost"),
        ("--listen", "0.0.0.0:0"),
        ("--listen", "[::]:0"),
        ("--listen", &taken),
        ("--upstream", ""),
        ("--upstream", "127.0.0.1:8000"),
        ("--upstream", "ftp://127.0.0.1"),
        ("--upstream", "http://user:pass@127.0.0.1"),
        ("--upstream", "http://127.0.0.1/?q"),
        ("--upstream", "http://127.0.0.1:99999"),
        ("--issuer", "idp"),
        ("--issuer", "http://idp.example.com"),
        ("--jwks-uri", "jwks"),
        ("--jwks-uri", "http://idp.example.com/jwks"),
        ("--audience", ""),
        ("--resource", "mcp"),
        ("--resource", "https://mcp.example.com/mcp/"),
        ("--resource", "https://mcp.example.com/mcp#f"),
        ("--allow-origin", ""),
        ("--allow-origin", "*"),
        ("--allow-origin", "null"),
        ("--allow-origin", "app.example.com"),
        ("--allow-origin", "https://app.example.com/"),
        ("--allow-host", ""),
        ("--allow-host", "*"),
        ("--allow-host", "https://mcp.internal"),
        ("--allow-host", "mcp.internal:"),
        ("--policy", missing),
        ("--policy", dir),
        ("--policy", &no_json),
        ("--policy", &unknown_field),
        ("--policy", &cycle),
        ("--policy", &wrong_scope),
        ("--key-header", ""),
        ("--key-header", "a b"),
        ("--key-header", "x-api-key: no place"),
        ("--key-header", "x-api-key: {key}{key}"),
        // The gateway removes them, on whichever side of the key.
        ("--key-header", "x-forwarded-access-token"),
        ("--key-header", "x_forwarded_user"),
        ("--key-header", "X-Real-IP"),
        ("--key-header", "forwarded"),
        ("--key-header", "proxy-authorization: Bearer {key}"),
        ("--key-header", "te: {key}"),
        ("--key-header", "connection"),
        ("--key-header", "keep-alive"),
        ("--key-header", "transfer-encoding"),
        ("--key-header", "content-length"),
        ("--key-header", "host"),
        ("--key-header", "origin"),
        ("--key-header", "accept-encoding"),
        // It adds a value of its own.
        ("--key-header", "via"),
        // The message is read by them.
        ("--key-header", "content-type"),
        ("--key-header", "Accept"),
        ("--key-header", "mcp-session-id"),
        ("--key-header", "mcp_session_id"),
        ("--key-header", "mcp-protocol-version"),
        ("--key-header", "mcp-param-region"),
        ("--key-header", "last-event-id"),
        ("--rate-limit", ""),
        ("--rate-limit", "60"),
        ("--rate-limit", "0/min"),
        ("--rate-limit", "-1/min"),
        ("--rate-limit", "60/day"),
        ("--revocation-file", missing),
        ("--revocation-file", dir),
        ("--audit-log", missing),
        ("--audit-log", dir),
    ] {
        let mut flags = right_but(flag);
        flags.push("--no-key-map");
        if flag != "--listen" {
            flags.extend(["--listen", "127.0.0.1:0"]);
        }
        let wrong = format!("{flag}={value}");
        flags.push(&wrong);
        refused(flag, &flags, &[]).await;

        // The twin is judged like the flag.
        let twin = format!(
            "MCP_PROXY_{}",
            flag.trim_start_matches('-')
                .to_uppercase()
                .replace('-', "_")
        );
        flags.pop();
        refused(flag, &flags, &[(&twin, value)]).await;
    }
}

#[tokio::test]
async fn flags_that_do_not_go_together_are_named() {
    let mut two = right_but("");
    two.extend(["--no-key-map", "--issuer", "http://127.0.0.1:10"]);
    two.extend(["--jwks-uri", "http://127.0.0.1:9/jwks"]);
    refused("--jwks-uri", &two, &[]).await;

    let map = [("MCP_PROXY_KEY_MAP", r#"{"alice":"secret-of-alice"}"#)];
    let mut both = right_but("");
    both.extend(["--key-map-file", "/dev/null"]);
    refused("--key-map-file", &both, &map).await;
    let mut none = right_but("");
    none.push("--no-key-map");
    refused("--no-key-map", &none, &map).await;
    none.extend(["--key-map-file", "/dev/null"]);
    refused("--no-key-map", &none, &[]).await;
}

#[tokio::test]
async fn a_wrong_key_map_is_named_and_its_keys_are_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    for wrong in [
        "",
        "secret-of-alice",
        r#"{"alice":"secret-of-alice""#,
        r#"{"alice":"secret-of-alice","alice":"secret-of-alice"}"#,
        r#"{"alice":{"key":"secret-of-alice","scope":[]}}"#,
        r#"{"alice":{"key":"secret-of-alice\n"}}"#,
        r#"{"alice":{"kee":"secret-of-alice"}}"#,
        r#"{"alice":["secret-of-alice"]}"#,
        r#"{"alice":""}"#,
        r#"{"alice":7}"#,
        r#"[{"match":{},"keys":["secret-of-alice"]}]"#,
    ] {
        let said = refused(
            "MCP_PROXY_KEY_MAP",
            &right_but(""),
            &[("MCP_PROXY_KEY_MAP", wrong)],
        )
        .await;
        assert!(!said.contains("secret-of-alice"), "{said}");

        let path = directory.path().join("map.json");
        fs::write(&path, wrong).unwrap();
        let mut flags = right_but("");
        flags.extend(["--key-map-file", path.to_str().unwrap()]);
        let said = refused("--key-map-file", &flags, &[]).await;
        assert!(!said.contains("secret-of-alice"), "{said}");
    }
    let mut flags = right_but("");
    flags.extend(["--key-map-file", "/nowhere/map.json"]);
    refused("--key-map-file", &flags, &[]).await;
}

/// The variables for the map and for the file that holds it have nearly one name.
#[tokio::test]
async fn a_key_map_in_the_place_of_its_file_is_named_and_not_shown() {
    let one = r#"{"alice":"secret-of-alice"}"#;
    let two = r#" {"alice":"secret-of-alice","bob":"secret-of-bob"}"#;
    let rules = r#"[{"match":{"sub":"alice"},"keys":[{"key":"secret-of-alice"}]}]"#;
    for map in [one, two, rules] {
        let mut flags = right_but("");
        flags.extend(["--key-map-file", map]);
        let said = refused("--key-map-file", &flags, &[]).await;
        assert!(said.contains("MCP_PROXY_KEY_MAP"), "{said}");
        assert!(!said.contains("secret"), "{said}");

        let twin = [("MCP_PROXY_KEY_MAP_FILE", map)];
        let said = refused("--key-map-file", &right_but(""), &twin).await;
        assert!(!said.contains("secret"), "{said}");

        let mount = format!("/a=http://127.0.0.1:9,audience=a,key-map={map}");
        let mut flags = right_but("");
        flags.extend(["--no-key-map", "--mount", &mount]);
        let said = refused("--mount: /a: key-map", &flags, &[]).await;
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn what_may_be_a_key_is_not_shown() {
    for wrong in ["authorization: Bearer secret-key", "Bearer secret-key"] {
        let mut flags = right_but("");
        flags.extend(["--no-key-map", "--key-header", wrong]);
        let said = refused("--key-header", &flags, &[]).await;
        assert!(!said.contains("secret-key"), "{said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_redis_url_that_is_no_text_is_named_and_not_shown() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let wrong = OsStr::from_bytes(b"redis://:secret-\xff@127.0.0.1:1");
    for first in [&[][..], &["revoke", "--jti", "1"]] {
        for in_environment in [false, true] {
            let mut command = command();
            command.args(first).args(["--issuer", "http://127.0.0.1:9"]);
            if first.is_empty() {
                command.args(right_but("--issuer")).arg("--no-key-map");
            }
            if in_environment {
                command.env("MCP_PROXY_REDIS_URL", wrong);
            } else {
                command.arg("--redis-url").arg(wrong);
            }
            let output = soon("the end", command.output()).await.unwrap();
            assert_eq!(output.status.code(), Some(2));
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said, "--redis-url <URL>: is not UTF-8\n");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_value_that_is_no_text_is_named() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let no_text = OsStr::from_bytes(b"a\xffb");
    for flag in [
        "--listen",
        "--upstream",
        "--mount",
        "--issuer",
        "--jwks-uri",
        "--audience",
        "--resource",
        "--allow-origin",
        "--allow-host",
        "--key-header",
        "--rate-limit",
        "--revocation-on-error",
        "--no-key-map",
    ] {
        for in_environment in [false, true] {
            let mut command = command();
            command.args(right_but(flag));
            if in_environment {
                let twin = flag.trim_start_matches('-').replace('-', "_");
                command.env(format!("MCP_PROXY_{}", twin.to_uppercase()), no_text);
            } else if flag == "--no-key-map" {
                continue;
            } else {
                command.arg(flag).arg(no_text);
            }
            let output = soon("the end", command.output()).await.unwrap();
            assert_eq!(output.status.code(), Some(2), "{flag}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.starts_with(flag), "{flag}: {said}");
            assert!(said.ends_with(": is not UTF-8\n"), "{flag}: {said}");
            assert_eq!(said.matches('\n').count(), 1, "{flag}: {said}");
        }
    }
}

#[tokio::test]
async fn yes_and_no_have_many_words() {
    let mut flags = right_but("");
    flags.extend(["--listen", "127.0.0.1:0"]);
    for yes in ["1", "true", "yes", "ON"] {
        let gateway = Gateway::start(right_but(""), [("MCP_PROXY_NO_KEY_MAP", yes)]).await;
        drop(gateway);
    }
    for no in ["0", "false", "no", "off"] {
        let said = refused("--key-map-file", &flags, &[("MCP_PROXY_NO_KEY_MAP", no)]).await;
        assert!(said.contains("is needed"), "{said}");
    }
    for neither in ["", "maybe"] {
        refused("--no-key-map", &flags, &[("MCP_PROXY_NO_KEY_MAP", neither)]).await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mut flags = right_but("");
    flags.extend(["--listen", &taken, "--no-key-map"]);
    let said = refused("--listen", &flags, &[]).await;
    assert!(said.starts_with(&format!("--listen: {taken}: ")), "{said}");
}

#[tokio::test]
async fn a_machine_without_certificates_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let none = [
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", directory.path().to_str().unwrap()),
    ];
    let mut flags = right_but("");
    flags.extend(["--listen", "127.0.0.1:0", "--no-key-map"]);
    let said = refused("--issuer", &flags, &none).await;
    assert!(said.contains("No CA certificates"), "{said}");
}

#[tokio::test]
async fn nothing_is_made_when_a_flag_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (revoked, audit) = (path("revoked.jsonl"), path("audit.jsonl"));
    let mut flags = right_but("");
    flags.extend(["--revocation-file", &revoked, "--audit-log", &audit]);
    flags.extend(["--listen", "127.0.0.1:0", "--no-key-map"]);
    flags.extend(["--policy", "/nowhere/policy.json"]);
    refused("--policy", &flags, &[]).await;
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A process before this one ended in the midst of a line: the disk was full, or it was killed.
#[tokio::test]
async fn the_first_event_does_not_end_the_torn_line_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    for (before, expected) in [
        ("", &[""][..]),
        ("{\"v\":1}\n", &["{\"v\":1}", ""]),
        (
            "{\"v\":1}\n{\"v\":1,\"ti",
            &["{\"v\":1}", "{\"v\":1,\"ti", ""],
        ),
    ] {
        let audit = directory.path().join(before.len().to_string());
        fs::write(&audit, before).unwrap();
        let mut flags = right_but("");
        flags.extend(["--no-key-map", "--audit-log", audit.to_str().unwrap()]);
        let mut gateway = Gateway::start(flags, []).await;
        let response = reqwest::get(gateway.url("/mcp")).await.unwrap();
        assert_eq!(response.status(), 401);
        gateway.signal("TERM").await;
        assert_eq!(gateway.ended().await.code(), Some(0));
        let text = fs::read_to_string(&audit).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let (event, others) = lines.split_last().unwrap();
        assert_eq!(others, &expected[..expected.len() - 1], "{text}");
        let event: serde_json::Value = serde_json::from_str(event).expect(&text);
        assert_eq!(event["reason"], "no_token");
    }
}

#[tokio::test]
async fn a_flag_beats_its_twin() {
    let mut flags = right_but("");
    flags.extend(["--no-key-map", "--rate-limit", "1/s"]);
    let gateway = Gateway::start(flags, [("MCP_PROXY_RATE_LIMIT", "wrong")]).await;
    let response = reqwest::get(gateway.url("/mcp")).await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn the_environment_alone_is_enough() {
    let mut command = command();
    command.envs([
        ("MCP_PROXY_LISTEN", "127.0.0.1:0"),
        ("MCP_PROXY_UPSTREAM", "http://127.0.0.1:9"),
        ("MCP_PROXY_ISSUER", "http://127.0.0.1:9"),
        ("MCP_PROXY_AUDIENCE", "litellm-mcp"),
        ("MCP_PROXY_KEY_MAP", r#"{"alice":"secret-of-alice"}"#),
    ]);
    let gateway = Gateway::run(command).await;
    let response = reqwest::get(gateway.url("/mcp")).await.unwrap();
    assert_eq!(response.status(), 401);
    // The audience is no URL, so the resource is where it listens.
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    let document = gateway.url("/.well-known/oauth-protected-resource/mcp");
    assert!(
        challenge.contains(&format!("resource_metadata=\"{document}\"")),
        "{challenge}"
    );
    let said = gateway.stderr().all();
    assert_eq!(
        said.iter().filter(|line| line.contains("policy")).count(),
        1,
        "{said:?}"
    );
    assert!(!said.iter().any(|line| line.contains("secret")), "{said:?}");
}

#[tokio::test]
async fn an_audience_that_is_a_url_is_the_resource() {
    let mut flags = right_but("--audience");
    flags.extend(["--no-key-map", "--audience", "https://mcp.example.com/mcp"]);
    let gateway = Gateway::start(flags, []).await;
    let document: serde_json::Value =
        reqwest::get(gateway.url("/.well-known/oauth-protected-resource/mcp"))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
    assert_eq!(document["resource"], "https://mcp.example.com/mcp");
    assert_eq!(
        document["authorization_servers"],
        serde_json::json!(["http://127.0.0.1:9"])
    );
}

#[tokio::test]
async fn help_and_version_are_no_faults() {
    for (flag, expected) in [("--help", "--upstream"), ("--version", "gateway ")] {
        let output = run(&[flag], &[]).await;
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected));
        assert!(output.stderr.is_empty());
    }
}

#[tokio::test]
async fn the_help_shows_no_value_of_the_environment() {
    // Each may hold a secret, and is judged nowhere yet.
    let variables = [
        ("MCP_PROXY_UPSTREAM", "http://user:secret@127.0.0.1"),
        (
            "MCP_PROXY_JWKS_URI",
            "https://idp.example.com/jwks?key=secret",
        ),
        ("MCP_PROXY_KEY_HEADER", "authorization: Bearer secret"),
        ("MCP_PROXY_MOUNT", "/a=http://user:secret@127.0.0.1"),
        ("MCP_PROXY_ISSUER", "https://user:secret@idp.example.com"),
        ("MCP_PROXY_REDIS_URL", "redis://:secret@127.0.0.1"),
    ];
    for flags in [&["--help"][..], &["-h"], &["revoke", "--help"]] {
        let output = run(flags, &variables).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("[env: MCP_PROXY_ISSUER]"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// A pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[tokio::test]
async fn nobody_has_to_hear_it() {
    for (flags, expected) in [(&["--bogus"][..], 2), (&["--help"], 0)] {
        let mut command = command();
        command.args(flags).stdout(unread()).stderr(unread());
        let status = soon("the end", command.status()).await.unwrap();
        assert_eq!(status.code(), Some(expected), "{flags:?}");
    }

    // It cannot say where it listens.
    let addr = format!("127.0.0.1:{}", free_port());
    let mut command = command();
    command
        .args(right_but(""))
        .args(["--no-key-map", "--listen", &addr])
        .stderr(unread());
    let _process = command.spawn().unwrap();
    eventually("the listener", || TcpStream::connect(&addr).ok()).await;
    let response = soon("an answer", reqwest::get(format!("http://{addr}/mcp"))).await;
    assert_eq!(response.unwrap().status(), 401);
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_while_it_waits_for_a_file() {
    use std::os::unix::process::ExitStatusExt;

    let directory = tempfile::tempdir().unwrap();
    for (name, flag) in [("policy", "--policy"), ("keys", "--key-map-file")] {
        let pipe = directory.path().join(name);
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut command = command();
        command
            .args(right_but(""))
            .args(["--listen", "127.0.0.1:0", flag])
            .arg(&pipe);
        if flag == "--policy" {
            command.arg("--no-key-map");
        }
        let mut process = command.spawn().unwrap();
        // It can be opened for writing once the gateway opens it. Nothing is ever written to it.
        let (opens, opened) = oneshot::channel();
        thread::spawn(move || opens.send(File::options().write(true).open(&pipe)));
        let _writer = soon("the gateway at the pipe", opened).await.unwrap();

        let pid = process.id().unwrap().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(told.unwrap().success());
        let status = soon("the end", process.wait()).await.unwrap();
        assert_eq!(status.signal(), Some(15), "{flag}: {status}");
    }
}
