//! Names: no `get_` before what a function returns, and no type or module that
//! is named after nothing in particular.

use super::{Source, Violation};

/// Endings of type names that say nothing about the type.
const VAGUE_TYPES: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];
/// The same for modules.
const VAGUE_MODULES: [&str; 6] = ["manager", "helper", "helpers", "util", "utils", "misc"];

/// Every item with a name that the house does without.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        for (line, code) in (1..).zip(source.code.lines()) {
            let words: Vec<&str> = words(code).collect();
            let found = words.windows(2).find_map(|pair| judge(pair[0], pair[1]));
            violations.extend(found.map(|message| Violation::new(&source.path, line, message)));
        }
    }
    violations
}

fn judge(keyword: &str, name: &str) -> Option<String> {
    match keyword {
        "fn" if name.starts_with("get_") => {
            Some(format!("fn {name}: name it after what it returns, without get_"))
        }
        "struct" | "enum" | "trait" | "type" | "union"
            if VAGUE_TYPES.iter().any(|vague| name.ends_with(vague)) =>
        {
            Some(format!("{keyword} {name}: name it after what it is or does"))
        }
        "mod" if VAGUE_MODULES.contains(&name) => Some(format!("mod {name}: name it after what is in it")),
        _ => None,
    }
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<String> {
        check(&[Source::new("a.rs", text)])
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[test]
    fn getters_are_named_after_what_they_return() {
        assert_eq!(
            broken("\npub(crate) async fn get_name() {}"),
            ["a.rs:2: fn get_name: name it after what it returns, without get_"]
        );
        assert!(broken("fn get() {}\nfn target_get_() {}\n// fn get_x\nlet get_x = 1;").is_empty());
    }

    #[test]
    fn types_and_modules_are_named_after_something() {
        for text in [
            "struct RouteManager;",
            "pub enum Helper {}",
            "trait StringUtils {}",
            "type Util = ();",
            "union AUtil {}",
        ] {
            assert_eq!(broken(text).len(), 1, "{text}");
        }
        for text in ["mod utils;", "pub mod helper {}", "mod misc;"] {
            assert_eq!(broken(text).len(), 1, "{text}");
        }
        assert!(broken("struct Utility; use other::ConnectionManager; mod router;").is_empty());
    }
}
