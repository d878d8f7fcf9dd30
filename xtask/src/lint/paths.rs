//! The paths that Rust code names, with every `use` tree spread out, so that
//! `use std::{env, fs as files}` counts as `std::env` and `std::fs`.

use super::lexer;

/// A path such as `std::env::var`, and the line that it is on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) line: usize,
    pub(super) segments: Vec<&'a str>,
    /// Imported, as against named in place. Only there does one segment say much.
    pub(super) imported: bool,
}

/// A piece of blanked code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Separator,
    Other(char),
}

/// All paths in blanked code, in order.
pub(super) fn of(code: &str) -> Vec<Path<'_>> {
    let mut reader = Reader {
        tokens: tokens(code),
        at: 0,
        paths: Vec::new(),
    };
    while let Some((line, token)) = reader.next() {
        match token {
            // `impl Trait + use<'a>` imports nothing.
            Token::Word("use" | "crate") if reader.peek() == Some(Token::Other('<')) => {}
            Token::Word("use") => reader.tree(&[]),
            Token::Word("extern") if reader.peek() == Some(Token::Word("crate")) => {
                reader.at += 1;
                reader.tree(&[]);
            }
            Token::Word(first) => reader.path(line, first),
            Token::Separator | Token::Other(_) => {}
        }
    }
    reader.paths
}

/// All pieces of blanked code, each with its line.
pub(super) fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let length = lexer::word(rest);
        let (token, length) = if length > 0 {
            (Token::Word(&rest[..length]), length)
        } else if rest.starts_with("::") {
            (Token::Separator, 2)
        } else {
            (Token::Other(first), first.len_utf8())
        };
        if !first.is_whitespace() {
            tokens.push((line, token));
        }
        line += usize::from(first == '\n');
        rest = &rest[length..];
    }
    tokens
}

struct Reader<'a> {
    tokens: Vec<(usize, Token<'a>)>,
    at: usize,
    paths: Vec<Path<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(usize, Token<'a>)> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|(_, token)| *token)
    }

    /// The rest of a path in place, whose first segment has been read.
    fn path(&mut self, line: usize, first: &'a str) {
        let mut segments = vec![first];
        while let [(_, Token::Separator), (_, Token::Word(word)), ..] =
            self.tokens[self.at.min(self.tokens.len())..]
        {
            segments.push(word);
            self.at += 2;
        }
        self.paths.push(Path {
            line,
            segments,
            imported: false,
        });
    }

    /// One `use` tree below a prefix, up to what ends it.
    fn tree(&mut self, prefix: &[&'a str]) {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        while let Some(token) = self.peek() {
            line = self.tokens[self.at].0;
            match token {
                Token::Word("as") => self.at += 2,
                Token::Word(word) => {
                    segments.push(word);
                    self.at += 1;
                }
                Token::Separator => self.at += 1,
                Token::Other('*') => {
                    segments.push("*");
                    self.at += 1;
                }
                Token::Other('{') => return self.group(&segments),
                Token::Other(_) => break,
            }
        }
        if segments.len() > prefix.len() {
            self.paths.push(Path {
                line,
                segments,
                imported: true,
            });
        }
    }

    fn group(&mut self, prefix: &[&'a str]) {
        loop {
            // Over the opening brace, then over each comma.
            self.at += 1;
            self.tree(prefix);
            if self.peek() != Some(Token::Other(',')) {
                break;
            }
        }
        if self.peek() == Some(Token::Other('}')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str) -> Vec<String> {
        of(code)
            .into_iter()
            .filter(|path| path.imported || path.segments.len() > 1)
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        assert_eq!(shown("use kube;"), ["kube"]);
        assert_eq!(shown("extern crate kube as k;"), ["kube"]);
        assert_eq!(
            shown("pub(crate) use ::a::{b, c::{self, D as E}, f::*,}; g::h()"),
            ["a::b", "a::c::self", "a::c::D", "a::f::*", "g::h"]
        );
        assert_eq!(shown("use {std::env, std::fs};"), ["std::env", "std::fs"]);
    }

    #[test]
    fn paths_in_place_are_found_with_their_lines() {
        let paths = of("fn f() {\n  let x: Vec<std::env::Args> = tokio :: spawn(y);\n}");
        let found: Vec<_> = paths
            .iter()
            .filter(|path| path.segments.len() > 1)
            .map(|path| (path.line, path.segments.join("::")))
            .collect();
        assert_eq!(
            found,
            [(2, "std::env::Args".to_owned()), (2, "tokio::spawn".to_owned())]
        );
    }

    #[test]
    fn captures_and_unfinished_code_are_no_imports() {
        assert_eq!(shown("fn f<'a>() -> impl Sized + use<'a> { a::b }"), ["a::b"]);
        assert_eq!(shown("use a::{b, c"), ["a::b", "a::c"]);
        assert_eq!(shown("use a::"), ["a"]);
    }
}
