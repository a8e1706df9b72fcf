//! Event streams (WHATWG HTML, section 9.2): where an event ends, and where its data stands.

use std::{mem, ops::Range};

use crate::mcp::edit::{Edit, apply};

/// Finds the ends of events in a stream, byte by byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventEnds {
    /// The present line has no bytes yet.
    line_is_blank: bool,
    after_cr: bool,
    inside: bool,
}

impl Default for EventEnds {
    fn default() -> Self {
        Self {
            line_is_blank: true,
            after_cr: false,
            inside: false,
        }
    }
}

impl EventEnds {
    /// Takes the next byte in, and says whether an event ends with it. After a carriage return
    /// that ended one, a line feed belongs to that end.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let after_cr = mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => false,
            b'\r' | b'\n' => {
                let ends = mem::replace(&mut self.line_is_blank, true);
                self.inside &= !ends;
                ends
            }
            _ => {
                self.line_is_blank = false;
                self.inside = true;
                false
            }
        }
    }

    /// Whether an event has begun and not ended.
    pub(crate) const fn is_inside(self) -> bool {
        self.inside
    }
}

/// Cuts a stream into events, of at most so many bytes each.
#[derive(Debug)]
pub(crate) struct Events {
    buffer: Vec<u8>,
    /// What stands before is a part of an event that has not ended.
    scanned: usize,
    ends: EventEnds,
    limit: usize,
    is_first: bool,
}

/// An event is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Events {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            scanned: 0,
            ends: EventEnds::default(),
            limit,
            is_first: true,
        }
    }

    /// Takes the next bytes in, and hands over each event that is complete by now, with the blank
    /// line at its end.
    pub(crate) fn push<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        mut event: impl FnMut(&[u8], IsFirst) -> Result<(), E>,
    ) -> Result<(), E> {
        self.buffer.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(byte) = self.buffer.get(self.scanned) {
            let continues_end = self.scanned == begin && *byte == b'\n' && self.ends.after_cr;
            self.scanned += 1;
            let mut ends = self.ends.push(*byte) || continues_end;
            // The line feed of the same end goes with it.
            if ends && self.ends.after_cr && self.buffer.get(self.scanned) == Some(&b'\n') {
                ends |= self.ends.push(b'\n');
                self.scanned += 1;
            }
            if self.scanned - begin > self.limit {
                return Err(TooLong.into());
            }
            if ends {
                let is_first = IsFirst(mem::replace(&mut self.is_first, false));
                event(
                    self.buffer.get(begin..self.scanned).unwrap_or_default(),
                    is_first,
                )?;
                begin = self.scanned;
            }
        }
        self.buffer.drain(..begin);
        self.scanned -= begin;
        Ok(())
    }

    /// What came after the last event, once the stream has ended.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, IsFirst) {
        self.scanned = 0;
        (
            mem::take(&mut self.buffer),
            IsFirst(mem::replace(&mut self.is_first, false)),
        )
    }
}

/// Whether an event is the first of its stream, which may begin with a byte order mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsFirst(bool);

/// The data of an event: its lines joined by line feeds, and where each stands in the event.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) text: Vec<u8>,
    lines: Vec<Range<usize>>,
}

