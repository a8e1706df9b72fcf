//! Runs the suite against a server, and reads what it found.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::Failure;

/// Far more than a run takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// One finding of the suite. Most scenarios have several.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Check {
    scenario: String,
    id: String,
    status: String,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}, {})", self.scenario, self.id, self.status)
    }
}

/// All that was found, and what the suite said to it each time.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<Check, Vec<String>>);

impl Findings {
    /// How many checks ended with this status.
    pub(crate) fn count(&self, status: &str) -> usize {
        let these = self.0.iter().filter(|(check, _)| check.status == status);
        these.map(|(_, said)| said.len()).sum()
    }

    /// What was found more often here than there, one line each.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (check, said) in &self.0 {
            let (here, there) = (said.len(), other.0.get(check).map_or(0, Vec::len));
            if here > there {
                let said = said.last().map_or("", String::as_str);
                lines.push(format!("{check}: {here} times, not {there}. {said}"));
            }
        }
        lines
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_status = BTreeMap::<&str, usize>::new();
        for (check, said) in &self.0 {
            *by_status.entry(&check.status).or_default() += said.len();
        }
        write!(f, "{} checks", by_status.values().sum::<usize>())?;
        by_status
            .iter()
            .try_for_each(|(status, times)| write!(f, ", {times} {status}"))
    }
}

/// The suite as it was installed into a folder.
#[derive(Debug)]
pub(crate) struct Suite {
    home: PathBuf,
}

impl Suite {
    pub(crate) fn installed_in(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into() }
    }

    /// Runs what `selection` names against `url`.
    pub(crate) async fn run(&self, url: &str, selection: &[&str]) -> Result<Findings, Failure> {
        let results = tempfile::tempdir()?;
        let modules = self.home.join("node_modules");
        let output = Command::new(modules.join("node/bin/node"))
            .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
            .args(["server", "--url", url])
            .args(selection)
            .args([OsStr::new("-o"), results.path().as_os_str()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(PATIENCE, output)
            .await
            .map_err(|_| format!("the suite takes longer than {PATIENCE:?}"))??;
        // The exit status only says that a check failed: the results say which.
        let findings = read(results.path())?;
        if findings.0.is_empty() {
            let Output { stdout, stderr, .. } = output;
            let said = [stdout, stderr].concat();
            let said = String::from_utf8_lossy(&said);
            return Err(format!("the suite made no check: {said}").into());
        }
        Ok(findings)
    }
}

/// Reads the folders of all scenarios.
fn read(results: &Path) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    for folder in fs::read_dir(results)? {
        let folder = folder?.path();
        let scenario = scenario(&folder)
            .ok_or_else(|| format!("{} is no folder of a scenario", folder.display()))?;
        let mut find = |id: &str, status: &str, said: &str| {
            let check = Check {
                scenario: scenario.to_owned(),
                id: id.to_owned(),
                status: status.to_owned(),
            };
            findings.0.entry(check).or_default().push(said.to_owned());
        };
        let file = folder.join("checks.json");
        if !file.exists() {
            find("all", "FAILURE", "The scenario was given up");
            continue;
        }
        for check in serde_json::from_str::<Vec<Value>>(&fs::read_to_string(file)?)? {
            let text = |member: &str| check.get(member).and_then(Value::as_str);
            let id = text("id").ok_or("a check without an id")?;
            let status = text("status").ok_or("a check without a status")?;
            find(id, status, text("errorMessage").unwrap_or(""));
        }
    }
    Ok(findings)
}

/// The scenario of a folder that is called `server-<scenario>-2026-07-28T12-34-56-789Z`.
fn scenario(folder: &Path) -> Option<&str> {
    const TIME: usize = "-2026-07-28T12-34-56-789Z".len();
    let name = folder.file_name()?.to_str()?;
    let (scenario, _) = name.split_at_checked(name.len().checked_sub(TIME)?)?;
    scenario.strip_prefix("server-")
}
