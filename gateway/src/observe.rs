//! What the gateway tells about itself: metrics and the access log. Both are
//! built for the request path: handles are resolved when a snapshot is
//! compiled, lines are formatted and written by another thread.

pub mod access_log;
pub mod metrics;
