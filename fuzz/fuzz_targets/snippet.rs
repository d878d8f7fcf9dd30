//! The parser of snippets: never panics, names a line that is there, and takes
//! a text again in the same way; a text that is taken at both levels may be
//! joined with itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_controller::translate::snippet::{Level, parse, parse_auth};

fuzz_target!(|text: &str| {
    let lines = text.matches('\n').count() + 1;
    for level in [Level::Server, Level::Location] {
        let parsed = parse(text, level, &[]);
        assert_eq!(parsed, parse(text, level, &[]));
        match parsed {
            Err(fault) => assert!((1..=lines).contains(&fault.line)),
            Ok(directives) => {
                if let Some(snippet) = directives.snippet {
                    let mut joined = (*snippet).clone();
                    joined.append(&snippet);
                    assert_eq!(joined.blocks.len(), 2 * snippet.blocks.len() - 1);
                }
            }
        }
    }
    if let Err(fault) = parse_auth(text) {
        assert!((1..=lines).contains(&fault.line));
    }
});
