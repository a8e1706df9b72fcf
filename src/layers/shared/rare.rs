//! Removes headers that hardly ever stand there.

use http::{HeaderMap, HeaderName};

/// Removes these headers. A look at the few names that there are costs less than one by the hash of
/// each that there may be.
//
// Inlined, so that the names are constants where they are compared.
#[inline(always)]
pub(crate) fn remove_rare<const N: usize>(headers: &mut HeaderMap, names: [HeaderName; N]) {
    if headers.keys().any(|name| names.contains(name)) {
        for name in names {
            headers.remove(name);
        }
    }
}
