//! Header fields that may stand once.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What stands under a name of which one may stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Field<'a> {
    first: Option<&'a HeaderValue>,
    is_several: bool,
}

/// A field that may stand once stands several times.
pub(crate) struct Several;

impl<'a> Field<'a> {
    /// The only one.
    #[inline]
    pub(crate) const fn only(self) -> Result<Option<&'a HeaderValue>, Several> {
        if self.is_several {
            Err(Several)
        } else {
            Ok(self.first)
        }
    }

    /// The first, if there are several.
    #[inline]
    pub(crate) const fn first(self) -> Option<&'a HeaderValue> {
        self.first
    }
}

/// The fields of these names. One pass over the few that there are costs less than to look for each
/// by its hash.
//
// Inlined, so that the names are constants where they are compared.
#[inline(always)]
pub(crate) fn fields<'a, const N: usize>(
    headers: &'a HeaderMap,
    names: [&HeaderName; N],
) -> [Field<'a>; N] {
    let mut fields = [Field::default(); N];
    for (name, value) in headers {
        for (field, wanted) in fields.iter_mut().zip(names) {
            if name == wanted {
                field.is_several = field.first.is_some();
                field.first = field.first.or(Some(value));
            }
        }
    }
    fields
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::header::{ACCEPT, HOST, ORIGIN};

    use super::*;

    #[test]
    fn one_field_is_told_from_several() {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, "a"), (ACCEPT, "1"), (ACCEPT, "2"), (ACCEPT, "3")] {
            headers.append(name, value.parse().unwrap());
        }
        let [host, accept, origin] = fields(&headers, [&HOST, &ACCEPT, &ORIGIN]);
        assert_eq!(host.only().ok().flatten().unwrap(), "a");
        assert!(accept.only().is_err());
        assert_eq!(accept.first().unwrap(), "1");
        assert!(matches!(origin.only(), Ok(None)) && origin.first().is_none());
    }
}
