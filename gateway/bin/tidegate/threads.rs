//! How many threads serve traffic: the container's CPU limit, rounded up. One
//! thread too many is throttled now and then; one too few wastes what was paid
//! for.

use std::fs;
use std::num::NonZero;
use std::thread::available_parallelism;

/// The number to start.
pub(crate) fn count(wanted: Option<u16>) -> usize {
    if let Some(wanted) = wanted {
        return usize::from(wanted);
    }
    // The standard library knows of the quota but rounds it down.
    let whole = available_parallelism().map_or(1, NonZero::get);
    let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max")
        .ok()
        .as_deref()
        .and_then(rounded_up);
    match quota {
        Some(quota) if quota == whole + 1 => quota,
        _ => whole,
    }
}

/// The processors in `cpu.max` (cgroup v2: quota and period in microseconds),
/// rounded up; `None` without a limit.
fn rounded_up(cpu_max: &str) -> Option<usize> {
    let mut fields = cpu_max.split_ascii_whitespace();
    let quota: usize = fields.next()?.parse().ok()?;
    let period: usize = fields.next()?.parse().ok()?;
    (period > 0).then(|| quota.div_ceil(period).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_up() {
        assert_eq!(rounded_up("150000 100000\n"), Some(2));
        assert_eq!(rounded_up("200000 100000\n"), Some(2));
        assert_eq!(rounded_up("10000 100000\n"), Some(1));
        assert_eq!(rounded_up("max 100000\n"), None);
        assert_eq!(rounded_up(""), None);
    }

    #[test]
    fn a_wish_is_a_command() {
        assert_eq!(count(Some(3)), 3);
        assert!(count(None) >= 1);
    }
}
