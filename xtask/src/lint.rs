//! `cargo xtask lint`: the rules of the repository that no compiler knows. Each
//! rule is a pure function from the files to what breaks it, with a test that
//! breaks it.

mod layering;
mod lexer;
mod links;
mod names;
mod paths;
mod sizes;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use self::tree::{Page, Source};
use crate::process;

/// One place that breaks a rule. Line 0 is the file as a whole.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Checks the whole repository and prints what breaks its rules.
pub(crate) fn run() -> Result<()> {
    let (summary, violations) = check(&process::root()?)?;
    for violation in &violations {
        println!("lint: {violation}");
    }
    println!("lint: {summary}");
    match violations.len() {
        0 => Ok(()),
        count => bail!("{count} violations of the repository's rules, shown above"),
    }
}

fn check(root: &Path) -> Result<(String, Vec<Violation>)> {
    let sources = tree::sources(root)?;
    let pages = tree::pages(root)?;
    let mut violations = layering::check(&sources);
    violations.extend(sizes::check(&sources));
    violations.extend(names::check(&sources));
    violations.extend(links::check(&pages, &|path| root.join(path).exists()));
    violations.sort();
    let mut summary = format!(
        "{} source files, {} pages; {}",
        sources.len(),
        pages.len(),
        sizes::summary(&sources)
    );
    let idle = layering::idle(&sources);
    if !idle.is_empty() {
        summary += &format!("; no file yet for the rules of {}", idle.join(", "));
    }
    Ok((summary, violations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        let (_, violations) = check(&process::root().unwrap()).unwrap();
        let shown: Vec<String> = violations.iter().map(Violation::to_string).collect();
        assert!(violations.is_empty(), "{}", shown.join("\n"));
    }

    #[test]
    fn the_repository_has_files_to_check() {
        let root = process::root().unwrap();
        let sources = tree::sources(&root).unwrap();
        for crate_ in [
            "snapshot/src/",
            "controller/src/",
            "gateway/src/",
            "gateway/bin/",
            "xtask/src/",
            "loadtest/generator/src/",
        ] {
            assert!(
                sources.iter().any(|source| source.path.starts_with(crate_)),
                "nothing in {crate_}"
            );
        }
    }
}
