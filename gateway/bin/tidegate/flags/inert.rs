//! Flags of ingress-nginx that mean nothing here, or nothing yet. Each says
//! what happens instead.

use super::Value::{Switch, Text};
use super::{Effect, Flag, Value};

const fn inert(name: &'static str, value: Value, instead: &'static str) -> Flag {
    Flag {
        name,
        value,
        effect: Effect::Inert(instead),
    }
}

const BUCKETS: &str = "histograms have fixed buckets; see --time-buckets";
const GEOIP: &str = "there is no GeoIP";
const KLOG: &str = "messages go to standard error; see log in the settings";
const LOOPBACK: &str = "there is no second process to talk to";
const PROFILER: &str = "there is no profiler";

#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    inert("bucket-factor", Text("N"), BUCKETS),
    inert("default-server-port", Text("PORT"), "the default backend is built in and needs no port"),
    inert("disable-full-test", Switch, "nothing is rendered to test an object: it is parsed"),
    inert("dynamic-configuration-retries", Text("N"), "changes are applied in memory and need no retries"),
    inert("enable-annotation-validation", Switch, "annotations are parsed, and so always validated, one by one"),
    inert("enable-metrics", Switch, "metrics are always on"),
    inert("enable-ssl-chain-completion", Switch, "chains are served as the Secret has them"),
    inert("health-check-timeout", Text("SECONDS"), "the health check asks no other process"),
    inert("internal-logger-address", Text("ADDRESS"), LOOPBACK),
    inert("max-buckets", Text("N"), BUCKETS),
    inert("maxmind-edition-ids", Text("LIST"), GEOIP),
    inert("maxmind-license-key", Text("KEY"), GEOIP),
    inert("maxmind-mirror", Text("URL"), GEOIP),
    inert("maxmind-retries-count", Text("N"), GEOIP),
    inert("maxmind-retries-timeout", Text("DURATION"), GEOIP),
    inert("monitor-max-batch-size", Text("N"), "requests are counted where they are served, not in batches"),
    inert("post-shutdown-grace-period", Text("SECONDS"), "the process ends as soon as the last request is done"),
    inert("profiler-address", Text("ADDRESS"), PROFILER),
    inert("profiler-port", Text("PORT"), PROFILER),
    inert("profiling", Switch, PROFILER),
    inert("ssl-passthrough-proxy-port", Text("PORT"), "TLS passthrough needs no port of its own"),
    inert("status-port", Text("PORT"), LOOPBACK),
    inert("status-update-interval", Text("SECONDS"), "statuses are written at once, when they change"),
    inert("stream-port", Text("PORT"), LOOPBACK),
    inert("sync-period", Text("DURATION"), "objects are watched, never read again by the clock"),
    inert("sync-rate-limit", Text("N"), "changes are applied at once; there is no reload to limit"),
    // klog's.
    inert("add_dir_header", Switch, KLOG),
    inert("alsologtostderr", Switch, KLOG),
    inert("log_backtrace_at", Text("WHERE"), KLOG),
    inert("log_dir", Text("DIR"), KLOG),
    inert("log_file", Text("FILE"), KLOG),
    inert("log_file_max_size", Text("N"), KLOG),
    inert("logtostderr", Switch, KLOG),
    inert("one_output", Switch, KLOG),
    inert("skip_headers", Switch, KLOG),
    inert("skip_log_headers", Switch, KLOG),
    inert("stderrthreshold", Text("LEVEL"), KLOG),
    inert("vmodule", Text("LIST"), KLOG),
    // Removed from ingress-nginx long ago, and still found in manifests.
    inert("enable-dynamic-certificates", Switch, "certificates are always exchanged without a reload"),
    inert("enable-dynamic-configuration", Switch, "changes are always applied without a reload"),
    inert("force-namespace-isolation", Switch, "use --watch-namespace"),
    inert("sort-backends", Switch, "the order of endpoints never changes by itself"),
];
