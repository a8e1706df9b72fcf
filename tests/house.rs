//! Imports never run uphill: the nouns do not know the layers, no layer knows another, and what
//! decides knows neither HTTP nor a runtime nor the time.
//!
//! The sources are read here, and every path in them is resolved to where it leads, so that a
//! detour over `super`, `self` or an export of the crate's root is no way around.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The names that lead to a thing: `crate layers shared Common`, or `tokio time sleep`.
type Names = Vec<String>;

/// The words and marks of a source text, without comments, and with every literal as `"`.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                    i += 1;
                }
                i += 2;
            }
            'b' if at(i + 1) == 'r' && matches!(at(i + 2), '"' | '#') => i += 1,
            'r' if matches!(at(i + 1), '"' | '#') => {
                let hashes = (i + 1..).take_while(|at_| at(*at_) == '#').count();
                i += 1 + hashes;
                if at(i) == '"' {
                    let closes = |i: usize| (1..=hashes).all(|n| at(i + n) == '#');
                    i += 1;
                    while i < chars.len() && !(at(i) == '"' && closes(i)) {
                        i += 1;
                    }
                    i += 1 + hashes;
                    found.push("\"".to_owned());
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                found.push("\"".to_owned());
            }
            // A character; a lifetime has no second quote.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                found.push("::".to_owned());
            }
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                found.push(chars[start..i].iter().collect());
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    found.push(c.to_string());
                }
            }
        }
    }
    found
}

