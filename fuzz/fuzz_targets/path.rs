//! Path normalisation: never panics; a path that passes is clean whichever way
//! it was written, and reading it as text or as bytes makes no difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_gateway::path::{normalise, normalise_bytes};

fuzz_target!(|input: &[u8]| {
    let normal = normalise_bytes(input);
    if let Ok(path) = &normal {
        assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\0'));
        assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    }
    if let Ok(text) = std::str::from_utf8(input) {
        assert_eq!(normalise(text).as_deref(), normal.as_deref());
    }
});
