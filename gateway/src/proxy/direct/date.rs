//! The `Date` of answers (RFC 9110 §6.6.1), made once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends the whole field to `out`.
pub(super) fn write(out: &mut Vec<u8>) {
    thread_local! {
        static NOW: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let time = SystemTime::now();
    let second = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    NOW.with_borrow_mut(|(made, field)| {
        if *made != second || field.is_empty() {
            *made = second;
            *field = format!("Date: {}\r\n", httpdate::HttpDate::from(time));
        }
        out.extend_from_slice(field.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_an_http_date() {
        let mut out = Vec::new();
        super::write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let date = text.strip_prefix("Date: ").unwrap().trim_end();
        let parsed = httpdate::parse_http_date(date).unwrap();
        assert!(parsed.elapsed().unwrap().as_secs() < 5);
    }
}
