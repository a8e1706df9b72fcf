//! The revisions of the protocol.

use std::fmt;

use crate::mcp::methods;

/// A revision of MCP, in the order in which they were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// Sessions, GET, DELETE, and batches. What says no version is held to this one, and what says
    /// an older one.
    V2025_03_26,
    /// Sessions, GET and DELETE.
    V2025_06_18,
    /// Sessions, GET and DELETE.
    V2025_11_25,
    /// Stateless: POST only, mirrored headers, `_meta` in every request.
    V2026_07_28,
    /// A version that is not known here: held to the rules of the newest one that is, and passed
    /// on, so that the server can say which ones it knows.
    Unknown,
}

impl ProtocolVersion {
    /// Reads the text of a version.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            // The two before it have no transport of this kind, but servers that choose them do, and
            // their clients name them in the header.
            "2025-03-26" | "2024-11-05" | "2024-10-07" => Self::V2025_03_26,
            "2025-06-18" => Self::V2025_06_18,
            "2025-11-25" => Self::V2025_11_25,
            "2026-07-28" => Self::V2026_07_28,
            _ => Self::Unknown,
        }
    }

    /// Whether it has no sessions: each request stands alone, and mirrors parts of its body in headers.
    #[must_use]
    pub fn is_stateless(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether a client of this revision may send this method: its requests and notifications by
    /// the schema of the revision, and in 2026-07-28 those of the tasks extension.
    ///
    /// ```
    /// use mcp_auth::ProtocolVersion;
    ///
    /// assert!(ProtocolVersion::V2025_11_25.defines("logging/setLevel"));
    /// assert!(!ProtocolVersion::V2026_07_28.defines("logging/setLevel"));
    /// ```
    #[must_use]
    pub fn defines(self, method: &str) -> bool {
        methods::defines(self, method)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
            Self::Unknown => "unknown",
        })
    }
}
