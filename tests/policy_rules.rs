//! What a policy made of rules decides: one table a rule.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use mcp_auth::{
    Access, Claims, Decision, Operation, Policy, ProtocolVersion, Requirement, Scope,
    ScopeHierarchy, ScopePolicy, Target, UnixTime, VerifiedToken,
};

const NOW: UnixTime = UnixTime::from_secs(1_900_000_000);

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn token(held: &str) -> VerifiedToken {
    let claims = format!(
        r#"{{"iss":"https://idp.example.com","sub":"alice","exp":2000000000,"scope":"{held}"}}"#
    );
    VerifiedToken::assertion(Claims::from_json(&claims).unwrap())
}

fn in_version(
    policy: &ScopePolicy,
    held: &str,
    operation: &Operation,
    version: ProtocolVersion,
) -> Decision {
    let token = token(held);
    let access = Access::new(&token, operation, NOW).with_version(version);
    let decision = policy.decide(&access);
    assert_eq!(policy.explain(&access).decision(), &decision);
    decision
}

fn decide(policy: &ScopePolicy, held: &str, operation: &Operation) -> Decision {
    in_version(policy, held, operation, ProtocolVersion::V2025_11_25)
}

fn read(json: &str) -> ScopePolicy {
    ScopePolicy::from_json(json).unwrap()
}

fn allow(text: &str) -> Decision {
    Decision::allow_by(scope(text))
}

fn needs(text: &str) -> Decision {
    Decision::needs(scope(text))
}

fn bare(method: &'static str) -> Operation {
    Operation::new(method, [])
}

fn about(method: &'static str, target: Target) -> Operation {
    Operation::new(method, [target])
}

const FILE: &str = r#"{
    "base": ["read:data"],
    "hierarchy": {"admin": ["write:data"], "write:data": ["read:data"]},
    "methods": {"logging/setLevel": ["admin"]},
    "tools": {"get_*": ["read:data"], "put_*": ["write:data"], "get_secret": ["admin"], "free": []},
    "prompts": {"*": ["read:data"]},
    "resources": {"file:///public/*": ["read:data"], "file:///public/a/../b": []}
}"#;

#[test]
fn the_file_of_the_manual() {
    let policy = read(FILE);
    assert_eq!(policy.base(), scope("read:data"));
    let tool = |name: &str| Operation::tool(name);
    for (held, operation, expected) in [
        ("read:data", tool("get_note"), allow("read:data")),
        ("read:data", tool("put_note"), needs("read:data write:data")),
        (
            "write:data",
            tool("put_note"),
            allow("read:data write:data"),
        ),
        ("admin", tool("put_note"), allow("read:data write:data")),
        ("write:data", tool("get_secret"), needs("read:data admin")),
        ("admin", tool("get_secret"), allow("read:data admin")),
        ("read:data", tool("free"), allow("read:data")),
        ("", tool("free"), needs("read:data")),
        ("", tool("put_note"), needs("read:data write:data")),
        ("other", tool("get_note"), needs("read:data")),
        ("admin", tool("delete_note"), Decision::forbid()),
        ("admin", tool("Get_note"), Decision::forbid()),
        ("admin", tool(""), Decision::forbid()),
        ("read:data", Operation::prompt("any"), allow("read:data")),
        (
            "read:data",
            bare("logging/setLevel"),
            needs("read:data admin"),
        ),
        ("admin", bare("logging/setLevel"), allow("read:data admin")),
        (
            "read:data",
            Operation::resource("file:///public/a"),
            allow("read:data"),
        ),
        (
            "admin",
            Operation::resource("file:///private/a"),
            Decision::forbid(),
        ),
    ] {
        assert_eq!(
            decide(&policy, held, &operation),
            expected,
            "{held:?} {operation}"
        );
    }
}

