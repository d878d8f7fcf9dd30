//! The cases of ingress-nginx's end-to-end tests that show on the wire: YAML
//! in a directory, the real program, requests over loopback. One module for
//! each of its test files; a test is named after its case there, and its doc
//! comment is what the case claims. What is not tested here, and why, stands
//! in the module's `NOT_TESTED`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/ocsp.rs"]
mod authority;
#[path = "support/dns_server.rs"]
mod dns_server;
#[path = "support/namespace.rs"]
mod namespace;
#[path = "support/program.rs"]
mod program;
#[path = "support/support.rs"]
mod support;

#[path = "compatibility/site.rs"]
mod site;

#[path = "compatibility/admission.rs"]
mod admission;
#[path = "compatibility/affinity.rs"]
mod affinity;
#[path = "compatibility/alias.rs"]
mod alias;
#[path = "compatibility/approot.rs"]
mod approot;
#[path = "compatibility/auth.rs"]
mod auth;
#[path = "compatibility/auth_server.rs"]
mod auth_server;
#[path = "compatibility/authtls.rs"]
mod authtls;
#[path = "compatibility/backends.rs"]
mod backends;
#[path = "compatibility/buffering.rs"]
mod buffering;
#[path = "compatibility/canary.rs"]
mod canary;
#[path = "compatibility/certificates.rs"]
mod certificates;
#[path = "compatibility/connection.rs"]
mod connection;
#[path = "compatibility/cors.rs"]
mod cors;
#[path = "compatibility/custom_header.rs"]
mod custom_header;
#[path = "compatibility/customheaders.rs"]
mod customheaders;
#[path = "compatibility/e2e.rs"]
mod e2e;
#[path = "compatibility/elsewhere.rs"]
mod elsewhere;
#[path = "compatibility/error_pages.rs"]
mod error_pages;
#[path = "compatibility/external_auth.rs"]
mod external_auth;
#[path = "compatibility/external_name.rs"]
mod external_name;
#[path = "compatibility/forcesslredirect.rs"]
mod forcesslredirect;
#[path = "compatibility/forwarded.rs"]
mod forwarded;
#[path = "compatibility/fromtowwwredirect.rs"]
mod fromtowwwredirect;
#[path = "compatibility/geoip.rs"]
mod geoip;
#[path = "compatibility/global_access.rs"]
mod global_access;
#[path = "compatibility/gracefulshutdown.rs"]
mod gracefulshutdown;
#[path = "compatibility/grpc.rs"]
mod grpc;
#[path = "compatibility/ingress_class.rs"]
mod ingress_class;
#[path = "compatibility/ipallowlist.rs"]
mod ipallowlist;
#[path = "compatibility/ipdenylist.rs"]
mod ipdenylist;
#[path = "compatibility/limitconnections.rs"]
mod limitconnections;
#[path = "compatibility/limitrate.rs"]
mod limitrate;
#[path = "compatibility/log_format.rs"]
mod log_format;
#[path = "compatibility/metrics.rs"]
mod metrics;
#[path = "compatibility/ocsp.rs"]
mod ocsp;
#[path = "compatibility/opentelemetry.rs"]
mod opentelemetry;
#[path = "compatibility/otlp.rs"]
mod otlp;
#[path = "compatibility/pathtype.rs"]
mod pathtype;
#[path = "compatibility/preservetrailingslash.rs"]
mod preservetrailingslash;
#[path = "compatibility/proxy_answers.rs"]
mod proxy_answers;
#[path = "compatibility/redirect.rs"]
mod redirect;
#[path = "compatibility/relativeredirects.rs"]
mod relativeredirects;
#[path = "compatibility/rewrite.rs"]
mod rewrite;
#[path = "compatibility/satisfy.rs"]
mod satisfy;
#[path = "compatibility/servicebackend.rs"]
mod servicebackend;
#[path = "compatibility/settings.rs"]
mod settings;
#[path = "compatibility/snippet.rs"]
mod snippet;
#[path = "compatibility/streams.rs"]
mod streams;
#[path = "compatibility/tls.rs"]
mod tls;
#[path = "compatibility/upstreamvhost.rs"]
mod upstreamvhost;
#[path = "compatibility/xforwardedprefix.rs"]
mod xforwardedprefix;
