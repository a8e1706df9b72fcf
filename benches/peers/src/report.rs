//! Results as JSON lines, and as they come on standard error.

use std::{fs::File, io::Write, path::Path};

use serde_json::{Value, json};

/// The file that the lines go to.
pub struct Report(File);

impl Report {
    pub fn append(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path);
        Self(file.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub fn line(&mut self, case: &str, by: &str, mut more: Value) {
        more["case"] = case.into();
        more["crate"] = by.into();
        eprintln!("{case:24} {by:32} {more}");
        writeln!(self.0, "{more}").expect("a line");
    }

    /// What a job cost above doing nothing.
    pub fn net(&mut self, case: &str, by: &str, net_ns: f64, allocs: u64, more: Value) {
        let mut line = json!({ "net_ns": net_ns.round(), "allocs": allocs });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        self.line(case, by, line);
    }

    /// What bare work cost.
    pub fn bare(&mut self, case: &str, ns: f64, allocs: u64) {
        self.line(case, "none", json!({ "ns": ns.round(), "allocs": allocs }));
    }
}