#[test]
fn code_and_file_make_the_same_policy() {
    let built = ScopePolicy::new()
        .with_base(scope("read:data"))
        .with_hierarchy(
            ScopeHierarchy::new([
                ("admin".parse().unwrap(), scope("write:data")),
                ("write:data".parse().unwrap(), scope("read:data")),
            ])
            .unwrap(),
        )
        .method("logging/setLevel", Requirement::all(scope("admin")))
        .and_then(|it| it.tool("get_*", Requirement::all(scope("read:data"))))
        .and_then(|it| it.tool("put_*", Requirement::all(scope("write:data"))))
        .and_then(|it| it.tool("get_secret", Requirement::all(scope("admin"))))
        .and_then(|it| it.tool("free", Requirement::base()))
        .and_then(|it| it.prompt("*", Requirement::all(scope("read:data"))))
        .and_then(|it| it.resource("file:///public/*", Requirement::all(scope("read:data"))))
        .unwrap();
    let file = read(FILE);
    for held in ["", "read:data", "write:data", "admin"] {
        for operation in [
            Operation::tool("get_note"),
            Operation::tool("put_note"),
            Operation::tool("get_secret"),
            Operation::tool("free"),
            Operation::tool("none"),
            Operation::prompt("p"),
            Operation::resource("file:///public/x"),
            bare("logging/setLevel"),
            bare("tools/list"),
        ] {
            assert_eq!(
                decide(&built, held, &operation),
                decide(&file, held, &operation)
            );
        }
    }
}

#[test]
fn what_no_rule_names() {
    let policy = read(r#"{"base":["b"]}"#);
    let forbid = Decision::forbid;
    let unknown = Decision::unknown_method;
    let base = || allow("b");
    // Method, then the outcome in 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28 and what is unknown.
    for (operation, expected) in [
        (
            bare("initialize"),
            [base(), base(), base(), unknown(), unknown()],
        ),
        (bare("ping"), [base(), base(), base(), unknown(), unknown()]),
        (
            bare("logging/setLevel"),
            [base(), base(), base(), unknown(), unknown()],
        ),
        (
            bare("server/discover"),
            [unknown(), unknown(), unknown(), base(), base()],
        ),
        (
            bare("subscriptions/listen"),
            [unknown(), unknown(), unknown(), base(), base()],
        ),
        (
            bare("notifications/initialized"),
            [base(), base(), base(), base(), base()],
        ),
        (
            bare("notifications/acme"),
            [base(), base(), base(), base(), base()],
        ),
        (bare("tools/list"), [base(), base(), base(), base(), base()]),
        (
            bare("prompts/list"),
            [base(), base(), base(), base(), base()],
        ),
        (
            bare("resources/list"),
            [base(), base(), base(), base(), base()],
        ),
        (
            bare("resources/templates/list"),
            [base(), base(), base(), base(), base()],
        ),
        (bare("GET"), [base(), base(), base(), base(), base()]),
        (bare("DELETE"), [base(), base(), base(), base(), base()]),
        (
            bare("response"),
            [base(), base(), base(), unknown(), unknown()],
        ),
        (
            Operation::tool("t"),
            [forbid(), forbid(), forbid(), forbid(), forbid()],
        ),
        (
            Operation::prompt("p"),
            [forbid(), forbid(), forbid(), forbid(), forbid()],
        ),
        (
            Operation::resource("r"),
            [forbid(), forbid(), forbid(), forbid(), forbid()],
        ),
        (
            bare("tools/call"),
            [forbid(), forbid(), forbid(), forbid(), forbid()],
        ),
        (
            bare("completion/complete"),
            [forbid(), forbid(), forbid(), forbid(), forbid()],
        ),
        (
            bare("resources/subscribe"),
            [forbid(), forbid(), forbid(), unknown(), unknown()],
        ),
        (
            about("tasks/get", Target::Task("t".into())),
            [unknown(), unknown(), forbid(), forbid(), forbid()],
        ),
        (
            bare("tasks/get"),
            [unknown(), unknown(), forbid(), forbid(), forbid()],
        ),
        (
            bare("tasks/list"),
            [unknown(), unknown(), forbid(), unknown(), unknown()],
        ),
        (
            bare("tasks/update"),
            [unknown(), unknown(), unknown(), forbid(), forbid()],
        ),
        (
            bare("acme/do"),
            [unknown(), unknown(), unknown(), unknown(), unknown()],
        ),
        (
            bare("Tools/list"),
            [unknown(), unknown(), unknown(), unknown(), unknown()],
        ),
        (
            bare("roots/list"),
            [unknown(), unknown(), unknown(), unknown(), unknown()],
        ),
        (
            bare(""),
            [unknown(), unknown(), unknown(), unknown(), unknown()],
        ),
    ] {
        let versions = [
            ProtocolVersion::V2025_03_26,
            ProtocolVersion::V2025_06_18,
            ProtocolVersion::V2025_11_25,
            ProtocolVersion::V2026_07_28,
            ProtocolVersion::Unknown,
        ];
        for (version, expected) in versions.into_iter().zip(expected) {
            let got = in_version(&policy, "b", &operation, version);
            assert_eq!(got, expected, "{operation} in {version}");
        }
    }
}

#[test]
fn method_and_target_must_both_hold() {
    let policy = read(
        r#"{"methods":{"tools/call":["call"],"resources/*":["res"],"tasks/*":["task"],"acme/*":["acme"]},
            "tools":{"a":["x"]},"resources":{"r":["y"]}}"#,
    );
    for (held, operation, expected) in [
        ("call x", Operation::tool("a"), allow("call x")),
        ("x", Operation::tool("a"), needs("call x")),
        ("call", Operation::tool("a"), needs("call x")),
        // A rule for the method opens no tool that has none.
        ("call x", Operation::tool("b"), Decision::forbid()),
        ("call x", bare("tools/call"), Decision::forbid()),
        ("res y", Operation::resource("r"), allow("res y")),
        ("y", Operation::resource("r"), needs("res y")),
        ("", bare("resources/list"), needs("res")),
        ("task", bare("tasks/list"), allow("task")),
        (
            "",
            about("tasks/get", Target::Task("t".into())),
            needs("task"),
        ),
        (
            "task",
            about("tasks/cancel", Target::Task("t".into())),
            allow("task"),
        ),
        ("acme", bare("acme/do"), allow("acme")),
        ("", bare("acme/do"), needs("acme")),
    ] {
        assert_eq!(
            decide(&policy, held, &operation),
            expected,
            "{held:?} {operation}"
        );
    }
    // A rule may admit what the revision does not define.
    let version = ProtocolVersion::V2025_03_26;
    assert_eq!(
        in_version(&policy, "task", &bare("tasks/list"), version),
        allow("task")
    );
}

