//! The name of a request in the log.

use std::fmt;

use serde::{Serialize, Serializer};

/// The name of a request in the log: unique there, 32 hexadecimal digits where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestName {
    thread: u64,
    request: u64,
}

impl RequestName {
    pub(crate) const fn new(thread: u64, request: u64) -> Self {
        Self { thread, request }
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.thread, self.request)
    }
}

impl Serialize for RequestName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stand_in_hexadecimal_digits() {
        assert_eq!(
            RequestName::new(0xfedc_ba98_7654_3210, 10).to_string(),
            "fedcba9876543210000000000000000a"
        );
    }
}
