//! What is asked: the messages of a request, read once, in a way that no parser behind can read
//! differently.

mod operation;
mod request;
mod version;

pub use self::{
    operation::{Operation, Target},
    request::{McpRequest, Message, MessageKind, RequestId},
    version::ProtocolVersion,
};