#[test]
fn what_names_others_follows_their_rules() {
    let policy = read(
        r#"{"methods":{"tasks/get":["task"],"resources/directory/*":[]},"prompts":{"p":["x"]},"resources":{"file:///*":["y"],"file:///z":["z"]}}"#,
    );
    let uri = |uri: &str| Target::Resource(uri.into());
    let version = |operation: &Operation| match operation.method() {
        "subscriptions/listen" => ProtocolVersion::V2026_07_28,
        _ => ProtocolVersion::V2025_11_25,
    };
    let prompt = |name: &str| Target::Prompt(name.into());
    for (held, operation, expected) in [
        ("x", about("completion/complete", prompt("p")), allow("x")),
        ("", about("completion/complete", prompt("p")), needs("x")),
        (
            "x",
            about("completion/complete", prompt("q")),
            Decision::forbid(),
        ),
        (
            "y",
            about("completion/complete", uri("file:///{path}")),
            allow("y"),
        ),
        (
            "",
            about("resources/subscribe", uri("file:///a")),
            needs("y"),
        ),
        (
            "y",
            about("resources/unsubscribe", uri("file:///a")),
            allow("y"),
        ),
        (
            "y",
            about("resources/subscribe", uri("http://h/a")),
            Decision::forbid(),
        ),
        (
            "",
            about("resources/directory/read", uri("file:///a")),
            needs("y"),
        ),
        (
            "y z",
            Operation::new("resources/directory/read", []),
            Decision::forbid(),
        ),
        (
            "y z",
            Operation::new("subscriptions/listen", [uri("file:///a"), uri("file:///z")]),
            allow("y z"),
        ),
        (
            "y",
            Operation::new("subscriptions/listen", [uri("file:///a"), uri("file:///z")]),
            needs("y z"),
        ),
        (
            "y z",
            Operation::new("subscriptions/listen", [uri("file:///a"), uri("http://h/")]),
            Decision::forbid(),
        ),
        (
            "task",
            about("subscriptions/listen", Target::Task("t".into())),
            allow("task"),
        ),
        (
            "",
            about("subscriptions/listen", Target::Task("t".into())),
            needs("task"),
        ),
    ] {
        let got = in_version(&policy, held, &operation, version(&operation));
        assert_eq!(got, expected, "{held:?} {operation}");
    }
    let listen = about("subscriptions/listen", Target::Task("t".into()));
    let none = read("{}");
    let got = in_version(&none, "task", &listen, ProtocolVersion::V2026_07_28);
    assert_eq!(got, Decision::forbid());
}

