//! What the fuzz target `snippet` checks, on its seeds and on generated input:
//! no text makes the parser panic, and faults name a line.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tidegate_controller::translate::snippet::{Directives, Fault, Level, parse, parse_auth};

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/snippet");

fn holds(text: &str) {
    let lines = text.matches('\n').count() + 1;
    let fault_holds = |fault: &Fault| {
        assert!((1..=lines).contains(&fault.line), "{fault} of {lines} lines");
        assert!(!fault.what.is_empty());
    };
    for level in [Level::Server, Level::Location] {
        let parsed = parse(text, level, &[]);
        assert_eq!(parsed, parse(text, level, &[]));
        match parsed {
            Err(fault) => fault_holds(&fault),
            Ok(Directives { snippet, notes, .. }) => {
                notes.iter().for_each(fault_holds);
                if let Some(snippet) = snippet {
                    let mut joined = (*snippet).clone();
                    joined.append(&snippet);
                    assert_eq!(joined.blocks.len(), 2 * snippet.blocks.len() - 1);
                }
            }
        }
    }
    if let Err(fault) = parse_auth(text) {
        fault_holds(&fault);
    }
}

#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    let mut seen = 0;
    for entry in std::fs::read_dir(SEEDS).unwrap() {
        holds(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 7, "only {seen} seeds");
    let everything = std::fs::read_to_string(format!("{SEEDS}/everything")).unwrap();
    let parsed = parse(&everything, Level::Location, &[]);
    assert_eq!(parsed.err(), None);
}

/// Pieces that make nearly valid snippets.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "return 403;",
        "if ($host = a) {",
        "if ($arg_x ~ \"(a|b)\") {",
        "}",
        "set $a \"$1 $host\";",
        "add_header X \"$a\" always;",
        "more_set_headers -s 404 'A: b' \"C:\";",
        "rewrite ^/(.*)$ /$1? last;",
        "deny all;",
        "proxy_set_header A ${b};",
        "expires max;",
        "# comment\n",
        "\n",
        " \\\"",
        "'",
        "$",
        ";",
        "{",
    ])
    .prop_map(str::to_owned);
    prop_oneof![known, ".{0,6}"]
}

proptest! {
    #[test]
    fn nothing_makes_the_parser_panic(pieces in prop::collection::vec(piece(), 0..24)) {
        holds(&pieces.concat());
    }
}
