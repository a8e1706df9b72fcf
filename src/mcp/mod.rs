//! What is asked: the messages of a request, read once, in a way that no parser behind can read
//! differently.

mod depth;
mod envelope;
mod error;
mod headers;
mod keys;
mod member;
mod message;
mod methods;
mod mirror;
mod operation;
mod read;
mod request;
mod version;

pub use self::{
    error::MessageError,
    operation::{Operation, Target},
    request::{McpRequest, Message, MessageKind, RequestId},
    version::ProtocolVersion,
};
pub(crate) use self::{headers::MirroredHeaders, read::read};
