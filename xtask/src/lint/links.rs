//! Links: every relative link in a Markdown file leads to a file or folder of
//! the repository. Links to other places are not followed: the check needs no network.

use super::{Page, Violation};

/// Every link that leads nowhere; `exists` says what is there, from the root.
pub(super) fn check(pages: &[Page], exists: &dyn Fn(&str) -> bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    for page in pages {
        for (line, target) in targets(&page.text) {
            let found = resolve(&page.path, target);
            if !found.as_deref().is_some_and(exists) {
                violations.push(Violation::new(
                    &page.path,
                    line,
                    format!("the link to {target} leads nowhere"),
                ));
            }
        }
    }
    violations
}

/// The relative targets of all links, outside of code.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fence) = (Vec::new(), None);
    for (line, text) in (1..).zip(text.lines()) {
        let start = text.trim_start();
        let marker = ["```", "~~~"]
            .into_iter()
            .find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(_)) => fence = marker,
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let targets = inline(text).chain(definition(start));
                found.extend(
                    targets
                        .filter(|target| is_relative(target))
                        .map(|target| (line, target)),
                );
            }
        }
    }
    found
}

/// The targets of `[text](target "title")` in a line; not inside of code spans.
fn inline(text: &str) -> impl Iterator<Item = &str> {
    // Between backticks, every other piece is code.
    let prose = text
        .split('`')
        .enumerate()
        .filter(|(index, _)| index % 2 == 0)
        .map(|(_, piece)| piece);
    // The text of a link may itself be code, which leaves `](target)` in the next piece.
    prose
        .flat_map(|piece| piece.split("](").skip(1))
        .filter_map(|rest| plain(rest.split(')').next()?))
}

/// The target of a definition, `[name]: target`.
fn definition(start: &str) -> Option<&str> {
    let (_, target) = start.strip_prefix('[')?.split_once("]: ")?;
    plain(target)
}

/// A target without its title and angle brackets.
fn plain(target: &str) -> Option<&str> {
    target
        .split_whitespace()
        .next()
        .map(|target| target.trim_start_matches('<').trim_end_matches('>'))
}

fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// The path from the root that a link on a page leads to; `None` when it leads out of it.
fn resolve(page: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    if target.starts_with('/') {
        folders.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                folders.pop()?;
            }
            part => folders.push(part),
        }
    }
    Some(folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        let there = ["README.md", "docs", "docs/operations.md", "conf/gateway.yaml", ""];
        let page = Page {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&[page], &|path| there.contains(&path))
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let text = "[a](docs/operations.md#drain) and ![b](<docs/operations.md> \"title\")\n[c](docs/)\n[d]: conf/gateway.yaml\n";
        assert_eq!(broken("README.md", text), [""; 0]);
        assert_eq!(
            broken(
                "docs/x.md",
                "[a](operations.md) [b](../README.md) [c](/README.md) [d](..)"
            ),
            [""; 0]
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(
            broken("docs/x.md", "\n[a](README.md)"),
            ["docs/x.md:2: the link to README.md leads nowhere"]
        );
        assert_eq!(
            broken("README.md", "[a](docs/operations.md) [b](docs/gone.md)").len(),
            1
        );
        assert_eq!(broken("README.md", "[`code`](gone.md)").len(), 1);
        assert_eq!(broken("README.md", "[a]: gone.md").len(), 1);
        assert_eq!(broken("README.md", "[a](../README.md)").len(), 1);
    }

    #[test]
    fn other_places_and_code_are_left_alone() {
        let text = "[a](https://example.com/x) [b](#here) [c](mailto:a@example.com) `[d](gone.md)`\n```text\n[e](gone.md)\n```\n";
        assert_eq!(broken("README.md", text), [""; 0]);
    }
}
