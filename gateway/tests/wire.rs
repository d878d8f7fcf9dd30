//! What the gateway does on the wire, byte for byte where that matters: one
//! module for each subject.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/bodies.rs"]
mod bodies;
#[path = "wire/connections.rs"]
mod connections;
#[path = "wire/forwarded.rs"]
mod forwarded;
#[path = "wire/grpc.rs"]
mod grpc;
#[path = "wire/grpc_backend.rs"]
mod grpc_backend;
#[path = "wire/harness.rs"]
mod harness;
#[path = "wire/http2.rs"]
mod http2;
#[path = "wire/http2_streams.rs"]
mod http2_streams;
#[path = "wire/long_answers.rs"]
mod long_answers;
#[path = "wire/malformed.rs"]
mod malformed;
#[path = "wire/retry.rs"]
mod retry;
#[path = "wire/stream_log.rs"]
mod stream_log;
#[path = "wire/streams.rs"]
mod streams;
#[path = "support/support.rs"]
mod support;
#[path = "wire/upstream_connections.rs"]
mod upstream_connections;
