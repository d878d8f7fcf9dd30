//! Names: no `get_` before what a function returns, and no type or module that
//! is named after nothing in particular.

use super::paths::{self, Token};
use super::{Source, Violation};

/// Endings of type names that say nothing about the type.
const VAGUE_TYPES: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];
/// The same for modules.
const VAGUE_MODULES: [&str; 6] = ["manager", "helper", "helpers", "util", "utils", "misc"];

/// Every item with a name that the house does without.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let tokens = paths::tokens(&source.code);
        let mut blocks = Blocks::default();
        for (at, (line, token)) in tokens.iter().enumerate() {
            blocks.see(
                *token,
                at.checked_sub(1).map(|before| tokens[before].1),
                tokens.get(at + 1).map(|next| next.1),
            );
            let (Token::Word(keyword), Some((_, Token::Word(name)))) = (token, tokens.get(at + 1)) else {
                continue;
            };
            // Whoever made the trait named its functions; ours are judged where they are declared.
            if *keyword == "fn" && blocks.in_trait_impl() {
                continue;
            }
            violations
                .extend(judge(keyword, name).map(|message| Violation::new(&source.path, *line, message)));
        }
    }
    violations
}

/// The open braces, and which of them hold an `impl Trait for Type`.
#[derive(Default)]
struct Blocks {
    open: Vec<bool>,
    /// Between `impl` and its brace: whether `for` has been seen.
    head: Option<bool>,
}

impl Blocks {
    fn see(&mut self, token: Token<'_>, before: Option<Token<'_>>, next: Option<Token<'_>>) {
        match token {
            Token::Word("impl") if starts_item(before) => self.head = Some(false),
            // `for<'a>` is a bound, not the trait's type.
            Token::Word("for") if self.head.is_some() && next != Some(Token::Other('<')) => {
                self.head = Some(true)
            }
            Token::Other('{') => self.open.push(self.head.take().unwrap_or(false)),
            Token::Other('}') => drop(self.open.pop()),
            _ => {}
        }
    }

    fn in_trait_impl(&self) -> bool {
        self.open.last().copied().unwrap_or(false)
    }
}

/// Whether an `impl` after this token is an item, not a type such as `&impl Read`.
fn starts_item(before: Option<Token<'_>>) -> bool {
    matches!(
        before,
        None | Some(Token::Other('}' | '{' | ';' | ']') | Token::Word("unsafe"))
    )
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
    fn functions_of_a_trait_are_judged_where_it_is_declared() {
        assert!(
            broken("impl<F: for<'a> Fn(&'a u8)> Digest for X<F> { fn a() {}\n fn get_digest() {} }")
                .is_empty()
        );
        for text in [
            "trait Digest { fn get_digest(); }",
            "impl X { fn get_digest() {} }",
            "impl<F: for<'a> Fn(&'a u8)> X<F> { fn get_digest() {} }",
            "impl Digest for X { fn a() {} } impl X { fn get_digest() {} }",
            "impl Digest for X { fn a() { fn get_inner() {} } }",
            "fn a(b: &impl Read) { for c in d { fn get_inner() {} } }",
        ] {
            assert_eq!(broken(text).len(), 1, "{text}");
        }
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
