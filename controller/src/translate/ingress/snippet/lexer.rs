//! Words, braces and semicolons of nginx's configuration language, by the rules
//! of `ngx_conf_read_token`.

use super::Fault;

/// Longer texts are refused.
const LONGEST: usize = 64 * 1024;

/// A token and the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word without its quotes and escapes.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Reads tokens from a text.
pub(super) struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    /// A quoted word has just ended: something must come between it and the next.
    after_quote: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            let what = format!("the text is longer than {LONGEST} bytes");
            return Err(Fault::new(1, what, "write less"));
        }
        Ok(Self {
            rest: text.chars().peekable(),
            line: 1,
            after_quote: false,
        })
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The next token; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Fault> {
        let quoted_before = std::mem::take(&mut self.after_quote);
        let spaced = self.skip();
        let line = self.line;
        let Some(&first) = self.rest.peek() else {
            return Ok(None);
        };
        if quoted_before && !spaced && !";{)".contains(first) {
            let what = format!("{first:?} follows a quoted text");
            return Err(Fault::new(line, what, "put a space between them"));
        }
        let kind = match first {
            ';' => self.single(Kind::End),
            '{' => self.single(Kind::Open),
            '}' => self.single(Kind::Close),
            '"' | '\'' => Kind::Word(self.quoted(first)?),
            _ => Kind::Word(self.word()),
        };
        Ok(Some(Token { line, kind }))
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.bump();
        kind
    }

    /// Passes over white space and comments; whether there was any.
    fn skip(&mut self) -> bool {
        let mut any = false;
        while let Some(&c) = self.rest.peek() {
            match c {
                c if is_space(c) => drop(self.bump()),
                '#' => while self.bump().is_some_and(|c| c != '\n') {},
                _ => break,
            }
            any = true;
        }
        any
    }

    /// Up to white space, `;` or `{`; `${` belongs to a word.
    fn word(&mut self) -> String {
        let mut word = String::new();
        let mut before = ' ';
        while let Some(&c) = self.rest.peek() {
            if is_space(c) || c == ';' || (c == '{' && before != '$') {
                break;
            }
            self.bump();
            before = c;
            match c {
                '\\' => self.escape(&mut word),
                c => word.push(c),
            }
        }
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let line = self.line;
        self.bump();
        let mut word = String::new();
        loop {
            match self.bump() {
                None => return Err(Fault::new(line, "a quoted text does not end", "close the quote")),
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        self.after_quote = true;
        Ok(word)
    }

    /// What follows a backslash: any other than these keeps it.
    fn escape(&mut self, word: &mut String) {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text).unwrap();
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next().unwrap() {
            tokens.push(match token.kind {
                Kind::Word(word) => word,
                Kind::End => ";".to_owned(),
                Kind::Open => "{".to_owned(),
                Kind::Close => "}".to_owned(),
            });
        }
        tokens
    }

    #[test]
    fn words_end_as_in_nginx() {
        assert_eq!(tokens("a b;c{d}"), ["a", "b", ";", "c", "{", "d}"]);
        assert_eq!(tokens("a # b;\n c;"), ["a", "c", ";"]);
        assert_eq!(tokens("a b#c;"), ["a", "b#c", ";"]);
        assert_eq!(tokens("set $a ${b}c;"), ["set", "$a", "${b}c", ";"]);
        assert_eq!(tokens("if ($a = \"b c\") {"), ["if", "($a", "=", "b c", ")", "{"]);
    }

    #[test]
    fn escapes_are_those_of_nginx() {
        assert_eq!(
            tokens(r#"'a\'b' "\"" \.php$ a\\b "x\ny" a\;b"#),
            ["a'b", "\"", r"\.php$", r"a\b", "x\ny", r"a\;b"]
        );
        assert_eq!(tokens(r#"a"b"#), [r#"a"b"#]);
    }

    #[test]
    fn faults_name_their_line() {
        let fault = |text: &str| {
            let mut lexer = Lexer::new(text).unwrap();
            loop {
                match lexer.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("no fault in {text}"),
                    Err(fault) => return (fault.line, fault.what),
                }
            }
        };
        assert_eq!(fault("a;\n b 'c\nd").0, 2);
        assert_eq!(fault("a \"b\"c;").1, "'c' follows a quoted text");
        assert!(Lexer::new(&"a".repeat(LONGEST + 1)).is_err());
    }
}
