//! Numbers and addresses as text, without `std::fmt`, which made half of
//! what a line cost.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// In decimal.
pub(super) fn integer(line: &mut Vec<u8>, number: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Seconds with milliseconds, cut off rather than rounded, as nginx does.
pub(super) fn seconds(line: &mut Vec<u8>, duration: Duration) {
    integer(line, duration.as_secs());
    // The 1 in front, left out again, keeps zeros.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1000 + duration.subsec_millis()).as_bytes();
    line.push(b'.');
    line.extend_from_slice(&digits[1..]);
}

/// As its `Display` does.
pub(super) fn ip(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    line.push(b'.');
                }
                integer(line, octet);
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(address) => drop(write!(line, "{address}")),
    }
}

/// As its `Display` does.
pub(super) fn socket(line: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            ip(line, IpAddr::V4(*address.ip()));
            line.push(b':');
            integer(line, address.port());
        }
        SocketAddr::V6(address) => drop(write!(line, "{address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T>(write: fn(&mut Vec<u8>, T), value: T) -> String {
        let mut line = Vec::new();
        write(&mut line, value);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn addresses_are_as_displayed() {
        for text in [
            "0.0.0.0:0",
            "10.12.250.99:8080",
            "255.255.255.255:65535",
            "[2001:db8::1]:443",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(written(socket, address), text);
            assert_eq!(written(ip, address.ip()), address.ip().to_string());
        }
    }

    #[test]
    fn seconds_have_three_digits_cut_off() {
        for (micros, text) in [
            (0, "0.000"),
            (7_999, "0.007"),
            (42_000, "0.042"),
            (61_250_000, "61.250"),
        ] {
            assert_eq!(written(seconds, Duration::from_micros(micros)), text);
        }
    }
}
