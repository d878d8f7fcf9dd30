//! Times as text, each form made once a second on each thread.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

type Made = RefCell<(i64, String)>;

/// `10/Oct/2000:13:55:36 +0000`. In UTC, the time zone of container images.
pub(super) fn local(line: &mut Vec<u8>, time: SystemTime) {
    thread_local!(static MADE: Made = const { RefCell::new((-1, String::new())) });
    MADE.with_borrow_mut(|made| write(line, time, made, "%d/%b/%Y:%H:%M:%S +0000"));
}

/// `2000-10-10T13:55:36`, without a zone.
pub(super) fn iso(line: &mut Vec<u8>, time: SystemTime) {
    thread_local!(static MADE: Made = const { RefCell::new((-1, String::new())) });
    MADE.with_borrow_mut(|made| write(line, time, made, "%Y-%m-%dT%H:%M:%S"));
}

fn write(line: &mut Vec<u8>, time: SystemTime, made: &mut (i64, String), form: &str) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(since.as_secs()).unwrap_or(0);
    if made.0 != second {
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        *made = (second, time.strftime(form).to_string());
    }
    line.extend_from_slice(made.1.as_bytes());
}
