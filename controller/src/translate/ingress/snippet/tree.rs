//! Directives with their arguments and blocks.

use super::lexer::{Kind, Lexer};
use super::{Fault, unsupported};

/// More directives than this are refused.
const MOST: usize = 500;
/// Blocks in blocks; nginx's own directives need no more here.
const DEEPEST: usize = 8;

/// `name argument ...;` or `name argument ... { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// A fault of this directive.
    pub(super) fn fault(&self, why: impl std::fmt::Display, fix: impl Into<String>) -> Fault {
        Fault::new(self.line, format!("`{}`: {why}", self.name), fix)
    }

    /// Its arguments, which must be so many.
    pub(super) fn exactly<const N: usize>(&self, usage: &str) -> Result<[&str; N], Fault> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.try_into().map_err(|_| self.usage(usage))
    }

    /// The fault of wrong arguments.
    pub(super) fn usage(&self, usage: &str) -> Fault {
        self.fault("wrong arguments", format!("write `{usage}`"))
    }
}

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Vec<Directive>, Fault> {
    let mut parser = Parser {
        lexer: Lexer::new(text)?,
        count: 0,
    };
    parser.block(0)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    count: usize,
}

impl Parser<'_> {
    /// Directives up to the brace that closes them, or to the end of the text.
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, Fault> {
        let mut directives = Vec::new();
        loop {
            let Some(token) = self.lexer.next()? else {
                if depth == 0 {
                    return Ok(directives);
                }
                let line = self.lexer.line();
                return Err(Fault::new(line, "a `}` is missing", "close the block"));
            };
            match token.kind {
                Kind::Word(name) => directives.push(self.directive(name, token.line, depth)?),
                Kind::Close if depth > 0 => return Ok(directives),
                Kind::Close => return Err(Fault::new(token.line, "`}` closes no block", "remove it")),
                Kind::End => return Err(Fault::new(token.line, "`;` ends no directive", "remove it")),
                Kind::Open => return Err(Fault::new(token.line, "`{` belongs to no directive", "")),
            }
        }
    }

    fn directive(&mut self, name: String, line: usize, depth: usize) -> Result<Directive, Fault> {
        self.count += 1;
        if self.count > MOST || depth > DEEPEST {
            return Err(Fault::new(
                line,
                "too many directives, or too deep ones",
                "write less",
            ));
        }
        let mut directive = Directive {
            line,
            name,
            arguments: Vec::new(),
            block: None,
        };
        loop {
            let Some(token) = self.lexer.next()? else {
                return Err(directive.fault("it does not end", "put a `;` after it"));
            };
            match token.kind {
                Kind::Word(word) => directive.arguments.push(word),
                Kind::End => return Ok(directive),
                Kind::Open => {
                    // What is in there need not be nginx's language at all.
                    if let Some(fault) = unsupported::code(&directive) {
                        return Err(fault);
                    }
                    directive.block = Some(self.block(depth + 1)?);
                    return Ok(directive);
                }
                Kind::Close => return Err(directive.fault("it does not end", "put a `;` after it")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let fault = parse(text).unwrap_err();
        (fault.line, fault.what)
    }

    #[test]
    fn blocks_and_lines_are_kept() {
        let tree = parse("a 1;\nif ($b) {\n  c;\n}\nd;").unwrap();
        let names: Vec<_> = tree.iter().map(|d| (d.line, &*d.name)).collect();
        assert_eq!(names, [(1, "a"), (2, "if"), (5, "d")]);
        let block = tree[1].block.as_ref().unwrap();
        assert_eq!((block[0].line, &*block[0].name), (3, "c"));
        assert_eq!(parse(" \n # nothing\n").unwrap(), []);
    }

    #[test]
    fn what_is_open_is_reported() {
        assert_eq!(fault("a;\nb c"), (2, "`b`: it does not end".to_owned()));
        assert_eq!(fault("if (a) { b;\n"), (2, "a `}` is missing".to_owned()));
        assert_eq!(fault("}"), (1, "`}` closes no block".to_owned()));
        assert_eq!(fault(";"), (1, "`;` ends no directive".to_owned()));
        assert_eq!(fault("if (a) { b }"), (1, "`b`: it does not end".to_owned()));
        assert!(parse(&"a;".repeat(MOST + 1)).is_err());
        assert!(parse(&"a{".repeat(100)).is_err());
    }

    #[test]
    fn code_is_not_even_read() {
        let (line, what) = fault("a;\ncontent_by_lua_block {\n  x = 'it''s' }}} ;\n}");
        assert_eq!(line, 2);
        assert!(what.contains("content_by_lua_block"), "{what}");
    }
}