/// Where every path of a file leads, seen from the module that the file is.
fn paths(module: &[String], source: &str) -> BTreeSet<Names> {
    let tokens = tokens(source);
    let mut found = BTreeSet::new();
    // The modules that were opened in the file, each with the depth of braces inside of it.
    let mut inside: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut i = 0;
    while i < tokens.len() {
        let next = |n: usize| tokens.get(i + n).map_or("", String::as_str);
        match next(0) {
            "mod" if next(2) == "{" => {
                depth += 1;
                inside.push((depth, next(1).to_owned()));
                i += 3;
            }
            "{" => {
                depth += 1;
                i += 1;
            }
            "}" => {
                inside.retain(|(of, _)| *of != depth);
                depth = depth.saturating_sub(1);
                i += 1;
            }
            "use" => {
                let here = here(module, &inside);
                i = tree(&tokens, i + 1, &here, &Vec::new(), &mut found);
            }
            word if is_name(word) && next(1) == "::" => {
                let here = here(module, &inside);
                i = tree(&tokens, i, &here, &Vec::new(), &mut found);
            }
            _ => i += 1,
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn here(module: &[String], inside: &[(usize, String)]) -> Names {
    let opened = inside.iter().map(|(_, name)| name.clone());
    module.iter().cloned().chain(opened).collect()
}

/// Reads one path, or several in braces, behind a prefix; gives the place behind it.
fn tree(
    tokens: &[String],
    mut i: usize,
    here: &[String],
    prefix: &Names,
    found: &mut BTreeSet<Names>,
) -> usize {
    let mut names = prefix.clone();
    loop {
        match tokens.get(i).map_or("", String::as_str) {
            "{" => {
                i += 1;
                while !matches!(tokens.get(i).map(String::as_str), None | Some("}")) {
                    i = tree(tokens, i, here, &names, found);
                    if tokens.get(i).is_some_and(|token| token == ",") {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "*" => {
                names.push("*".to_owned());
                i += 1;
            }
            // `::tokio`, `pub(in ..)` and the like: nothing that leads further.
            "::" => {
                i += 1;
                continue;
            }
            word if is_name(word) => {
                names.push(word.to_owned());
                i += 1;
            }
            _ => i += 1,
        }
        if tokens.get(i).is_some_and(|token| token == "::") {
            i += 1;
            // `Vec::<u8>` goes on with its parameters.
            if tokens.get(i).is_some_and(|token| token == "<") {
                break;
            }
        } else {
            break;
        }
    }
    if tokens.get(i).is_some_and(|token| token == "as") {
        i += 2;
    }
    found.insert(resolved(here, &names));
    i
}

/// The path from the crate's root on, for one that starts in it.
fn resolved(here: &[String], names: &[String]) -> Names {
    let mut at: Option<Names> = None;
    for name in names {
        match (name.as_str(), &mut at) {
            ("crate", None) => at = Some(vec!["crate".to_owned()]),
            ("self", None) => at = Some(here.to_vec()),
            ("super", None) => at = Some(here[..here.len().saturating_sub(1)].to_vec()),
            ("super", Some(at)) => {
                at.pop();
            }
            ("self", Some(_)) => {}
            (name, Some(at)) => at.push(name.to_owned()),
            (name, None) => at = Some(vec![name.to_owned()]),
        }
    }
    at.unwrap_or_default()
}

/// A source file: the module it is, and where its paths lead.
struct File {
    module: Names,
    leads: BTreeSet<Names>,
}

impl File {
    /// The room: `policy`, or `layers key_map`.
    fn is_in(&self, room: &[&str]) -> bool {
        self.module.len() > room.len() && self.module[1..].iter().zip(room).all(|(a, b)| a == b)
    }
}

/// All sources of the crate. A name that the crate's root exports leads to where it comes from.
fn house() -> Vec<File> {
    let mut sources = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &["crate".to_owned()],
        &mut sources,
    );
    assert!(sources.len() > 100, "only {} files found", sources.len());
    let mut exports = BTreeMap::new();
    let root = sources.iter().find(|(module, _)| module.len() == 1);
    for path in paths(&["crate".to_owned()], &root.unwrap().1) {
        if path[0] == "crate" && path.len() > 2 {
            exports.insert(path.last().unwrap().clone(), path);
        }
    }
    assert_eq!(
        exports["AuthStack"].join("::"),
        "crate::stack::AuthStack",
        "the exports are not understood"
    );
    let files = sources.into_iter().map(|(module, source)| {
        let leads = paths(&module, &source).into_iter();
        let leads = leads.map(|path| match path.as_slice() {
            [first, name, ..] if first == "crate" => exports
                .get(name)
                .filter(|_| module.len() > 1)
                .cloned()
                .unwrap_or(path),
            _ => path,
        });
        File {
            leads: leads.collect(),
            module,
        }
    });
    files.collect()
}

fn collect(folder: &Path, module: &[String], sources: &mut Vec<(Names, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut own = module.to_vec();
        if path.is_dir() {
            own.push(name);
            collect(&path, &own, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            if name != "mod" && name != "lib" {
                own.push(name);
            }
            sources.push((own, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The paths of some files that lead where they may not, with the file.
fn wrong(
    house: &[File],
    is_asked: impl Fn(&File) -> bool,
    is_wrong: impl Fn(&File, &[&str]) -> bool,
) -> Vec<String> {
    let asked: Vec<&File> = house.iter().filter(|file| is_asked(file)).collect();
    assert!(!asked.is_empty(), "no file is asked");
    let wrong = asked.iter().flat_map(|file| {
        let leads = file.leads.iter().filter(|path| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            is_wrong(file, &path)
        });
        leads.map(|path| format!("{} -> {}", file.module.join("::"), path.join("::")))
    });
    wrong.collect()
}

#[test]
fn no_noun_knows_the_layers_or_the_stack() {
    let above = |path: &[&str]| matches!(path, ["crate", "layers" | "stack", ..]);
    let is_noun =
        |file: &File| file.module.len() > 1 && !file.is_in(&["layers"]) && !file.is_in(&["stack"]);
    let house = house();
    for noun in [
        "token",
        "mcp",
        "policy",
        "oauth",
        "keys",
        "revocation",
        "rate",
        "audit",
        "clock",
        "secret",
        "error",
        "outage",
        "json",
        "hash",
        "reject",
        "trail",
        "testing",
    ] {
        assert!(house.iter().any(|file| file.is_in(&[noun])), "no {noun}");
    }
    let uphill = wrong(&house, is_noun, |_, path| above(path));
    assert_eq!(uphill, Vec::<String>::new());
    // The way down is there, and seen.
    let downhill = wrong(&house, |file| file.is_in(&["stack"]), |_, path| above(path));
    assert!(downhill.len() >= 8, "{downhill:?}");
}

#[test]
fn no_layer_knows_another_one() {
    let strangers = wrong(
        &house(),
        |file| file.module.len() > 2 && file.is_in(&["layers"]),
        |file, path| match path {
            ["crate", "stack", ..] => true,
            ["crate", "layers", "shared", ..] => false,
            ["crate", "layers", room, ..] => *room != file.module[2],
            _ => false,
        },
    );
    assert_eq!(strangers, Vec::<String>::new());
}

#[test]
fn what_decides_knows_no_http_no_runtime_and_no_time() {
    let pure: [&[&str]; 4] = [&["policy"], &["mcp"], &["token"], &["rate", "gcra"]];
    let house = house();
    for room in pure {
        let tied = wrong(
            &house,
            |file| file.is_in(room),
            |_, path| match path {
                [library, ..]
                    if ["http", "hyper", "tower", "tokio", "axum", "reqwest"]
                        .iter()
                        .any(|tied| library.split('_').next() == Some(tied)) =>
                {
                    true
                }
                ["std", "time", "Instant" | "SystemTime", ..] => true,
                ["crate", "clock", name, ..] => *name != "UnixTime",
                _ => false,
            },
        );
        assert_eq!(tied, Vec::<String>::new(), "{room:?}");
    }
}

#[test]
fn every_way_to_write_a_path_is_understood() {
    let module = ["crate", "policy", "uri"].map(str::to_owned);
    for (source, leads_to) in [
        ("use crate::layers::audit_log;", "crate::layers::audit_log"),
        (
            "use crate::{a::{self, b::C}, layers::{x, y as z}};",
            "crate::a crate::a::b::C crate::layers::x crate::layers::y",
        ),
        (
            "use super::super::stack::{Auth as A};",
            "crate::stack::Auth",
        ),
        (
            "pub(crate) use self::inner::*;",
            "crate::policy::uri::inner::*",
        ),
        ("fn f() { crate::stack::f::<u8>() }", "crate::stack::f"),
        ("type T = Vec<tokio::time::Sleep>;", "tokio::time::Sleep"),
        ("use ::tokio as quiet;", "tokio"),
        (
            "m!($crate::layers::shared::x!())",
            "crate::layers::shared::x",
        ),
        (
            "mod tests { use super::super::rules; } use super::rules;",
            "crate::policy::rules",
        ),
        (
            "mod a { fn f() { { } } use super::b; } use super::c;",
            "crate::policy::c crate::policy::uri::b",
        ),
        ("// use crate::layers;\n/* use crate::stack; */", ""),
        (
            r##"const A: &str = "use crate::layers; \" crate::stack"; const B: &[u8] = br#"crate::"stack"#; use std::fmt;"##,
            "std::fmt",
        ),
        (
            "fn f<'a>(c: char) -> &'a str { if c == '\"' || c == '\\'' { io::x } }",
            "io::x",
        ),
    ] {
        let found: Vec<String> = paths(&module, source)
            .into_iter()
            .map(|path| path.join("::"))
            .collect();
        assert_eq!(found.join(" "), leads_to, "{source}");
    }
}
