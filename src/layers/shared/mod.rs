//! What several layers need.

mod alias;
mod ask;
mod common;
mod fail_mode;
mod fields;
mod media;
mod passing;
mod rare;

pub(crate) use self::{
    alias::{has_other_hyphens, with_hyphens},
    ask::{Judge, ResponseFuture, at_once},
    common::{Common, common_settings, token, trail},
    fail_mode::FailMode,
    fields::{Field, Several, fields},
    media::{is_encoded, is_event_stream, is_json},
    passing::Passing,
    rare::remove_rare,
};
