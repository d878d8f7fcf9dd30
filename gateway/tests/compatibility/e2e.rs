//! `e2e.txt`: every case of ingress-nginx's end-to-end tests has a test here, or a
//! row that says why not.

use std::collections::BTreeMap;
use std::path::Path;

const LIST: &str = include_str!("e2e.txt");

/// How many cases ingress-nginx has; the list must not lose one.
const CASES: usize = 455;

/// Whether the source has a test of this name.
fn has_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return false;
    };
    // Its attributes stand between it and the end of what comes before it.
    let own = before.rsplit_once("\n}").map_or(before, |(_, own)| own);
    own.contains("#[test]") || own.contains("#[tokio::test")
}

/// The text of a row of `NOT_TESTED`, as it stands in the source.
fn has_row(source: &str, row: &str) -> bool {
    let rows = source.split_once("const NOT_TESTED").map_or("", |(_, rows)| rows);
    !row.is_empty() && rows.contains(&format!("\"{row}\""))
}

fn source(module: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = match module.strip_suffix(".rs") {
        Some(_) => root.join("..").join(module),
        None => root.join(format!("tests/compatibility/{module}.rs")),
    };
    std::fs::read_to_string(path).ok()
}

/// What is wrong with what stands for a case.
fn fault(cover: &str) -> Option<String> {
    let found = match cover.strip_prefix("- ") {
        Some(row) => {
            let (module, row) = row.split_once(": ").unwrap_or((row, ""));
            has_row(&source(module).unwrap_or_default(), row)
        }
        None => match cover.rsplit_once("::") {
            Some((module, test)) => has_test(&source(module).unwrap_or_default(), test),
            None => false,
        },
    };
    (!found).then(|| format!("there is no {cover}"))
}

/// The numbers of `3` or `3-5`.
fn numbers(text: &str) -> std::ops::RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}

/// Each case is listed once, and covered.
#[test]
fn every_case_is_covered() {
    let mut faults = Vec::new();
    let mut suites = BTreeMap::new();
    let blocks = LIST.split("\n\n").filter(|block| !block.starts_with('#'));
    for block in blocks {
        let mut lines = block.lines();
        let (suite, count) = lines.next().unwrap().rsplit_once(' ').unwrap();
        let count: usize = count.parse().unwrap();
        let mut next = 1;
        for line in lines {
            let (cases, cover) = line.split_once(' ').unwrap();
            let cases = numbers(cases);
            if *cases.start() != next {
                faults.push(format!("{suite}: {line} where {next} is expected"));
            }
            next = cases.end() + 1;
            faults.extend(fault(cover).map(|fault| format!("{suite} {line}: {fault}")));
        }
        if next != count + 1 {
            faults.push(format!("{suite}: {} of {count} cases", next - 1));
        }
        assert_eq!(suites.insert(suite, count), None, "{suite} twice");
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(suites.values().sum::<usize>(), CASES);
}

/// A case that nothing covers is seen.
#[test]
fn what_does_not_exist_covers_nothing() {
    assert_eq!(fault("e2e::every_case_is_covered"), None);
    assert_eq!(fault("- auth: case_35"), None);
    for cover in [
        "e2e::numbers",
        "e2e::nothing",
        "nowhere::x",
        "- auth: case",
        "- auth",
        "auth",
    ] {
        assert!(fault(cover).is_some(), "{cover}");
    }
}