impl Data {
    /// `None`: the event has none.
    pub(crate) fn of(event: &[u8], is_first: IsFirst) -> Option<Self> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let mut lines = Vec::new();
        let mut begin = match event.strip_prefix(MARK) {
            Some(_) if is_first.0 => MARK.len(),
            _ => 0,
        };
        for line in event
            .get(begin..)
            .unwrap_or_default()
            .split_inclusive(|byte| matches!(byte, b'\r' | b'\n'))
        {
            let end = begin + line.len();
            let content = match line {
                [content @ .., b'\r' | b'\n'] => content,
                _ => line,
            };
            match content.strip_prefix(b"data") {
                Some([b':', b' ', value @ ..] | [b':', value @ ..]) => {
                    let start = begin + content.len() - value.len();
                    lines.push(start..start + value.len());
                }
                Some([]) => lines.push(begin + content.len()..begin + content.len()),
                _ => {}
            }
            begin = end;
        }
        if lines.is_empty() {
            return None;
        }
        let parts: Vec<_> = lines
            .iter()
            .map(|line| event.get(line.clone()).unwrap_or_default())
            .collect();
        Some(Self {
            text: parts.join(&b'\n'),
            lines,
        })
    }

    /// The event after changes of its data's text. A line feed between two lines stays.
    pub(crate) fn apply(&self, event: &[u8], edits: &[Edit]) -> Vec<u8> {
        let mut of_event = Vec::with_capacity(edits.len());
        for edit in edits {
            let mut with = edit.with;
            let mut line_start = 0;
            for line in &self.lines {
                let line_end = line_start + line.len();
                let start = edit.range.start.max(line_start);
                let end = edit.range.end.min(line_end);
                if start < end {
                    of_event.push(Edit {
                        range: line.start + start - line_start..line.start + end - line_start,
                        with: mem::take(&mut with),
                    });
                }
                line_start = line_end + 1;
            }
        }
        apply(event, &of_event)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Stop;

    impl From<TooLong> for Stop {
        fn from(_: TooLong) -> Self {
            Self
        }
    }

    fn cut(chunks: &[&str]) -> (Vec<String>, String) {
        let mut events = Events::new(1000);
        let mut cut = Vec::new();
        for chunk in chunks {
            events
                .push(chunk.as_bytes(), |event, _| {
                    cut.push(String::from_utf8_lossy(event).into_owned());
                    Ok::<_, Stop>(())
                })
                .unwrap();
        }
        let rest = String::from_utf8(events.rest().0).unwrap();
        (cut, rest)
    }

    #[test]
    fn events_end_with_a_blank_line_of_any_kind() {
        for end in ["\n\n", "\r\n\r\n", "\r\r", "\n\r", "\r\n\n", "\n\r\n"] {
            let (one, two) = (format!("id: 1{end}"), format!("data: x{end}"));
            let whole = format!("{one}{two}data: r");
            let expected = vec![one.clone(), two.clone()];
            assert_eq!(cut(&[&whole]), (expected, "data: r".into()), "{end:?}");
            // Byte by byte the same bytes come, each event no later than its first possible end.
            let bytes: Vec<_> = whole.split_inclusive(|_| true).collect();
            let (events, rest) = cut(&bytes);
            assert_eq!(events.concat() + &rest, whole, "{end:?}");
        }
        // The end is there with the first carriage return: nobody waits for the line feed.
        assert_eq!(
            cut(&["data: x\r\n\r", "\n", "data: y\n\n"]).0,
            ["data: x\r\n\r", "\n", "data: y\n\n"]
        );
    }

    #[test]
    fn an_event_has_an_end() {
        let mut events = Events::new(10);
        let mut push = |bytes: &[u8]| events.push(bytes, |_, _| Ok::<_, Stop>(()));
        assert_eq!(push(b"data: 56\n\ndata: 56\n\n"), Ok(()));
        assert_eq!(push(b"data: 567"), Ok(()));
        assert_eq!(push(b"89"), Err(Stop));
    }

    #[test]
    fn ends_are_told_from_the_middle() {
        let mut ends = EventEnds::default();
        let mut after = |text: &str| {
            text.bytes().for_each(|byte| {
                ends.push(byte);
            });
            ends.is_inside()
        };
        assert!(!after(""));
        assert!(after("data: x"));
        assert!(after("\r\n"));
        assert!(!after("\r\n"));
        assert!(after(":"));
        assert!(!after("\n\n"));
    }

    #[test]
    fn data_is_found_as_clients_find_it() {
        let of = |event: &str, first| {
            Data::of(event.as_bytes(), IsFirst(first))
                .map(|data| String::from_utf8(data.text).unwrap())
        };
        assert_eq!(
            of("event: x\ndata: a\r\ndata:b\rdata\n\n", false).unwrap(),
            "a\nb\n"
        );
        assert_eq!(of("data:  a\n\n", false).unwrap(), " a");
        assert_eq!(of("id: 1\ndata:\n\n", false).unwrap(), "");
        assert_eq!(of("\u{feff}data: a\n\n", true).unwrap(), "a");
        for none in [
            "\u{feff}data: a\n\n",
            "id: 1\n\n",
            ": data: a\n\n",
            "datax: a\n\n",
            " data: a\n\n",
            "",
        ] {
            assert_eq!(of(none, false), None, "{none:?}");
        }
    }

    #[test]
    fn edits_of_the_data_keep_its_lines() {
        let event = b"id: 1\ndata: abc\r\ndata:def\n\n";
        let data = Data::of(event, IsFirst(false)).unwrap();
        assert_eq!(data.text, b"abc\ndef");
        let edits = [
            Edit {
                range: 0..1,
                with: "XY",
            },
            Edit::remove(2..6),
        ];
        assert_eq!(data.apply(event, &edits), b"id: 1\ndata: XYb\r\ndata:f\n\n");
    }
}