#[test]
fn of_several_sets_the_nearest_is_asked_for() {
    let policy = read(
        r#"{"base":["b"],"hierarchy":{"top":["a1","a2"]},"tools":{"t":[["a1","a2"],["c"],["d","e","f"]]}}"#,
    );
    for (held, expected) in [
        ("b", needs("b c")),
        ("b a1", needs("b a1 a2")),
        ("b a1 a2", allow("b a1 a2")),
        ("b a1 c", allow("b c")),
        ("b d e", needs("b c")),
        ("b d e f", allow("b d e f")),
        ("b a1 a2 c", allow("b a1 a2")),
        ("b top", allow("b a1 a2")),
        ("c", needs("b c")),
        ("", needs("b c")),
    ] {
        assert_eq!(
            decide(&policy, held, &Operation::tool("t")),
            expected,
            "{held:?}"
        );
    }
}

#[test]
fn required_scopes_are_never_rewritten() {
    let policy =
        read(r#"{"base":["read"],"hierarchy":{"admin":["read"]},"tools":{"t":["write"]}}"#);
    let got = decide(&policy, "admin", &Operation::tool("t"));
    assert_eq!(got, needs("read write"));
    let got = decide(&policy, "admin write", &Operation::tool("t"));
    assert_eq!(got, allow("read write"));
    // Nothing is implied upwards, sideways, or by a name that looks alike.
    for held in ["read", "READ write:x", "admins"] {
        assert!(
            !decide(&policy, held, &Operation::tool("t")).is_allowed(),
            "{held}"
        );
    }
}

#[test]
fn ambiguous_uris_match_no_glob() {
    let policy = read(FILE);
    for (uri, expected) in [
        ("file:///public/a/b.txt", allow("read:data")),
        ("file:///public/", allow("read:data")),
        // A rule for the very URI speaks of it.
        ("file:///public/a/../b", allow("read:data")),
        ("file:///public/a/../c", Decision::forbid()),
        ("file:///public/../secret", Decision::forbid()),
        ("file:///public/%2e%2E/secret", Decision::forbid()),
        ("file:///public/..%2Fsecret", Decision::forbid()),
        ("file:///public/a%5cb", Decision::forbid()),
        ("file:///public/a\\b", Decision::forbid()),
        ("file:///public//a", Decision::forbid()),
        ("FILE:///public/a", Decision::forbid()),
    ] {
        let operation = Operation::resource(uri);
        assert_eq!(decide(&policy, "admin", &operation), expected, "{uri}");
    }
    // Names of tools and prompts are no paths.
    assert!(decide(&policy, "admin", &Operation::tool("get_a//..")).is_allowed());
}

#[test]
fn alternatives_each_ask_for_something() {
    for (alternatives, expected) in [
        (vec![], "there is no alternative"),
        (
            vec![Scope::EMPTY],
            "one of the alternatives asks for no scope",
        ),
        (
            vec!["a".parse().unwrap(), Scope::EMPTY],
            "one of the alternatives asks for no scope",
        ),
    ] {
        let error = Requirement::any(alternatives).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_template_is_compared_as_it_stands() {
    let policy = r#"{"resources":{"note://{id}":[],"file:///*":[]}}"#;
    let policy = ScopePolicy::from_json(policy).unwrap();
    for (uri, expected) in [
        ("note://{id}", Decision::allow()),
        ("note://1", Decision::forbid()),
        ("file:///{name}", Decision::allow()),
        ("file:///1", Decision::allow()),
    ] {
        let operation = Operation::resource(uri);
        assert_eq!(decide(&policy, "", &operation), expected, "{uri}");
    }
}

#[test]
fn no_spelling_of_a_uri_evades_the_stricter_rule() {
    let policy = read(
        r#"{"resources":{"*":[],"file:///*":[],"file:///secret/*":["admin"],"file:///one.txt":["admin"],
            "notes://a@b/*":["admin"],"memo:///*":[],"memo://a/*":["admin"],"https://h/*":["admin"],"https://h/free":[],"https://h/free/*":["admin"],"https://h/find?q=*":[],"https://h/find":["admin"],
            "file:///all":["admin"],"file:///all/*":[],"db://prod/*":["admin"],"file:///c%3A/*":["admin"],"file:///my%20docs/*":["admin"]}}"#,
    );
    for (uri, expected) in [
        ("file:///public/x", allow("")),
        ("file:///secret/x", needs("admin")),
        ("notes://c@b/x", allow("")),
        ("notes://a@b/x", needs("admin")),
        // What is read as something else by some, and has a stricter rule there.
        ("notes://a%40b/x", needs("admin")),
        ("file:///one.txt?", needs("admin")),
        ("file:///one.txt#a", needs("admin")),
        ("file:///one.txt/", needs("admin")),
        ("file:///one.txt/?a", needs("admin")),
        ("file:///secret", needs("admin")),
        ("file://server/secret/x", needs("admin")),
        ("file://server/secret", needs("admin")),
        ("file://server/one.txt/", needs("admin")),
        ("file:///all/x", allow("")),
        ("file:///all", needs("admin")),
        ("file:///all?a", needs("admin")),
        ("file:///all#a", needs("admin")),
        ("file://server/all", needs("admin")),
        ("db://Prod/x", needs("admin")),
        ("db://u:p@prod/x", needs("admin")),
        ("db://u@prod:5432", needs("admin")),
        ("db://prod:5432/x?a", needs("admin")),
        ("db://prod2:5432/x", allow("")),
        ("notes:///a@b/x", needs("admin")),
        ("notes:///a@c/x", allow("")),
        ("memo://@/a/x", needs("admin")),
        ("memo://:1/a/x", needs("admin")),
        ("memo://u@/a/x", needs("admin")),
        ("memo://@/b/x", allow("")),
        ("db://prod:x/y", needs("admin")),
        ("db://prod:5432x", needs("admin")),
        ("memo:///b", allow("")),
        ("memo:///", allow("")),
        ("https://h", needs("admin")),
        ("https://h?a=b", needs("admin")),
        ("https://h/free", allow("")),
        ("file:///one.txt%3Fa", allow("")),
        ("file:///secre%3F/x", allow("")),
        // The rule that tells most counts, also where it asks for less.
        ("https://h/find?q=x", allow("")),
        ("https://h/find?p=x", needs("admin")),
        ("https://h/find%3Fq=x", needs("admin")),
        ("file:///c%3A/x", needs("admin")),
        ("file:///c%3a/x", needs("admin")),
        ("file:///c:/x", needs("admin")),
        ("file:///my%20docs/x", needs("admin")),
        ("file:///%63%3A/x", Decision::forbid()),
        // What could be anything matches no glob.
        ("file:///%73ecret/x", Decision::forbid()),
        ("file:///secre%74/x", Decision::forbid()),
        ("file:///%2573ecret/x", Decision::forbid()),
        ("FILE:///secret/x", Decision::forbid()),
        ("file:/secret/x", Decision::forbid()),
        ("file://localhost/secret/x", Decision::forbid()),
        ("HTTPS://h/x", Decision::forbid()),
        ("https://H/x", Decision::forbid()),
        ("https:/h/x", Decision::forbid()),
        ("https://h:443/x", Decision::forbid()),
        ("https://%68/x", Decision::forbid()),
        ("DB://prod/x", Decision::forbid()),
        ("file:///C|/x", Decision::forbid()),
        ("https://user@h/x", Decision::forbid()),
        ("https://h./x", Decision::forbid()),
        // White space of any kind goes where it is trimmed.
        ("\u{a0}file:///secret/x", Decision::forbid()),
        ("\u{feff}file:///secret/x", Decision::forbid()),
        ("file:///one.txt\u{3000}", Decision::forbid()),
        ("file:///one.txt\u{85}", Decision::forbid()),
        ("file:///one.txt\u{2028}", Decision::forbid()),
    ] {
        let operation = Operation::resource(uri);
        assert_eq!(decide(&policy, "", &operation), expected, "{uri}");
    }
    let twice = r#"{"resources":{"notes://a@b/*":[],"notes://a%40b/*":["admin"]}}"#;
    let error = ScopePolicy::from_json(twice).unwrap_err().to_string();
    assert!(
        error.contains(r#"resources: "notes://a%40b/*" comes twice"#),
        "{error}"
    );
    let dead = r#"{"resources":{"https://*":[],"https://H/admin/*":["admin"]}}"#;
    let error = ScopePolicy::from_json(dead).unwrap_err().to_string();
    assert!(
        error.contains(r#"resources: "https://H/admin/*" matches no URI as parsers write it"#),
        "{error}"
    );
    // What has no rule with its query is not let in by the rule without.
    let policy = read(r#"{"resources":{"notes://a":[]}}"#);
    let operation = Operation::resource("notes://a?b");
    assert_eq!(decide(&policy, "", &operation), Decision::forbid());
    // And what has a stricter one is not, either.
    let policy =
        read(r#"{"resources":{"*":["admin"],"notes://a":[],"file:///public/*":["read"]}}"#);
    for (uri, expected) in [
        ("notes://a", allow("")),
        ("notes://a?b", needs("admin")),
        ("notes://a/", needs("admin")),
        ("file:///public/x?y", allow("read")),
        ("file:///public", needs("admin read")),
        ("file://server/public/x", needs("admin read")),
    ] {
        let operation = Operation::resource(uri);
        assert_eq!(decide(&policy, "read", &operation), expected, "{uri}");
    }
}

#[test]
fn known_scopes_are_those_of_rules_base_and_hierarchy() {
    let policy = read(
        r#"{"base":["b"],"hierarchy":{"h1":["h2"]},"methods":{"ping":["m"]},"tools":{"t":[["t1"],["t2"]]},
            "prompts":{"p":["p1"]},"resources":{"r":["r1"]}}"#,
    );
    for known in ["b", "h1", "h2", "m", "t1", "t2", "p1", "r1"] {
        assert!(policy.knows(known), "{known}");
    }
    for unknown in ["", "x", "B", "t1 t2", "t"] {
        assert!(!policy.knows(unknown), "{unknown}");
    }
}

#[test]
fn a_decision_is_explained_in_one_line() {
    let policy = read(FILE);
    for (held, operation, rule, line) in [
        (
            "read:data",
            Operation::tool("put_note"),
            r#"tools "put_*""#,
            r#"insufficient_scope: tools/call "put_note" (tools "put_*") needs read:data write:data"#,
        ),
        (
            "write:data",
            Operation::tool("put_note"),
            r#"tools "put_*""#,
            r#"allow: tools/call "put_note" (tools "put_*") needs read:data write:data"#,
        ),
        (
            "",
            Operation::tool("put_note"),
            "base",
            r#"insufficient_scope: tools/call "put_note" (base) needs read:data write:data"#,
        ),
        (
            "read:data",
            bare("tools/list"),
            "base",
            "allow: tools/list (base) needs read:data",
        ),
        (
            "admin",
            Operation::tool("x\n\"y\""),
            r#"no rule for the tool "x\n\"y\"""#,
            r#"denied: tools/call "x\n\"y\"" (no rule for the tool "x\n\"y\"")"#,
        ),
        (
            "admin",
            bare("acme\n/do"),
            "no such method in 2025-11-25",
            r"unknown_method: acme\n/do (no such method in 2025-11-25)",
        ),
        (
            "admin",
            bare("tasks/list"),
            "no rule for the method",
            "denied: tasks/list (no rule for the method)",
        ),
        (
            "admin",
            bare("tools/call"),
            "names no tool, prompt or resource",
            "denied: tools/call (names no tool, prompt or resource)",
        ),
    ] {
        let token = token(held);
        let access =
            Access::new(&token, &operation, NOW).with_version(ProtocolVersion::V2025_11_25);
        let explanation = policy.explain(&access);
        assert_eq!(explanation.rule(), rule);
        assert_eq!(explanation.to_string(), line);
    }
}

#[test]
fn a_wrong_file_is_refused_by_its_place() {
    for (json, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (
            "[]",
            "invalid type: sequence, expected an object with the rules of a policy at line 1 column 0",
        ),
        ("{} {}", "trailing characters at line 1 column 4"),
        (
            r#"{"tool":{}}"#,
            "unknown field `tool`, expected one of `base`, `hierarchy`, `methods`, `tools`, `prompts`, `resources` at line 1 column 7",
        ),
        (
            r#"{"tools":{},"tools":{}}"#,
            r#""tools" comes twice at line 1 column 19"#,
        ),
        (r#"{"tools":{"a":[],"a":[]}}"#, r#"tools: "a" comes twice"#),
        (
            r#"{"tools":{"a":[],"\u0061":[]}}"#,
            r#"tools: "a" comes twice"#,
        ),
        (
            r#"{"tools":{"a*":[],"a*":["x"]}}"#,
            r#"tools: "a*" comes twice"#,
        ),
        (
            r#"{"prompts":{"a*b":[]}}"#,
            r#"prompts: "a*b" has a `*` that is not at its end"#,
        ),
        (r#"{"resources":{"":[]}}"#, r#"resources: "" names nothing"#),
        (
            r#"{"tools":{"a":["x y"]}}"#,
            r#"tools: "a": "x y" is not a scope (RFC 6749 section 3.3)"#,
        ),
        (
            r#"{"tools":{"a":"x"}}"#,
            r#"tools: "a": invalid type: string "x", expected a sequence"#,
        ),
        (
            r#"{"tools":{"a":null}}"#,
            r#"tools: "a": invalid type: null, expected a sequence"#,
        ),
        (
            r#"{"tools":{"a":["x",["y"]]}}"#,
            r#"tools: "a": scopes and lists of scopes stand side by side"#,
        ),
        (
            r#"{"tools":{"a":[["x"],[]]}}"#,
            r#"tools: "a": one of the alternatives asks for no scope"#,
        ),
        (
            r#"{"tools":{"a":[[["x"]]]}}"#,
            r#"tools: "a": invalid type: sequence, expected a string"#,
        ),
        (
            r#"{"tools":{"a":[1]}}"#,
            r#"tools: "a": invalid type: integer `1`, expected a scope or a list of scopes"#,
        ),
        (
            r#"{"tools":[]}"#,
            "tools: invalid type: sequence, expected an object",
        ),
        (
            r#"{"base":[["x"]]}"#,
            "base: a list stands where a scope belongs",
        ),
        (
            r#"{"base":"x"}"#,
            r#"base: invalid type: string "x", expected a sequence"#,
        ),
        (
            r#"{"hierarchy":{"a":["b"],"b":["a"]}}"#,
            "the hierarchy has a cycle: a > b > a",
        ),
        (
            r#"{"hierarchy":{"a":["b"],"a":["c"]}}"#,
            r#"the hierarchy has "a" twice"#,
        ),
        (
            r#"{"hierarchy":{"a b":["b"]}}"#,
            r#"hierarchy: "a b" is not a scope"#,
        ),
        (
            r#"{"hierarchy":{"a":"b"}}"#,
            r#"hierarchy: "a": invalid type: string "b""#,
        ),
    ] {
        let error = ScopePolicy::from_json(json).expect_err(json).to_string();
        let expected = format!("the policy cannot be read: {expected}");
        assert!(error.starts_with(&expected), "{json}\n{error}\n{expected}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn ten_thousand_rules_are_all_found() {
    let mut policy = ScopePolicy::new();
    for n in 0..5_000 {
        let own = || Requirement::all(scope(&format!("s{n}")));
        policy = policy.tool(&format!("exact_{n}"), own()).unwrap();
        policy = policy.tool(&format!("glob_{n}_*"), own()).unwrap();
    }
    for n in [0, 1, 4_242, 4_999] {
        for name in [
            format!("exact_{n}"),
            format!("glob_{n}_"),
            format!("glob_{n}_x"),
        ] {
            let operation = Operation::tool(name);
            assert_eq!(decide(&policy, "", &operation), needs(&format!("s{n}")));
        }
    }
    for name in ["exact_5000", "glob_1", "glob_5000_x", "a", "z"] {
        assert_eq!(
            decide(&policy, "", &Operation::tool(name)),
            Decision::forbid()
        );
    }
}
