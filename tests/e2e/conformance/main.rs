//! The official conformance suite, against one server: as it is, and behind the whole stack. What the
//! suite finds must be the same, check by check.
//!
//! `tests/e2e/conformance.sh` installs the suite and runs this.

#![allow(
    deprecated, // In 2026-07-28: the revisions before it still have it.
    clippy::indexing_slicing
)]

mod server;
mod servers;
mod suite;
#[path = "../../support/mod.rs"]
mod support;

use std::{error::Error, process::ExitCode};

use self::{
    servers::{Guarded, bare},
    suite::Suite,
};

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
    let bare = bare().await?;
    let guarded = Guarded::start().await?;
    let mut same = true;
    for (revision, selection, least) in RUNS {
        let (direct, through) = tokio::try_join!(
            suite.run(&bare, selection),
            suite.run(guarded.url(), selection)
        )?;
        println!("{revision} direct:            {direct}");
        println!("{revision} through the stack: {through}");
        let mut wrong = direct.beyond(&through);
        wrong
            .iter_mut()
            .for_each(|line| line.insert_str(0, "direct only: "));
        let beyond = through.beyond(&direct);
        wrong.extend(
            beyond
                .iter()
                .map(|line| format!("through the stack only: {line}")),
        );
        // What fails without the stack compares nothing.
        if direct.count("FAILURE") > 0 || direct.count("SUCCESS") < least {
            wrong.push(format!(
                "at least {least} checks must succeed, and none fail"
            ));
        }
        for line in &wrong {
            eprintln!("{revision} {line}");
        }
        same &= wrong.is_empty();
    }
    guarded.was_guarded().await?;
    Ok(same)
}
