//! The files that the rules look at, read once. Paths are relative to the root
//! and have `/` on every platform.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::lexer;

/// The folders with Rust code of the project.
const CRATES: [&str; 5] = ["snapshot", "controller", "gateway", "xtask", "loadtest/generator"];

/// A file of Rust.
pub(super) struct Source {
    pub(super) path: String,
    /// How many lines the file has, with comments and blank ones.
    pub(super) lines: usize,
    /// The text with comments and literals blanked: what the compiler acts on.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            lines: text.lines().count(),
            code: lexer::blank(text),
        }
    }
}

/// A file of Markdown.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file of the project's crates.
pub(super) fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in CRATES {
        visit(root, folder, &mut |path, file| {
            if path.ends_with(".rs") {
                sources.push(Source::new(path, &read(file)?));
            }
            Ok(())
        })?;
    }
    Ok(sources)
}

/// Every Markdown file of the repository.
pub(super) fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    visit(root, "", &mut |path, file| {
        if path.ends_with(".md") {
            pages.push(Page {
                path: path.to_owned(),
                text: read(file)?,
            });
        }
        Ok(())
    })?;
    Ok(pages)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Calls back for every file below a folder, but for hidden folders and what
/// cargo builds (it marks its folders with a tag).
fn visit(root: &Path, folder: &str, each: &mut dyn FnMut(&str, &Path) -> Result<()>) -> Result<()> {
    let here = root.join(folder);
    let mut entries = Vec::new();
    for entry in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
        entries.push(entry.with_context(|| format!("cannot list {}", here.display()))?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {path}"))?;
        if kind.is_file() {
            each(&path, &entry.path())?;
        } else if kind.is_dir() && !name.starts_with('.') && !entry.path().join("CACHEDIR.TAG").exists() {
            visit(root, &path, each)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_built_folders_are_left_out() {
        let root = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        for folder in ["docs/design", ".git", "target"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("a.md"), "# A\n").unwrap();
        }
        fs::write(root.join("target/CACHEDIR.TAG"), "").unwrap();
        let found: Vec<String> = pages(&root).unwrap().into_iter().map(|page| page.path).collect();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, ["docs/design/a.md"]);
    }
}
