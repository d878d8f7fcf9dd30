//! Runs a test once more in a network namespace of its own, where 10.77.0.0/16
//! is local: addresses that are not loopback.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests; each uses a part of it"
)]

use std::io::Write;
use std::process::Command;

/// Set in the inner run.
const INSIDE: &str = "TIDEGATE_TEST_NAMESPACE";

/// `$0` is the resolv.conf, or nothing.
const SETUP: &str = "ip link set lo up && ip route add local 10.77.0.0/16 dev lo && \
    { test -z \"$0\" || mount --bind \"$0\" /etc/resolv.conf; } && exec \"$@\"";

/// True in the inner run. In the outer one: runs the inner one, fails if it
/// fails, and returns false.
pub fn entered(test: &str) -> bool {
    run(test, "")
}

/// The same, where names are resolved as this resolv.conf says.
pub fn entered_with(test: &str, resolv_conf: &str) -> bool {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(resolv_conf.as_bytes()).unwrap();
    run(test, file.path().to_str().unwrap())
}

fn run(test: &str, resolv_conf: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "--", "sh", "-c", SETUP])
        .arg(resolv_conf)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) is there");
    assert!(status.success(), "the test in its network namespace failed");
    false
}
