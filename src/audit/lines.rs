//! Lines for a writer that may fail, and tear one.

use std::{
    io::{self, Write},
    mem,
};

use crate::audit::AuditEvent;

/// Writes lines, and knows whether the last one is whole.
pub(super) struct Lines<W> {
    writer: W,
    text: Vec<u8>,
    is_torn: bool,
    is_failing: bool,
}

impl<W: Write> Lines<W> {
    pub(super) const fn new(writer: W) -> Self {
        Self {
            writer,
            text: Vec::new(),
            is_torn: false,
            is_failing: false,
        }
    }

    /// Gives how many events are not in the log whole.
    pub(super) fn write(&mut self, batch: &[AuditEvent]) -> u64 {
        self.text.clear();
        if self.is_torn {
            self.text.push(b'\n');
        }
        let mut ends = Vec::with_capacity(batch.len());
        for event in batch {
            event.write_json(&mut self.text);
            // Without its newline: where that alone is missing, the next line begins with it.
            ends.push(self.text.len());
            self.text.push(b'\n');
        }
        let (written, outcome) = self.write_text();
        if written > 0 {
            self.is_torn = self.text.get(written - 1) != Some(&b'\n');
        }
        match outcome.and_then(|()| self.writer.flush()) {
            Ok(()) => {
                if mem::take(&mut self.is_failing) {
                    tracing::info!("the audit log is written again");
                }
            }
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::error!(%error, "the audit log cannot be written");
            }
            Err(_) => {}
        }
        ends.iter().filter(|&&end| end > written).count() as u64
    }

    fn write_text(&mut self) -> (usize, io::Result<()>) {
        let mut rest = self.text.as_slice();
        while !rest.is_empty() {
            let outcome = match self.writer.write(rest) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    rest = rest.get(n..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            return (self.text.len() - rest.len(), outcome);
        }
        (self.text.len(), Ok(()))
    }
}
