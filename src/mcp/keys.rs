//! Member names that every parser reads alike.
//!
//! Parsers differ in which of two equal names wins, and some match names without regard to case.
//! A message in which that could matter is refused, so nobody behind us can read another one.

use std::borrow::Cow;

use crate::json::SERDE_MARK;

/// More members than any message of the protocol has at the levels that are looked at.
const MAX_MEMBERS: usize = 128;

/// The names seen so far in one object.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    /// The names that mean something here.
    reserved: &'static [&'static str],
    seen: u32,
    others: Vec<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// For an object with these names, 32 at most, that mean something.
    pub(super) const fn new(reserved: &'static [&'static str]) -> Self {
        Self {
            reserved,
            seen: 0,
            others: Vec::new(),
        }
    }

    /// Takes a name in; a reserved one has a bit, any other 0.
    ///
    /// The error says, for the caller, why the object cannot be read in one way only.
    #[inline]
    pub(super) fn admit(&mut self, bit: u32, key: Cow<'a, str>) -> Result<(), &'static str> {
        if bit == 0 {
            return self.admit_other(key);
        }
        if self.seen & bit != 0 {
            return Err("A member is repeated");
        }
        self.seen |= bit;
        Ok(())
    }

    fn admit_other(&mut self, key: Cow<'a, str>) -> Result<(), &'static str> {
        // A copy that JavaScript makes of an object with the latter has all members of its prototype.
        if key.starts_with(SERDE_MARK) || key == "__proto__" {
            return Err("A member name is reserved");
        }
        if self.reserved.iter().any(|name| is_twin(&key, name)) {
            return Err("A member name differs from a reserved one only in case");
        }
        if self.others.contains(&key) {
            return Err("A member is repeated");
        }
        if self.others.len() >= MAX_MEMBERS {
            return Err("There are too many members");
        }
        self.others.push(key);
        Ok(())
    }
}

/// Whether some parser that ignores case would take `key` for `reserved`, an ASCII name.
fn is_twin(key: &str, reserved: &str) -> bool {
    key.chars()
        .map(fold)
        .eq(reserved.chars().map(|char| char.to_ascii_lowercase()))
}

/// Folds every character that some standard library folds to an ASCII letter.
const fn fold(char: char) -> char {
    match char {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        _ => char.to_ascii_lowercase(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RESERVED: &[&str] = &["params", "taskId", "_meta", "uri"];

    fn admit<'a>(seen: &mut Keys<'a>, key: Cow<'a, str>) -> Result<(), &'static str> {
        let position = RESERVED.iter().position(|name| *name == key);
        seen.admit(position.map_or(0, |position| 1 << position), key)
    }

    fn admit_all(keys: &[&'static str]) -> Result<(), &'static str> {
        let mut seen = Keys::new(RESERVED);
        keys.iter()
            .try_for_each(|key| admit(&mut seen, (*key).into()))
    }

    #[test]
    fn twins_and_repetition_are_refused() {
        for wrong in [
            ["params", "params"],
            ["x", "x"],
            ["y", "PARAMS"],
            ["y", "param\u{17f}"],
            ["y", "tas\u{212a}id"],
            ["y", "ur\u{131}"],
            ["y", "ur\u{130}"],
            ["taskId", "taskid"],
            ["y", "_Meta"],
            ["y", "$serde_json::private::RawValue"],
            ["y", "$serde_json::private::Number"],
            ["y", "__proto__"],
        ] {
            assert!(admit_all(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(admit_all(&["params", "x", "X", "param", "task_id"]), Ok(()));
    }

    #[test]
    fn there_is_an_end_to_members() {
        let mut seen = Keys::new(RESERVED);
        for member in 0..MAX_MEMBERS {
            assert_eq!(admit(&mut seen, member.to_string().into()), Ok(()));
        }
        assert!(admit(&mut seen, "one more".into()).is_err());
        assert_eq!(admit(&mut seen, "params".into()), Ok(()));
    }
}
