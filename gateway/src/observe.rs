//! What the gateway tells about itself: metrics, the access log and spans. All
//! are built for the request path: handles are resolved when a snapshot is
//! compiled, lines are formatted and written by another thread, spans exported
//! by another task.

pub mod access_log;
pub mod metrics;
pub mod spans;
