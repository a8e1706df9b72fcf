//! Names of headers that some servers take for others.

/// What is `_` in a variable of CGI: of most servers `-` and `_`, of some (lighttpd) all that is
/// neither a letter nor a digit.
#[inline]
pub(crate) const fn reads_as_hyphen(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

/// Whether something else in a name is taken for `-`.
#[inline]
pub(crate) fn has_other_hyphens(name: &str) -> bool {
    name.bytes()
        .any(|byte| byte != b'-' && reads_as_hyphen(byte))
}
