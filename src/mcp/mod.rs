//! What is asked: the messages of a request, read once, in a way that no parser behind can read
//! differently.

mod answer;
mod edit;
mod envelope;
mod error;
mod headers;
mod keys;
mod list;
mod member;
mod message;
mod methods;
mod mirror;
mod name;
mod operation;
mod read;
mod request;
mod sse;
mod version;

pub(crate) use self::{
    answer::Unreadable,
    edit::{Edit, apply},
    headers::MirroredHeaders,
    list::Lists,
    read::read,
    sse::{Data, EventEnds, Events, IsFirst, TooLong},
};
pub use self::{
    error::MessageError,
    name::TargetName,
    operation::{Operation, Target},
    request::{McpRequest, Message, MessageKind, RequestId},
    version::ProtocolVersion,
};
