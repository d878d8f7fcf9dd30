//! Times as text, each form made once a second on each thread.

use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::number;

type Made = RefCell<(i64, String)>;

/// `10/Oct/2000:13:55:36 +0000`. In UTC, the time zone of container images.
pub(super) fn local(line: &mut Vec<u8>, time: SystemTime) {
    thread_local!(static MADE: Made = const { RefCell::new((-1, String::new())) });
    MADE.with_borrow_mut(|made| show(line, time, made, "%d/%b/%Y:%H:%M:%S +0000"));
}

/// `2000-10-10T13:55:36`, without a zone.
fn iso(line: &mut Vec<u8>, time: SystemTime) {
    thread_local!(static MADE: Made = const { RefCell::new((-1, String::new())) });
    MADE.with_borrow_mut(|made| show(line, time, made, "%Y-%m-%dT%H:%M:%S"));
}

/// `2000-10-10T13:55:36+00:00`.
pub(super) fn iso8601(line: &mut Vec<u8>, time: SystemTime) {
    iso(line, time);
    line.extend_from_slice(b"+00:00");
}

/// `971186136.250`: seconds since 1970.
pub(super) fn since_epoch(line: &mut Vec<u8>, time: SystemTime) {
    number::seconds(line, time.duration_since(UNIX_EPOCH).unwrap_or_default());
}

/// `2000-10-10T13:55:36.250Z`, for JSON.
pub(super) fn instant(time: SystemTime) -> String {
    let millis = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_millis();
    let mut text = Vec::with_capacity(24);
    iso(&mut text, time);
    // Writing to a Vec cannot fail.
    let _ = write!(text, ".{millis:03}Z");
    String::from_utf8(text).unwrap_or_default()
}

fn show(line: &mut Vec<u8>, time: SystemTime, made: &mut (i64, String), form: &str) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(since.as_secs()).unwrap_or(0);
    if made.0 != second {
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        *made = (second, time.strftime(form).to_string());
    }
    line.extend_from_slice(made.1.as_bytes());
}
