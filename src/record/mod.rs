//! Recording a command: the capture loop and its parts.
