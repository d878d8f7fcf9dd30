//! The process's own figures from `/proc/self`, under the names that every
//! Prometheus client uses (`process_…`). On systems without `/proc` there are
//! none.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family::{Family, descs};

/// Linux shows times in `/proc` in hundredths of a second on every platform
/// that Rust's standard library supports (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The moment, in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

pub(super) struct Collection {
    started: f64,
    descs: Vec<Desc>,
}

impl Collection {
    pub(super) fn new() -> Self {
        Self {
            started: now(),
            descs: descs(Families::new().all()),
        }
    }
}

struct Families {
    cpu: Family,
    resident: Family,
    virtual_size: Family,
    threads: Family,
    open: Family,
    limit: Family,
    started: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            cpu: Family::counter("process_cpu_seconds_total", "User and system CPU time."),
            resident: Family::gauge("process_resident_memory_bytes", "Resident memory."),
            virtual_size: Family::gauge("process_virtual_memory_bytes", "Virtual memory."),
            threads: Family::gauge("process_threads", "Threads."),
            open: Family::gauge("process_open_fds", "Open file descriptors."),
            limit: Family::gauge("process_max_fds", "The most file descriptors that may be open."),
            started: Family::gauge(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
            ),
        }
    }

    fn all(self) -> [Family; 7] {
        [
            self.cpu,
            self.resident,
            self.virtual_size,
            self.threads,
            self.open,
            self.limit,
            self.started,
        ]
    }

    fn read(&mut self) {
        let figures = Figures::read();
        if let Some(cpu) = figures.cpu {
            self.cpu.add_float(&[], cpu);
        }
        for (family, value) in [
            (&mut self.resident, figures.resident),
            (&mut self.virtual_size, figures.virtual_size),
            (&mut self.threads, figures.threads),
        ] {
            if let Some(value) = value {
                family.add(&[], value);
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            self.open.add(&[], entries.count() as u64);
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        if let Some(limit) = number_after(&limits, "Max open files") {
            self.limit.add(&[], limit);
        }
    }
}

/// What the process uses; `None` where there is no `/proc`.
pub(super) struct Figures {
    /// Seconds of CPU time, user and system.
    pub(super) cpu: Option<f64>,
    /// Bytes.
    pub(super) resident: Option<u64>,
    /// Bytes.
    pub(super) virtual_size: Option<u64>,
    threads: Option<u64>,
}

impl Figures {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |field| Some(number_after(&status, field)? * 1024);
        Self {
            cpu: cpu_ticks(&stat).map(|ticks| ticks / TICKS_PER_SECOND),
            resident: kilobytes("VmRSS:"),
            virtual_size: kilobytes("VmSize:"),
            threads: number_after(&status, "Threads:"),
        }
    }
}

impl Collector for Collection {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Families::new();
        families.read();
        families.started.add_float(&[], self.started);
        families.all().into_iter().filter_map(Family::finish).collect()
    }
}

/// User plus system time of `/proc/self/stat` (proc(5), fields 14 and 15). The
/// second field is the program's name and may hold anything but ends in `)`.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The first number after `field`, which starts a line.
fn number_after(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cpu_time_whatever_the_program_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 120 30 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(150.0));
        assert_eq!(cpu_ticks("garbage"), None);
    }

    #[test]
    fn reads_numbers_of_status_and_limits() {
        assert_eq!(
            number_after("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"),
            Some(1234)
        );
        assert_eq!(
            number_after("Max open files            1024   4096 files", "Max open files"),
            Some(1024)
        );
        assert_eq!(number_after("Max open files   unlimited", "Max open files"), None);
    }
}
