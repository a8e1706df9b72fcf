//! Changes of a text that leave the rest of it as it is, byte for byte.

use std::ops::Range;

/// One change: what goes, and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) with: &'static str,
}

impl Edit {
    pub(crate) const fn remove(range: Range<usize>) -> Self {
        Self { range, with: "" }
    }
}

/// The text after all changes, which do not overlap and stand in order.
pub(crate) fn apply(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut edited = Vec::with_capacity(text.len());
    let mut kept = 0;
    for edit in edits {
        edited.extend_from_slice(text.get(kept..edit.range.start).unwrap_or_default());
        edited.extend_from_slice(edit.with.as_bytes());
        kept = edit.range.end;
    }
    edited.extend_from_slice(text.get(kept..).unwrap_or_default());
    edited
}

/// Where `part`, a slice of `text`, stands in it.
pub(crate) fn range_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start.checked_add(part.len())?;
    text.get(range.clone()).is_some().then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let edits = [
            Edit::remove(0..1),
            Edit {
                range: 3..5,
                with: "xyz",
            },
            Edit::remove(8..9),
        ];
        assert_eq!(apply(b"012345678", &edits), b"12xyz567");
        assert_eq!(apply(b"0", &[]), b"0");
    }

    #[test]
    fn a_part_is_found_where_it_stands() {
        let text = String::from("abcdef");
        assert_eq!(range_in(&text, text.get(2..4).unwrap_or("")), Some(2..4));
        assert_eq!(range_in(&text, "cd"), None);
    }
}
