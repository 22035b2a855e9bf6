//! Recording a command: the capture loop and its parts.

pub mod modes;
pub mod queue;
pub mod relay;
pub mod secret;
