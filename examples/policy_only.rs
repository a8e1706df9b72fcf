//! Tests of a policy, with no HTTP, no runtime and no keys: what security engineers run on every
//! change of a policy file.
//!
//! ```sh
//! cargo run --example policy_only
//! ```

use mcp_auth::{
    Access, Claims, Decision, McpRequest, Policy, ScopePolicy, Target, UnixTime, VerifiedToken,
    policy_fn,
};

const POLICY: &str = r#"{
    "base": ["read:data"],
    "hierarchy": {"admin": ["write:data"], "write:data": ["read:data"]},
    "tools": {"get_*": ["read:data"], "put_*": ["write:data"], "drop_table": ["admin"]},
    "resources": {"file:///public/*": ["read:data"]}
}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = UnixTime::from_secs(1_900_000_000);
    let policy = ScopePolicy::from_json(POLICY)?;

    // Who may do what: scopes held, what is asked for, and how it must end.
    for (held, method, params, expected) in [
        ("read:data", "tools/call", r#"{"name":"get_note"}"#, "allow"),
        (
            "read:data",
            "tools/call",
            r#"{"name":"put_note"}"#,
            "insufficient_scope",
        ),
        (
            "write:data",
            "tools/call",
            r#"{"name":"put_note"}"#,
            "allow",
        ),
        (
            "write:data",
            "tools/call",
            r#"{"name":"drop_table"}"#,
            "insufficient_scope",
        ),
        ("admin", "tools/call", r#"{"name":"drop_table"}"#, "allow"),
        (
            "admin",
            "tools/call",
            r#"{"name":"not_in_the_file"}"#,
            "denied",
        ),
        (
            "read:data",
            "resources/read",
            r#"{"uri":"file:///public/a.txt"}"#,
            "allow",
        ),
        (
            "admin",
            "resources/read",
            r#"{"uri":"file:///public/../etc/passwd"}"#,
            "denied",
        ),
        ("read:data", "tools/list", "{}", "allow"),
        ("admin", "no/such/method", "{}", "unknown_method"),
    ] {
        // The message as it would come in, so that reading it is tested too.
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let request = McpRequest::from_json(message.as_bytes())?;
        let token = token(held)?;
        for message in request.messages() {
            let access =
                Access::new(&token, message.operation(), now).with_version(request.version());
            let explanation = policy.explain(&access).to_string();
            println!("{held:<10}  {explanation}");
            assert!(
                explanation.starts_with(&format!("{expected}:")),
                "{held}: {explanation}"
            );
        }
    }

    // A message that parsers could read in two ways is none.
    let two_names = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_note","name":"drop_table"}}"#;
    assert!(McpRequest::from_json(two_names).is_err());

    // What rules cannot say is a closure: nobody writes on behalf of another tenant.
    let tenant = policy_fn(move |access: &Access<'_>| {
        let arguments = access.arguments.unwrap_or_default();
        let named = serde_json::from_slice::<Tenant>(arguments).map(|it| it.tenant);
        match (access.operation.target(), named) {
            (Some(Target::Tool(_)), Ok(tenant)) if access.token.has("tenant", &tenant) => {
                policy.decide(access)
            }
            _ => Decision::forbid(),
        }
    });
    let token = token("write:data")?;
    for (named, expected) in [("acme", true), ("umbrella", false)] {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"put_note","arguments":{{"tenant":"{named}"}}}}}}"#
        );
        let request = McpRequest::from_json(message.as_bytes())?;
        let [message] = request.messages() else {
            return Err("one message".into());
        };
        let arguments = request.arguments(message).unwrap_or_default();
        let access = Access::new(&token, message.operation(), now).with_arguments(arguments);
        let decision = tenant.decide(&access);
        println!("tenant {named:<8}  {decision:?}");
        assert_eq!(decision.is_allowed(), expected);
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Tenant {
    tenant: String,
}

/// A token that holds these scopes. Nothing is signed, for nothing is verified here.
fn token(held: &str) -> Result<VerifiedToken, mcp_auth::TokenError> {
    let claims = format!(
        r#"{{"iss":"https://idp.example.com","sub":"alice","exp":2000000000,"scope":"{held}","tenant":"acme"}}"#
    );
    Claims::from_json(&claims).map(VerifiedToken::assertion)
}
