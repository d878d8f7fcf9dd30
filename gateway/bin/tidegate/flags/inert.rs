//! Flags of ingress-nginx that change nothing here. Each says why, and what
//! happens instead.

use tidegate_controller::verdict::Verdict;

use super::Value::{Switch, Text};
use super::{Effect, Flag, Value};

const fn flag(name: &'static str, value: Value, verdict: Verdict) -> Flag {
    Flag {
        name,
        value,
        effect: Effect::None(verdict),
        difference: "",
    }
}

/// It tunes nginx or Go.
const fn inert(name: &'static str, value: Value, instead: &'static str) -> Flag {
    flag(name, value, Verdict::NoMeaning(instead))
}

/// What it switches is on, whatever it says.
const fn on(name: &'static str, difference: &'static str) -> Flag {
    flag(name, Switch, Verdict::Differs(difference))
}

const fn refused(name: &'static str, value: Value, why: &'static str, instead: &'static str) -> Flag {
    flag(name, value, Verdict::Refused { why, instead })
}

const fn removed(name: &'static str, instead: &'static str) -> Flag {
    flag(name, Switch, Verdict::Removed(instead))
}

const HISTOGRAMS: &str = "there are no native histograms";
const BUCKETS: &str = "choose buckets by --time-buckets and --length-buckets";
const DOWNLOADS: &str = "nothing is downloaded";
const DATABASES: &str = "mount the databases into the folder of geoip.directory";
const KLOG: &str = "messages go to standard error; see log in the settings";
const LOOPBACK: &str = "there is no second process to talk to";
const PROFILER: &str = "there is no profiler";

#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    refused("bucket-factor", Text("N"), HISTOGRAMS, BUCKETS),
    inert("default-server-port", Text("PORT"), "the default backend is built in and needs no port"),
    inert("disable-full-test", Switch, "nothing is rendered to test an object: it is parsed"),
    inert("dynamic-configuration-retries", Text("N"), "changes are applied in memory and need no retries"),
    on("enable-annotation-validation", "annotations are parsed, and so always validated, one by one"),
    on("enable-metrics", "metrics are always on, at the admin port"),
    refused("enable-ssl-chain-completion", Switch, "chains are served as the Secret has them", "put the intermediate certificates into `tls.crt`"),
    inert("health-check-timeout", Text("SECONDS"), "the health check asks no other process"),
    inert("internal-logger-address", Text("ADDRESS"), LOOPBACK),
    inert("max-buckets", Text("N"), "it is about native histograms: see --bucket-factor"),
    refused("maxmind-license-key", Text("KEY"), DOWNLOADS, DATABASES),
    refused("maxmind-mirror", Text("URL"), DOWNLOADS, DATABASES),
    inert("maxmind-retries-count", Text("N"), DOWNLOADS),
    inert("maxmind-retries-timeout", Text("DURATION"), DOWNLOADS),
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
    refused("log_dir", Text("DIR"), KLOG, ""),
    refused("log_file", Text("FILE"), KLOG, ""),
    inert("log_file_max_size", Text("N"), KLOG),
    inert("logtostderr", Switch, KLOG),
    inert("one_output", Switch, KLOG),
    inert("skip_headers", Switch, KLOG),
    inert("skip_log_headers", Switch, KLOG),
    inert("stderrthreshold", Text("LEVEL"), KLOG),
    inert("vmodule", Text("LIST"), KLOG),
    // Removed from ingress-nginx long ago, and still found in manifests.
    removed("enable-dynamic-certificates", "certificates are always exchanged without a reload"),
    removed("enable-dynamic-configuration", "changes are always applied without a reload"),
    removed("force-namespace-isolation", "use --watch-namespace"),
    removed("sort-backends", "the order of endpoints never changes by itself"),
];
