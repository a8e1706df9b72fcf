//! The methods that a client may call, by revision.

use crate::mcp::ProtocolVersion;

/// The three revisions that `initialize` opens: sessions.
const SESSIONS: u8 = bits(&[
    ProtocolVersion::V2025_03_26,
    ProtocolVersion::V2025_06_18,
    ProtocolVersion::V2025_11_25,
]);
const V2025_11_25: u8 = bits(&[ProtocolVersion::V2025_11_25]);
const V2026_07_28: u8 = bits(&[ProtocolVersion::V2026_07_28]);
const ALL: u8 = SESSIONS | V2026_07_28;

/// Every method of `ClientRequest` and `ClientNotification` in the schemas of the revisions, and
/// those of the tasks extension of 2026-07-28. The most frequent stands first.
const METHODS: [(&str, u8); 28] = [
    ("tools/call", ALL),
    ("tools/list", ALL),
    ("resources/read", ALL),
    ("resources/list", ALL),
    ("resources/templates/list", ALL),
    ("prompts/get", ALL),
    ("prompts/list", ALL),
    ("completion/complete", ALL),
    ("ping", SESSIONS),
    ("initialize", SESSIONS),
    ("notifications/initialized", SESSIONS),
    ("notifications/cancelled", ALL),
    ("notifications/progress", SESSIONS),
    ("notifications/roots/list_changed", SESSIONS),
    ("notifications/tasks/status", V2025_11_25),
    ("server/discover", V2026_07_28),
    ("subscriptions/listen", V2026_07_28),
    ("resources/subscribe", SESSIONS),
    ("resources/unsubscribe", SESSIONS),
    ("logging/setLevel", SESSIONS),
    ("tasks/get", V2025_11_25 | V2026_07_28),
    ("tasks/cancel", V2025_11_25 | V2026_07_28),
    ("tasks/update", V2026_07_28),
    ("tasks/result", V2025_11_25),
    ("tasks/list", V2025_11_25),
    // Not methods, but the names of the operations that have none.
    ("GET", 0),
    ("DELETE", 0),
    ("response", 0),
];

const fn bits(versions: &[ProtocolVersion]) -> u8 {
    let (mut bits, mut rest) = (0, versions);
    while let [version, tail @ ..] = rest {
        bits |= bit(*version);
        rest = tail;
    }
    bits
}

const fn bit(version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V2025_03_26 => 1,
        ProtocolVersion::V2025_06_18 => 2,
        ProtocolVersion::V2025_11_25 => 4,
        // An unknown version is held to the rules of the newest one.
        ProtocolVersion::V2026_07_28 | ProtocolVersion::Unknown => 8,
    }
}

pub(super) fn defines(version: ProtocolVersion, method: &str) -> bool {
    METHODS
        .iter()
        .any(|(name, versions)| *name == method && versions & bit(version) != 0)
}

/// The same name as a constant, where it is one of ours.
pub(super) fn known(method: &str) -> Option<&'static str> {
    METHODS
        .iter()
        .map(|(name, _)| *name)
        .find(|name| *name == method)
}

/// Whether a message must not use this name, because it stands for what is no message.
pub(super) fn is_taken(method: &str) -> bool {
    matches!(
        method,
        "GET" | "DELETE" | "response" | "batch" | "metadata" | "preflight" | "stream_end"
    )
}
