//! `docs/compatibility.md`, from the sources of the compatibility tests: their
//! names, their doc comments and their lists of what is not tested.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEAD: &str = "# Compatibility\n\n\
    Generated from `gateway/tests/compatibility`; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    The cases of ingress-nginx's end-to-end tests that show on the wire, each a test of ours with the same\n\
    request and the same answer: the real program on a directory of YAML. A heading is ingress-nginx's test\n\
    file, a test is named after its case there. Every one of them passes, or this page would not be here.\n\
    [e2e.txt](../gateway/tests/compatibility/e2e.txt) lists every case with the test or the row that stands for it.\n\n";

/// The tests of one file.
struct Module {
    title: String,
    tests: Vec<(String, String)>,
    /// Cases and why they are not tested.
    untested: Vec<(String, String)>,
}

/// The page.
pub(super) fn page() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compatibility");
    let modules: Vec<Module> = files(&folder).iter().filter_map(|path| module(path)).collect();
    let tests: usize = modules.iter().map(|module| module.tests.len()).sum();
    let untested: usize = modules.iter().map(|module| module.untested.len()).sum();
    let mut page = HEAD.to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "In all: {tests} tests in {} files; {untested} entries not tested.",
        modules.len()
    );
    for module in modules {
        let _ = writeln!(
            page,
            "\n## {}\n\n| Test | What it claims |\n| --- | --- |",
            module.title
        );
        for (name, claim) in module.tests {
            let _ = writeln!(page, "| `{name}` | {} |", super::cell(&claim));
        }
        if !module.untested.is_empty() {
            page.push_str("\n| Not tested | Why |\n| --- | --- |\n");
        }
        for (case, reason) in module.untested {
            let _ = writeln!(page, "| {} | {} |", super::cell(&case), super::cell(&reason));
        }
    }
    page
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `None`: no tests in it.
fn module(path: &Path) -> Option<Module> {
    let source = std::fs::read_to_string(path).unwrap();
    let tests = tests(&source);
    let untested = untested(&source);
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    (!tests.is_empty() || !untested.is_empty()).then(|| Module {
        title: name.to_owned(),
        tests,
        untested,
    })
}

/// Test functions with their doc comments.
fn tests(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut doc, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(text.trim());
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[tokio::test") || line == "#[test]";
        } else {
            let function = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            if let (true, Some((name, _))) = (is_test, function) {
                found.push((name.to_owned(), doc.clone()));
            }
            doc.clear();
            is_test = false;
        }
    }
    found
}

/// The pairs of the list `NOT_TESTED`.
fn untested(source: &str) -> Vec<(String, String)> {
    let Some((_, list)) = source.split_once("const NOT_TESTED") else {
        return Vec::new();
    };
    let list = list.split_once('=').map_or("", |(_, list)| list);
    let list = list.split_once("];").map_or(list, |(list, _)| list);
    let texts = literals(list);
    texts
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

/// The string literals of a piece of source.
fn literals(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut open: Option<String> = None;
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        match (&mut open, character) {
            (None, '"') => open = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => texts.extend(open.take()),
            (Some(text), '\\') => match characters.next() {
                // A line that goes on after its indentation.
                Some('\n') => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                Some(escaped) => text.push(escaped),
                None => {}
            },
            (Some(text), character) => text.push(character),
        }
    }
    texts
}

#[test]
fn sources_are_read() {
    let source = "pub(crate) const NOT_TESTED: &[(&str, &str)] = &[\n    (\"a 1\", \"because \\\n     of \\\"b\\\"\"),\n];\n\
        /// One.\n/// Two.\n#[tokio::test]\nasync fn a_2_works() {\n}\n/// Not a test.\nfn other() {}\n";
    assert_eq!(
        untested(source),
        [("a 1".to_owned(), "because of \"b\"".to_owned())]
    );
    assert_eq!(tests(source), [("a_2_works".to_owned(), "One. Two.".to_owned())]);
}
