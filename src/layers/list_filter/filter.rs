//! What is shown to one caller in the answers to one request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use super::layer::Config;
use crate::{
    layers::shared::Common,
    mcp::{Data, Edit, IsFirst, Lists, McpRequest, TooLong, Unreadable, apply},
    policy::Access,
    reject::Rejection,
    token::VerifiedToken,
    trail::{AuthTrail, StreamEnd},
};

/// The longest list, and the longest event that may hold one, in bytes: as long as a message may be.
pub(super) const MAX_LIST: usize = 4 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    config: Arc<Config>,
    token: VerifiedToken,
    asked: McpRequest,
    lists: Lists,
    trail: Option<AuthTrail>,
}

/// Asks for an answer that can be read.
pub(crate) fn ask_for_plain(headers: &mut HeaderMap) {
    headers.remove(header::ACCEPT_ENCODING);
}

/// Why an answer cannot be filtered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfiltered(&'static str);

impl Unfiltered {
    pub(super) const TOO_LONG: Self = Self("it is longer than 4 MiB");
    pub(super) const ENCODED: Self = Self("it is encoded, which nobody asked for");
    pub(super) const OTHER_TYPE: Self = Self("it is neither JSON nor an event stream");
    pub(super) const BROKEN: Self = Self("it broke off");
}

impl From<TooLong> for Unfiltered {
    fn from(_: TooLong) -> Self {
        Self::TOO_LONG
    }
}

impl From<Unreadable> for Unfiltered {
    fn from(_: Unreadable) -> Self {
        Self("it can be read in more ways than one, or in none")
    }
}

impl Filter {
    /// `None`: the answers hold no list. Boxed, so that a future which holds it stays small.
    #[inline]
    pub(crate) fn of(
        config: &Arc<Config>,
        token: &VerifiedToken,
        asked: &McpRequest,
    ) -> Option<Box<Self>> {
        let lists = Lists::of(asked)?;
        Some(Box::new(Self {
            config: Arc::clone(config),
            token: token.clone(),
            asked: asked.clone(),
            lists,
            trail: None,
        }))
    }

    /// Tells the trail of a stream that it ends.
    pub(crate) fn telling(mut self: Box<Self>, trail: Option<AuthTrail>) -> Box<Self> {
        self.trail = trail;
        self
    }

    pub(crate) fn common(&self) -> &Common {
        &self.config.common
    }

    /// Whether the answer, stream or not, is the list.
    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.lists, Lists::Asked(_))
    }

    fn edits(&self, text: &[u8]) -> Result<Vec<Edit>, Unfiltered> {
        let text = str::from_utf8(text).map_err(|_| Unreadable)?;
        let now = self.config.common.now();
        let edits = self.lists.edits(text, |operation| {
            let access =
                Access::new(&self.token, operation, now).with_version(self.asked.version());
            self.config.policy.decide(&access).is_allowed()
        })?;
        Ok(edits)
    }

    /// A body of JSON as the caller may see it; `None`: as it is.
    pub(super) fn json(&self, body: &[u8]) -> Result<Option<Bytes>, Unfiltered> {
        let edits = self.edits(body)?;
        Ok((!edits.is_empty()).then(|| apply(body, &edits).into()))
    }

    /// An event as the caller may see it, at the end of `out`.
    pub(super) fn event(
        &self,
        event: &[u8],
        is_first: IsFirst,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfiltered> {
        let data = Data::of(event, is_first).filter(|data| is_message(&data.text));
        let edited = match &data {
            Some(data) => {
                let edits = self.edits(&data.text)?;
                (!edits.is_empty()).then(|| data.apply(event, &edits))
            }
            None => None,
        };
        out.extend_from_slice(edited.as_deref().unwrap_or(event));
        Ok(())
    }

    /// Says why, and gives what the caller is told.
    pub(crate) fn fail(&self, why: Unfiltered) -> Rejection {
        tracing::warn!("a list of the upstream is not passed on: {}", why.0);
        Rejection::upstream_error(Some(&self.asked))
    }

    /// The last event of a stream that cannot go on: the answer to the only request, where there
    /// is one.
    pub(super) fn last_event(&self, why: Unfiltered) -> Vec<u8> {
        let rejection = self.fail(why);
        if let Some(trail) = &self.trail {
            trail.stream_ended(StreamEnd {
                reason: rejection.reason(),
                cancelled: false,
                revocation: None,
            });
        }
        match self.asked.id() {
            Some(_) => [b"data: ", &*rejection.to_json(), b"\n\n"].concat(),
            None => Vec::new(),
        }
    }
}

/// Whether some parser could take the data for a message. Ids, names of endpoints and the like are
/// none.
pub(super) fn is_message(data: &[u8]) -> bool {
    match str::from_utf8(data) {
        Ok(text) => text
            .trim_start_matches(|char: char| char.is_whitespace() || char == '\u{feff}')
            .starts_with(['{', '[']),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_message_is_read_as_one() {
        for message in ["{", "[1]", " \t{}", "\u{feff}[]", "\u{a0}\u{2028}{}"] {
            assert!(is_message(message.as_bytes()), "{message}");
        }
        assert!(is_message(b"\xff"));
        for other in ["", " ", "/messages?sessionId=1", "7", "\"{\"", "x{}"] {
            assert!(!is_message(other.as_bytes()), "{other}");
        }
    }
}
