//! Counts of before, in a file that is kept with the sources.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};

/// A file of names and counts, and how much more is too much.
pub struct Baseline {
    pub file: &'static str,
    /// More than so many times what was, and
    pub limit: f64,
    /// so much on top fails.
    pub noise: u64,
}

impl Baseline {
    /// Empty when there is no file yet.
    pub fn read(&self) -> Result<BTreeMap<String, u64>> {
        let text = match std::fs::read_to_string(self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context(self.file),
        };
        let line = |line: &str| {
            let (name, count) = line.split_once(' ').context("a line is a name and a count")?;
            Ok((name.to_owned(), count.parse()?))
        };
        text.lines().map(line).collect()
    }

    /// Whether a count is not too much more than that of before.
    pub fn allows(&self, count: u64, before: u64) -> bool {
        count as f64 <= before as f64 * self.limit + self.noise as f64
    }

    /// Compares, or writes the file anew.
    ///
    /// # Errors
    /// A count has grown, or there is nothing to compare it with.
    pub fn judge(&self, counts: &BTreeMap<&str, u64>, before: &BTreeMap<String, u64>) -> Result<()> {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            let mut text = String::new();
            for (name, count) in counts {
                writeln!(text, "{name} {count}")?;
            }
            return std::fs::write(self.file, text).context("writing the baseline");
        }
        let mut grown = Vec::new();
        for (name, count) in counts {
            let Some(before) = before.get(*name) else {
                bail!("{name} has no baseline: UPDATE_GENERATED=1 cargo xtask bench instructions");
            };
            if !self.allows(*count, *before) {
                grown.push(*name);
            }
        }
        ensure!(
            grown.is_empty(),
            "more than the baseline allows: {}. If that is meant to be, change {} in the same commit: \
             UPDATE_GENERATED=1 cargo xtask bench instructions",
            grown.join(", "),
            self.file
        );
        Ok(())
    }
}

/// Prints a count beside that of before.
pub fn show(name: &str, about: &str, each: u64, baseline: &BTreeMap<String, u64>) {
    match baseline.get(name) {
        Some(before) => println!(
            "{name:<22}{each:>14}{before:>14}{:>8.3}  {about}",
            each as f64 / (*before).max(1) as f64
        ),
        None => println!("{name:<22}{each:>14}{:>14}{:>8}  {about}", "-", "-"),
    }
}
