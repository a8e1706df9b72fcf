use std::time::Duration;

use tower_layer::Layer;

use super::{StreamGuardService, open::OpenStreams};
use crate::layers::shared::{Common, FailMode, common_settings};

/// What token checks allow, unless said otherwise.
const LEEWAY: Duration = Duration::from_secs(30);
/// How many streams a principal has at once, unless said otherwise.
const MAX_STREAMS: usize = 32;

/// Ends streams that outlive their token. See the [module docs](crate::layers::stream_guard).
#[derive(Clone, Debug)]
#[must_use]
pub struct StreamGuardLayer<V> {
    pub(crate) config: Config<V>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<V> {
    pub(crate) common: Common,
    /// `None`: nothing can be revoked.
    pub(super) store: Option<V>,
    pub(super) fail_mode: FailMode,
    pub(super) leeway: Duration,
    pub(super) max_streams: usize,
    pub(super) cuts_answers: bool,
    pub(super) streams: OpenStreams,
}

impl<V> StreamGuardLayer<V> {
    /// Asks `store` about the tokens of open streams: the store of the
    /// [`RevocationLayer`](crate::RevocationLayer).
    pub fn new(store: V) -> Self {
        Self::of(Some(store))
    }

    /// The layer of a stack, where nothing may be revocable.
    pub(crate) fn of(store: Option<V>) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
                fail_mode: FailMode::default(),
                leeway: LEEWAY,
                max_streams: MAX_STREAMS,
                cuts_answers: false,
                streams: OpenStreams::default(),
            },
        }
    }

    /// The same with another store. The streams that are open count on.
    pub(crate) fn asking<V2>(
        &self,
        store: Option<V2>,
        fail_mode: FailMode,
    ) -> StreamGuardLayer<V2> {
        StreamGuardLayer {
            config: Config {
                common: self.config.common.clone(),
                store,
                fail_mode,
                leeway: self.config.leeway,
                max_streams: self.config.max_streams,
                cuts_answers: self.config.cuts_answers,
                streams: self.config.streams.clone(),
            },
        }
    }

    /// Lets streams go on while the store cannot answer: a revoked token is honoured then.
    pub const fn dangerous_fail_open(mut self) -> Self {
        self.config.fail_mode.open();
        self
    }

    /// Lets streams go on for so long after the token's `exp` (default 30 s): what the token check
    /// allows.
    pub const fn with_leeway(mut self, leeway: Duration) -> Self {
        self.config.leeway = leeway;
        self
    }

    /// Lets a principal have so many streams at once (default 32), on this instance.
    pub const fn with_max_streams(mut self, streams: usize) -> Self {
        self.config.max_streams = streams;
        self
    }

    /// Cuts event streams that answer a call, too, when the token expires or is revoked: the
    /// answer is lost then, and the work behind it is cancelled.
    pub const fn cut_answers(mut self) -> Self {
        self.config.cuts_answers = true;
        self
    }

    common_settings!();
}

impl<S, V: Clone> Layer<S> for StreamGuardLayer<V> {
    type Service = StreamGuardService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        StreamGuardService::new(inner, self.config.clone())
    }
}
