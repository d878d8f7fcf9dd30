//! Sizes: files that fit a reader's head, and one way to lay out modules.

use super::{Source, Violation};

/// At most this many lines in the middle one of all source files.
const MEDIAN: usize = 150;
/// At most this many lines in 95 of 100 files.
const MOST: usize = 450;
/// At most this many lines in any file.
const ANY: usize = 800;

/// Files that are too long, alone or taken together, and every `mod.rs`.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        if source.lines > ANY {
            violations.push(Violation::new(
                &source.path,
                0,
                format!("{} lines, more than {ANY}", source.lines),
            ));
        }
        if source.path.ends_with("/mod.rs") {
            violations.push(Violation::new(
                &source.path,
                0,
                "a module foo is foo.rs, beside its folder foo/",
            ));
        }
    }
    let all: Vec<&Source> = sources.iter().collect();
    let most = percentile(&all, 95);
    if most > MOST {
        let long: Vec<String> = all
            .iter()
            .filter(|source| source.lines > MOST)
            .map(|source| source.path.clone())
            .collect();
        let message = format!(
            "more than 5 % of all files are longer than {MOST} lines: {}",
            long.join(", ")
        );
        violations.push(Violation::new("all files", 0, message));
    }
    let median = percentile(&shipped(sources), 50);
    if median > MEDIAN {
        let message = format!("the median of the source files is {median} lines, more than {MEDIAN}");
        violations.push(Violation::new("all files", 0, message));
    }
    violations
}

/// The numbers in a line.
pub(super) fn summary(sources: &[Source]) -> String {
    let all: Vec<&Source> = sources.iter().collect();
    let (most, longest) = (percentile(&all, 95), percentile(&all, 100));
    format!(
        "lines: median {} in src, 95 % at most {most}, longest {longest}",
        percentile(&shipped(sources), 50)
    )
}

/// Files that are not tests or benchmarks.
fn shipped(sources: &[Source]) -> Vec<&Source> {
    sources
        .iter()
        .filter(|source| source.path.contains("/src/") || source.path.contains("/bin/"))
        .collect()
}

/// The least number of lines that so many of 100 files do not exceed.
fn percentile(sources: &[&Source], percent: usize) -> usize {
    let mut lines: Vec<usize> = sources.iter().map(|source| source.lines).collect();
    lines.sort_unstable();
    let rank = (lines.len() * percent).div_ceil(100);
    lines.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lines: &[usize]) -> Vec<Source> {
        let name = |index: usize| format!("gateway/src/f{index}.rs");
        lines
            .iter()
            .enumerate()
            .map(|(index, count)| Source::new(&name(index), &"x\n".repeat(*count)))
            .collect()
    }

    #[test]
    fn the_limits_themselves_are_kept() {
        let mut lines = vec![MEDIAN; 19];
        lines.push(ANY);
        assert_eq!(check(&files(&lines)), []);
    }

    #[test]
    fn one_file_can_be_too_long() {
        let mut lines = vec![1; 19];
        lines.push(ANY + 1);
        let violations = check(&files(&lines));
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].path, "gateway/src/f19.rs");
    }

    #[test]
    fn too_many_can_be_long() {
        let mut lines = vec![1; 18];
        lines.extend([MOST + 1; 2]);
        let violations = check(&files(&lines));
        assert_eq!(violations.len(), 1);
        assert!(
            violations[0].message.contains("f18.rs, gateway/src/f19.rs"),
            "{}",
            violations[0]
        );
    }

    #[test]
    fn the_middle_file_can_be_too_long_and_tests_do_not_hide_it() {
        let mut sources = files(&[MEDIAN + 1; 2]);
        sources.extend((0..9).map(|index| Source::new(&format!("gateway/tests/t{index}.rs"), "x\n")));
        let violations = check(&sources);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].message.contains("median"), "{}", violations[0]);
    }

    #[test]
    fn there_is_one_layout_of_modules() {
        assert_eq!(check(&[Source::new("gateway/tests/support/mod.rs", "")]).len(), 1);
    }
}
