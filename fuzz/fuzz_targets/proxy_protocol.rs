//! The PROXY protocol parser: never panics, and bytes that arrive one by one
//! give the answer of all at once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_gateway::listener::proxy_protocol::{MAX_HEADER, Parsed, parse};

fuzz_target!(|input: &[u8]| {
    let whole = parse(input);
    let first = (0..=input.len())
        .map(|end| parse(&input[..end]))
        .find(|parsed| *parsed != Parsed::Incomplete);
    assert_eq!(first.unwrap_or(Parsed::Incomplete), whole);
    if let Parsed::Header { length, .. } = whole {
        assert!(length <= input.len() && length <= MAX_HEADER);
    }
});
