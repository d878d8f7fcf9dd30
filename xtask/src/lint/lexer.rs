//! Just enough of Rust's lexical rules to tell code from comments and literals,
//! so that a comment may say "unlike tokio" where code may not name it.

/// The text with every comment, string and character literal replaced by spaces;
/// line breaks stay, so line numbers do too.
pub(super) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) =
            if let Some(length) = comment(rest).or_else(|| string(rest)).or_else(|| character(rest)) {
                (length, false)
            } else {
                // A whole word at once: the `r` that ends a word opens no raw string.
                (word(rest).max(first.len_utf8()), true)
            };
        let (token, after) = rest.split_at(length);
        if keep {
            out.push_str(token);
        } else {
            out.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    out
}

/// The length of the identifier or number that starts here, or 0.
pub(super) fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    Some(rest.len())
}

fn string(rest: &str) -> Option<usize> {
    let start = rest.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    let (prefix, body) = rest.split_at(start);
    match prefix {
        "" | "b" | "c" => Some(start + 1 + escaped(body.strip_prefix('"')?, '"')),
        "r" | "br" | "cr" => {
            let hashes = body.len() - body.trim_start_matches('#').len();
            let inside = body[hashes..].strip_prefix('"')?;
            let close = format!("\"{}", "#".repeat(hashes));
            let length = inside.find(&close).map_or(inside.len(), |end| end + close.len());
            Some(start + hashes + 1 + length)
        }
        _ => None,
    }
}

fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut characters = inside.chars();
    match (characters.next()?, characters.next()) {
        ('\\', _) => Some(1 + escaped(inside, '\'')),
        (one, Some('\'')) => Some(1 + one.len_utf8() + 1),
        // A lifetime or a label.
        _ => None,
    }
}

/// The length up to and with the closing character, one after a backslash not counted.
fn escaped(inside: &str, close: char) -> usize {
    let mut after_backslash = false;
    for (at, c) in inside.char_indices() {
        if !after_backslash && c == close {
            return at + c.len_utf8();
        }
        after_backslash = c == '\\' && !after_backslash;
    }
    inside.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> String {
        blank(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_blanked_and_lines_kept() {
        assert_eq!(blank("a // tokio\nb"), "a         \nb");
        assert_eq!(squeezed("a /* x /* y */ z\n */ b"), "a b");
        assert_eq!(squeezed("a /* never closed"), "a");
        assert_eq!(blank("/*\n\n*/c").lines().count(), 3);
    }

    #[test]
    fn literals_are_blanked() {
        assert_eq!(squeezed(r#"a("tokio \" // x", b"y\\") + c"#), "a( , ) + c");
        assert_eq!(
            squeezed("a(r#\"x \" y\"#, br\"\\\", '\"', '\\'', b'z') + c"),
            "a( , , , , b ) + c"
        );
        assert_eq!(squeezed("\"é\" + 'é' + c"), "+ + c");
    }

    #[test]
    fn lifetimes_words_and_raw_names_stay() {
        let text = "fn f<'a, 'b>(x: &'a str) { 'outer: loop { r#type; bar; cr; } }";
        assert_eq!(blank(text), text);
    }
}
