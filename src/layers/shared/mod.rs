//! What several layers need.

mod ask;
mod common;
mod passing;

pub(crate) use self::{
    ask::{Judge, ResponseFuture},
    common::{Common, common_settings, take_token, trail},
    passing::Passing,
};
