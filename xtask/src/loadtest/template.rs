//! The files in `loadtest/peers/`: `${NAME}` is a value, what stands between
//! `#each host` and `#end` is repeated for every host, and what stands between
//! `#if NAME` and `#end` is there when that value is not empty.

use anyhow::{Result, bail};

/// Fills a template.
///
/// # Errors
/// A name without a value, or a block without its end.
pub(super) fn fill(template: &str, values: &[(&str, String)], hosts: usize) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    let mut lines = template.lines();
    while let Some(line) = lines.next() {
        let begins = line.trim();
        if begins == "#each host" {
            let block = block(&mut lines)?;
            for index in 0..hosts {
                let host = ("HOST", format!("host{index}.example"));
                let values: Vec<_> = values.iter().cloned().chain([host]).collect();
                out.push_str(&replace(&block, &values)?);
            }
        } else if let Some(name) = begins.strip_prefix("#if ") {
            let block = block(&mut lines)?;
            if !value(values, name)?.is_empty() {
                out.push_str(&replace(&block, values)?);
            }
        } else {
            out.push_str(&replace(line, values)?);
            out.push('\n');
        }
    }
    Ok(out)
}

/// The lines up to the next `#end`.
fn block(lines: &mut std::str::Lines<'_>) -> Result<String> {
    let mut block = String::new();
    for line in lines {
        if line.trim() == "#end" {
            return Ok(block);
        }
        block.push_str(line);
        block.push('\n');
    }
    bail!("a block without `#end`")
}

fn value<'a>(values: &'a [(&str, String)], name: &str) -> Result<&'a str> {
    match values.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(value),
        None => bail!("`${{{name}}}` has no value"),
    }
}

fn replace(text: &str, values: &[(&str, String)]) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            bail!("`${{` without `}}`");
        };
        out.push_str(value(values, name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_blocks_are_filled() {
        let values = [("PORT", "80".to_owned())];
        let template = "listen ${PORT}\n  #each host\n  ${HOST}:${PORT}\n  #end\nend\n";
        assert_eq!(
            fill(template, &values, 2).unwrap(),
            "listen 80\n  host0.example:80\n  host1.example:80\nend\n"
        );
        let error = fill("${NOPE}", &values, 0).unwrap_err().to_string();
        assert!(error.contains("NOPE"), "{error}");
        assert!(fill("#each host\n", &values, 1).is_err());
    }

    #[test]
    fn a_block_is_there_when_its_value_is() {
        let values = [("LOG", "on".to_owned()), ("TLS", String::new())];
        let template = "a\n#if LOG\n${LOG}\n#end\n#if TLS\nb\n#end\n";
        assert_eq!(fill(template, &values, 0).unwrap(), "a\non\n");
        assert!(fill("#if NOPE\n#end\n", &values, 0).is_err());
    }
}
