//! The official conformance suite, against one server: as it is, behind the whole stack, and behind the
//! gateway. What the suite finds must be the same, check by check.
//!
//! `tests/e2e/conformance.sh` installs the suite and runs this.

#![allow(
    deprecated, // In 2026-07-28: the revisions before it still have it.
    clippy::indexing_slicing
)]

mod gateway;
mod server;
mod servers;
mod suite;
#[path = "../../support/mod.rs"]
mod support;

use std::{error::Error, process::ExitCode};

use futures_util::future::try_join_all;

use self::{gateway::Gated, servers::Guarded, suite::Suite};

type Failure = Box<dyn Error + Send + Sync>;

/// What is run: a name to print, the suite's arguments, and how many checks must succeed at least.
const RUNS: [(&str, &[&str], usize); 4] = [
    (
        "2025-03-26",
        &["--suite", "all", "--spec-version", "2025-03-26"],
        3,
    ),
    (
        "2025-06-18",
        &["--suite", "all", "--spec-version", "2025-06-18"],
        56,
    ),
    ("2025-11-25", &["--requirements", "2025-11-25"], 80),
    ("2026-07-28", &["--requirements", "2026-07-28"], 190),
];

#[tokio::main]
async fn main() -> ExitCode {
    match compare().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("conformance: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was the same.
async fn compare() -> Result<bool, Failure> {
    let home = std::env::var_os("CONFORMANCE_HOME")
        .ok_or("CONFORMANCE_HOME is not set: run tests/e2e/conformance.sh")?;
    let suite = Suite::installed_in(home);
    let bare = servers::bare().await?;
    let guarded = Guarded::start().await?;
    let gated = Gated::start(&servers::bare().await?).await?;
    let ways = [
        ("direct", &*bare),
        ("through the stack", guarded.url()),
        ("through the gateway", gated.url()),
    ];
    let mut same = true;
    for (revision, selection, least) in RUNS {
        let runs = ways.map(|(_, url)| suite.run(url, selection));
        let found = try_join_all(runs).await?;
        let Some((direct, others)) = found.split_first() else {
            return Ok(false);
        };
        println!("{revision}, direct: {direct}");
        // What fails without the stack compares nothing.
        if direct.count("FAILURE") > 0 || direct.count("SUCCESS") < least {
            eprintln!("{revision}, direct: at least {least} checks must succeed, and none fail");
            same = false;
        }
        for ((way, _), through) in ways.iter().skip(1).zip(others) {
            println!("{revision}, {way}: {through}");
            for line in direct.beyond(through) {
                eprintln!("{revision}, not {way}: {line}");
                same = false;
            }
            for line in through.beyond(direct) {
                eprintln!("{revision}, only {way}: {line}");
                same = false;
            }
        }
    }
    guarded.was_guarded().await?;
    Ok(same)
}
