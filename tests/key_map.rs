//! Which internal key belongs to whom.

#![allow(clippy::unwrap_used)]

use mcp_auth::{
    Access, Claims, Decision, Grant, KeyMap, KeyRule, KeyStore, Operation, Policy, Scope,
    ScopeHierarchy, UnixTime, UpstreamKey, UpstreamKeyId, VerifiedToken,
};

fn token(claims: &str) -> VerifiedToken {
    let json = format!(r#"{{"iss":"https://idp","aud":"a","exp":4000000000,{claims}}}"#);
    VerifiedToken::assertion(Claims::from_json(&json).unwrap())
}

fn alice() -> VerifiedToken {
    token(r#""sub":"alice","client_id":"app""#)
}

fn map(json: &str) -> KeyMap {
    KeyMap::from_json(json).unwrap()
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn upstream(name: &str) -> UpstreamKey {
    UpstreamKey::new(name, format!("secret-{name}")).unwrap()
}

fn grant(text: &str) -> Grant {
    match Decision::allow_by(scope(text)) {
        Decision::Allow(grant) => grant,
        other => unreachable!("{other:?}"),
    }
}

/// Name and key that a caller gets for an operation granted by these scopes.
fn given(map: &KeyMap, token: &VerifiedToken, needs: &str) -> Option<(String, String)> {
    let id = UpstreamKeyId::new(token.clone(), None, Some(grant(needs)));
    let key = map.key(&id).into_inner().unwrap()?;
    Some((key.name().to_string(), key.secret().expose().clone()))
}

fn name(map: &KeyMap, token: &VerifiedToken, needs: &str) -> Option<String> {
    given(map, token, needs).map(|(name, _)| name)
}

#[test]
fn every_form_is_read() {
    let pair = |name: &str, key: &str| Some((name.to_owned(), key.to_owned()));
    let short = map(
        r#"{"alice": "k-1", "bob": {"key": "k-2", "scopes": ["read:data"]},
                        "carol": {"name": "c", "key": "k-3"}}"#,
    );
    assert_eq!(given(&short, &alice(), "anything"), pair("alice", "k-1"));
    let bob = token(r#""sub":"bob""#);
    assert_eq!(given(&short, &bob, "read:data"), pair("bob", "k-2"));
    assert_eq!(given(&short, &bob, "write:data"), None);
    assert_eq!(
        given(&short, &token(r#""sub":"carol""#), ""),
        pair("c", "k-3")
    );
    assert_eq!(given(&short, &token(r#""sub":"dave""#), ""), None);

    let named = map(
        r#"{"alice": [{"name": "ro", "key": "k-1", "scopes": ["read:data"]},
                                  {"name": "rw", "key": "k-2", "scopes": ["write:data"]}]}"#,
    );
    assert_eq!(given(&named, &alice(), "read:data"), pair("ro", "k-1"));
    assert_eq!(given(&named, &alice(), "write:data"), pair("rw", "k-2"));
    assert_eq!(given(&named, &alice(), "read:data write:data"), None);

    let rules = map(
        r#"[{"match": {"iss": "https://idp", "sub": "alice"}, "keys": [{"key": "k-1"}]},
            {"match": {"client_id": "batch", "machine": true}, "keys": [{"key": "k-2"}]},
            {"match": {"realm_access.roles": "auditor"}, "keys": [{"key": "k-3"}]}]"#,
    );
    assert_eq!(given(&rules, &alice(), ""), pair("alice", "k-1"));
    let batch = token(r#""sub":"batch","client_id":"batch""#);
    assert_eq!(given(&rules, &batch, ""), pair("batch", "k-2"));
    assert_eq!(
        given(&rules, &token(r#""sub":"dan","client_id":"batch""#), ""),
        None
    );
    let auditor = token(r#""sub":"dan","realm_access":{"roles":["x","auditor"]}"#);
    assert_eq!(given(&rules, &auditor, ""), pair("auditor", "k-3"));
    let other = r#"{"iss":"https://other","sub":"alice","aud":"a","exp":4000000000}"#;
    let other = VerifiedToken::assertion(Claims::from_json(other).unwrap());
    assert_eq!(given(&rules, &other, ""), None);
}

#[test]
fn the_first_match_counts_and_nothing_behind_it() {
    let rules = map(
        r#"[{"match": {"sub": "alice"}, "keys": [{"key": "k-1", "scopes": ["read:data"]}]},
            {"match": {"iss": "https://idp"}, "keys": [{"name": "rest", "key": "k-2"}]}]"#,
    );
    assert_eq!(
        name(&rules, &alice(), "read:data").as_deref(),
        Some("alice")
    );
    assert_eq!(name(&rules, &alice(), "write:data"), None);
    assert_eq!(
        name(&rules, &token(r#""sub":"bob""#), "x").as_deref(),
        Some("rest")
    );

    let mixed = KeyMap::new()
        .with_rule(KeyRule::new("iss", "https://idp").with_key(upstream("rule"), Scope::EMPTY))
        .with_user("alice", upstream("user"), Scope::EMPTY);
    assert_eq!(name(&mixed, &alice(), "").as_deref(), Some("user"));
    let nobody = KeyMap::new()
        .with_rule(KeyRule::new("sub", "alice"))
        .with_rule(KeyRule::new("iss", "https://idp").with_key(upstream("rule"), Scope::EMPTY));
    assert_eq!(name(&nobody, &alice(), ""), None);
}

#[test]
fn names_are_compared_byte_by_byte() {
    let keys = map(r#"{"alice": "k-1", "é": "k-2"}"#);
    for sub in [
        "Alice",
        "alice ",
        " alice",
        "\u{430}lice",
        "e\u{301}",
        "alice\\u0000",
    ] {
        let other = token(&format!(r#""sub":"{sub}""#));
        assert_eq!(name(&keys, &other, ""), None, "{sub:?}");
    }
    assert_eq!(
        name(&keys, &token(r#""sub":"\u00e9""#), "").as_deref(),
        Some("é")
    );
}

#[test]
fn a_machine_called_alice_is_not_the_user_alice() {
    let machine = token(r#""sub":"alice","client_id":"alice""#);
    let azp = token(r#""sub":"alice","azp":"alice""#);
    let short = map(r#"{"alice": "k-1"}"#);
    let long = map(r#"[{"match": {"sub": "alice"}, "keys": [{"key": "k-1"}]}]"#);
    let machines =
        map(r#"[{"match": {"sub": "alice", "machine": true}, "keys": [{"key": "k-1"}]}]"#);
    let users =
        map(r#"[{"match": {"iss": "https://idp", "machine": false}, "keys": [{"key": "k-1"}]}]"#);
    let either = map(r#"[{"match": {"iss": "https://idp"}, "keys": [{"key": "k-1"}]}]"#);
    for (keys, user, is_machine) in [
        (&short, true, false),
        (&long, true, false),
        (&machines, false, true),
        (&users, true, false),
        (&either, true, true),
    ] {
        assert_eq!(name(keys, &alice(), "").is_some(), user, "{keys:?}");
        assert_eq!(name(keys, &machine, "").is_some(), is_machine, "{keys:?}");
        assert_eq!(name(keys, &azp, "").is_some(), is_machine, "{keys:?}");
    }
}

#[test]
fn the_weakest_key_that_suffices() {
    let keys = || {
        KeyMap::new()
            .with_user("alice", upstream("all"), Scope::EMPTY)
            .with_user("alice", upstream("admin"), scope("admin"))
            .with_user("alice", upstream("two"), scope("read write"))
            .with_user("alice", upstream("first"), scope("read"))
            .with_user("alice", upstream("second"), scope("read"))
    };
    let hierarchy =
        || ScopeHierarchy::new([("admin".parse().unwrap(), scope("write read audit"))]).unwrap();
    let (plain, wide) = (keys(), keys().with_hierarchy(hierarchy()));
    for (needs, without, with) in [
        ("", "admin", "first"),
        ("read", "first", "first"),
        ("write", "two", "two"),
        ("read write", "two", "two"),
        ("audit", "all", "admin"),
        ("audit read", "all", "admin"),
        ("admin", "admin", "admin"),
        ("other", "all", "all"),
    ] {
        assert_eq!(
            name(&plain, &alice(), needs).as_deref(),
            Some(without),
            "{needs}"
        );
        assert_eq!(
            name(&wide, &alice(), needs).as_deref(),
            Some(with),
            "{needs}"
        );
    }
    // Whatever is said first, the hierarchy or the keys.
    let rule = KeyRule::new("sub", "alice").with_key(upstream("rule"), scope("admin"));
    let before = KeyMap::new()
        .with_hierarchy(hierarchy())
        .with_rule(rule.clone());
    let after = KeyMap::new().with_rule(rule).with_hierarchy(hierarchy());
    let user = KeyMap::new().with_hierarchy(hierarchy()).with_user(
        "alice",
        upstream("rule"),
        scope("admin"),
    );
    for keys in [before, after, user] {
        assert_eq!(name(&keys, &alice(), "audit").as_deref(), Some("rule"));
    }
    // Without a policy in front nothing in particular is needed.
    let id = UpstreamKeyId::new(alice(), None, None);
    let key = wide.key(&id).into_inner().unwrap().unwrap();
    assert_eq!(key.name(), "first");
}

#[test]
fn what_is_wrong_is_said_by_place_and_name_and_no_key_is_shown() {
    const KEY: &str = "SECRET";
    let rule = |rest: &str| {
        format!(r#"[{{"match": {{"sub": "a"}}, "keys": [{{"key": "SECRET"}}]}}, {rest}]"#)
    };
    let cases = [
        (r#"{"alice": "SECRET""#.to_owned(), "is not JSON (line 1, column 18)"),
        (r#"{"alice": "SECRET"} x"#.to_owned(), "is not JSON (line 1, column 21)"),
        ("\u{feff}{\"alice\": \"SECRET\"}".to_owned(), "is not JSON (line 1, column 1)"),
        (r#"{"alice": "SECRET\ud800"}"#.to_owned(), "is not JSON (line 1, column 24)"),
        (r#""SECRET""#.to_owned(), "is neither an object of subjects nor a list of rules"),
        (r#"{"alice": "SECRET", "alice": "SECRET"}"#.to_owned(), "at \"alice\" has the subject twice"),
        (r#"{"alice": "SECRET", "\u0061lice": "x"}"#.to_owned(), "at \"alice\" has the subject twice"),
        (r#"{"": "SECRET"}"#.to_owned(), "has an empty subject"),
        (r#"{"alice": ""}"#.to_owned(), "at \"alice\" is wrong: the key \"alice\" is empty, has white space around it, or cannot stand in a header"),
        (r#"{"alice": "SECRET\r\nX: y"}"#.to_owned(), "at \"alice\" is wrong: the key \"alice\" is empty, has white space around it, or cannot stand in a header"),
        (r#"{"alice": "SECRET\u0000"}"#.to_owned(), "at \"alice\" is wrong: the key \"alice\" is empty, has white space around it, or cannot stand in a header"),
        (r#"{"alice": "SECRETé"}"#.to_owned(), "at \"alice\" is wrong: the key \"alice\" is empty, has white space around it, or cannot stand in a header"),
        (r#"{"alice": 5}"#.to_owned(), "at \"alice\" has neither a key nor an object nor a list"),
        (r#"{"alice": null}"#.to_owned(), "at \"alice\" has neither a key nor an object nor a list"),
        (r#"{"alice": []}"#.to_owned(), "at \"alice\" has an empty list of keys"),
        (r#"{"alice": ["SECRET"]}"#.to_owned(), "at \"alice\", key 1, is no object of key, name and scopes"),
        (r#"{"alice": {}}"#.to_owned(), "at \"alice\" lacks the key"),
        (r#"{"alice": {"key": 5}}"#.to_owned(), "at \"alice\" has a key that is no text"),
        (r#"{"alice": {"key": "SECRET", "key": "SECRET"}}"#.to_owned(), "at \"alice\" has \"key\" twice"),
        (r#"{"alice": {"key": "SECRET", "name": ""}}"#.to_owned(), "at \"alice\" has a name that is empty or no text"),
        (r#"{"alice": {"key": "SECRET", "scope": ["x"]}}"#.to_owned(), "at \"alice\" has another member than key, name and scopes"),
        (r#"{"alice": {"SECRET": "key"}}"#.to_owned(), "at \"alice\" has another member than key, name and scopes"),
        (r#"{"alice": {"key": "SECRET", "scopes": "read"}}"#.to_owned(), "at \"alice\" has scopes that are no list"),
        (r#"{"alice": {"key": "SECRET", "scopes": []}}"#.to_owned(), "at \"alice\" has no scope in scopes: a key that serves everything has no scopes member"),
        (r#"{"alice": {"key": "SECRET", "scopes": ["a b"]}}"#.to_owned(), "at \"alice\" has scopes that are none (RFC 6749 section 3.3)"),
        (r#"{"alice": {"key": "SECRET", "scopes": [5]}}"#.to_owned(), "at \"alice\" has scopes that are none (RFC 6749 section 3.3)"),
        (r#"{"alice": [{"key": "SECRET"}, {"key": "SECRET"}]}"#.to_owned(), "at \"alice\", key 2, has the name \"alice\" twice"),
        (r#"{"alice": [{"name": "ro", "key": "SECRET"}, {"name": "ro", "key": "SECRET"}]}"#.to_owned(), "at \"alice\", key 2, has the name \"ro\" twice"),
        (r#"["SECRET"]"#.to_owned(), "in rule 1 is no object of match and keys"),
        (r#"[{"match": {"sub": "a"}}]"#.to_owned(), "in rule 1 lacks match or keys"),
        (r#"[{"match": {"sub": "a"}, "keys": "SECRET"}]"#.to_owned(), "in rule 1 has keys that are no list"),
        (r#"[{"match": "SECRET", "keys": []}]"#.to_owned(), "in rule 1 has a match that is no object"),
        (r#"[{"match": {"sub": "a"}, "keys": [], "key": "SECRET"}]"#.to_owned(), "in rule 1 has another member than match and keys"),
        (r#"[{"match": {"sub": "a"}, "match": {"sub": "b"}, "keys": []}]"#.to_owned(), "in rule 1 has \"match\" twice"),
        (r#"[{"match": {}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has a match that names no claim"),
        (r#"[{"match": {"machine": true}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has a match that names no claim"),
        (r#"[{"match": {"sub": "a", "sub": "b"}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has the claim \"sub\" twice"),
        (r#"[{"match": {"sub": "a", "machine": true, "machine": false}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has \"machine\" twice"),
        (r#"[{"match": {"sub": ["a"]}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has a match on \"sub\" that cannot be: a claim is a text that is not empty, and \"machine\" is true or false"),
        (r#"[{"match": {"sub": "a", "machine": "yes"}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 has a match on \"machine\" that cannot be: a claim is a text that is not empty, and \"machine\" is true or false"),
        (r#"[{"match": {"sub": "a", "client_id": "a"}, "keys": [{"key": "SECRET"}]}]"#.to_owned(), "in rule 1 can match nobody: a sub that is its own client_id needs \"machine\": true"),
        (rule(r#"{"match": {"sub": "a"}, "keys": [{"key": "SECRET"}]}"#), "in rule 2 repeats the match of rule 1"),
        (rule(r#"{"match": {"sub": "b"}, "keys": []}"#), "in rule 2 has an empty list of keys"),
        (rule(r#"{"match": {"sub": "b"}, "keys": [{"key": "SECRET"}, {"name": "x", "key": "SECRET\n"}]}"#), "in rule 2, key 2, is wrong: the key \"x\" is empty, has white space around it, or cannot stand in a header"),
        ("[".repeat(200), "is not JSON (line 1, column 128)"),
    ];
    for (json, expected) in cases {
        let error = KeyMap::from_json(&json).unwrap_err().to_string();
        assert_eq!(error, format!("the key map {expected}"), "{json}");
        assert!(!error.contains(KEY), "{json}");
    }
}

#[test]
fn no_key_is_shown_by_debug() {
    let keys = map(r#"[{"match": {"sub": "a"}, "keys": [{"key": "SECRET"}]}]"#);
    let rule = KeyRule::new("sub", "a").with_key(upstream("a"), Scope::EMPTY);
    let shown = format!("{keys:?} {:?} {rule:?}", keys.scope_policy());
    assert!(
        !shown.contains("SECRET") && !shown.contains("secret-"),
        "{shown}"
    );
}

#[test]
fn the_policy_of_a_map_wants_one_scope_of_a_mapped_key() {
    let keys = map(
        r#"{"alice": [{"name": "rw", "key": "k-2", "scopes": ["write", "read"]},
                      {"name": "ro", "key": "k-1", "scopes": ["read"]}],
            "bob": "k-3",
            "carol": [{"name": "all", "key": "k-4"}, {"name": "x", "key": "k-5", "scopes": ["x"]}]}"#,
    )
    .with_hierarchy(ScopeHierarchy::new([("admin".parse().unwrap(), scope("write"))]).unwrap());
    let policy = keys.scope_policy();
    for (sub, held, decision, key) in [
        (
            "alice",
            "read",
            Decision::allow_by(scope("read")),
            Some("ro"),
        ),
        (
            "alice",
            "write",
            Decision::allow_by(scope("write")),
            Some("rw"),
        ),
        (
            "alice",
            "read write",
            Decision::allow_by(scope("write read")),
            Some("rw"),
        ),
        (
            "alice",
            "admin",
            Decision::allow_by(scope("write")),
            Some("rw"),
        ),
        ("alice", "email", Decision::needs(scope("read")), None),
        ("alice", "", Decision::needs(scope("read")), None),
        ("bob", "", Decision::allow(), Some("bob")),
        ("carol", "", Decision::allow(), Some("x")),
        ("carol", "x", Decision::allow_by(scope("x")), Some("x")),
        ("dave", "read", Decision::allow(), None),
    ] {
        let token = token(&format!(r#""sub":"{sub}","scope":"{held}""#));
        let call = Operation::tool("put_note");
        let got = policy.decide(&Access::new(&token, &call, UnixTime::EPOCH));
        assert_eq!(got, decision, "{sub} {held}");
        if let Decision::Allow(grant) = got {
            let needs = grant.scope().to_string();
            assert_eq!(name(&keys, &token, &needs).as_deref(), key, "{sub} {held}");
        }
    }
    assert!(policy.knows("write") && policy.knows("x"));
    assert!(!policy.knows("admin") && !policy.knows("email"));
    assert!(policy.base().is_empty());
}
