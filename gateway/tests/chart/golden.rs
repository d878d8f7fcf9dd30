//! The matrix of values, rendered: linted, and compared with files that people read.

use super::assert_fresh;
use super::helm::{self, matrix, values};

#[test]
fn every_set_of_values_renders_as_reviewed() {
    let mut stale = Vec::new();
    for name in matrix() {
        let text = helm::template(&values(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = if name.is_empty() { "default" } else { &name };
        let path = format!("gateway/tests/chart/golden/{file}.yaml");
        let check = || assert_fresh(&path, &without_chance(&text));
        stale.extend(std::panic::catch_unwind(check).err().map(|_| file.to_owned()));
    }
    assert!(stale.is_empty(), "see above: {stale:?}");
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    for name in matrix() {
        let mut arguments = vec!["--strict".to_owned()];
        arguments.extend(values(&name));
        if let Err(error) = helm::chart_command(&["lint"], &arguments, None) {
            panic!("{name}: {error}");
        }
    }
}

/// A certificate that is new in every rendering, replaced by its field's name.
fn without_chance(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once(": ").unwrap_or((line, ""));
        let random = value.len() > 500 && matches!(key.trim(), "ca" | "cert" | "key" | "caBundle");
        lines.push(if random {
            format!("{key}: (made anew)")
        } else {
            line.to_owned()
        });
    }
    lines.join("\n") + "\n"
}
