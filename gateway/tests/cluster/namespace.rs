//! Runs the test once more in a network namespace of its own.

use std::process::Command;

/// Set in the inner run.
const INSIDE: &str = "TIDEGATE_TEST_NAMESPACE";

/// Every address of 10.77.0.0/16 is local there.
const NETWORK: &str = "ip link set lo up && ip route add local 10.77.0.0/16 dev lo && exec \"$@\"";

/// True in the inner run. In the outer one: runs the inner one, fails if it
/// fails, and returns false.
pub fn entered(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net", "--", "sh", "-c", NETWORK, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) is there");
    assert!(status.success(), "the test in its network namespace failed");
    false
}
