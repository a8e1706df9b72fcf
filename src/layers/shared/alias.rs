//! Names of headers that some servers take for others.

/// Whether something else in a name is taken for `-`. What is `_` in a variable of CGI is of most
/// servers `-` and `_`, of some (lighttpd) all that is neither a letter nor a digit.
#[inline]
pub(crate) fn has_other_hyphens(name: &str) -> bool {
    name.bytes()
        .any(|byte| byte != b'-' && !byte.is_ascii_alphanumeric())
}

/// The name with `-` for all that is taken for it.
pub(crate) fn with_hyphens(name: &str) -> String {
    name.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-")
}
