//! The refusals in which several traps end.

use crate::house::{METADATA, No, no};

/// Nobody said who is calling.
pub fn stranger() -> No {
    no(401, "no_token")
        .challenge(&format!(r#"Bearer scope="read:data", {METADATA}"#))
        .oauth("invalid_token", "Authentication is required")
}

/// No scope would help.
pub fn denied(id: &str) -> No {
    no(403, "denied")
        .rpc(id, -31403, "This is not allowed", "")
        .by("alice")
}

/// These scopes are needed, and none but them is held.
pub fn lacks(id: &str, needed: &str) -> No {
    let list: Vec<_> = needed.split(' ').map(|one| format!("{one:?}")).collect();
    no(403, "insufficient_scope")
        .challenge(&format!(
            r#"Bearer error="insufficient_scope", scope="{needed}", {METADATA}"#
        ))
        .rpc(
            id,
            -31403,
            "The access token lacks a scope",
            &format!(r#"{{"required":[{}]}}"#, list.join(",")),
        )
        .by("alice")
        .needs(needed)
}

/// The message was not read.
pub fn unread(code: i32, id: &str, message: &str) -> No {
    let reason = match code {
        -32020 => "header_mismatch",
        _ => "malformed_message",
    };
    no(400, reason).rpc(id, code, message, "").by("alice")
}
