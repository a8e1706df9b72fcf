//! What several layers need.

mod ask;
mod common;
mod media;
mod passing;

pub(crate) use self::{
    ask::{Judge, ResponseFuture},
    common::{Common, common_settings, take_token, trail},
    media::{is_encoded, is_event_stream, is_json},
    passing::Passing,
};
