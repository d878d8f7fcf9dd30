//! The files in `loadtest/peers/`: `${NAME}` is a value, and what stands between
//! `#each host` and `#end` is repeated for every host.

use anyhow::{Result, bail};

/// Fills a template.
///
/// # Errors
/// A name without a value, or a block without its end.
pub(super) fn fill(template: &str, values: &[(&str, String)], hosts: usize) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    let mut lines = template.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#each host" {
            out.push_str(&replace(line, values)?);
            out.push('\n');
            continue;
        }
        let mut block = String::new();
        loop {
            match lines.next() {
                None => bail!("`#each host` without `#end`"),
                Some(line) if line.trim() == "#end" => break,
                Some(line) => {
                    block.push_str(line);
                    block.push('\n');
                }
            }
        }
        for index in 0..hosts {
            let host = ("HOST", format!("host{index}.example"));
            let values: Vec<_> = values.iter().cloned().chain([host]).collect();
            out.push_str(&replace(&block, &values)?);
        }
    }
    Ok(out)
}

fn replace(text: &str, values: &[(&str, String)]) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            bail!("`${{` without `}}`");
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => out.push_str(value),
            None => bail!("`${{{name}}}` has no value"),
        }
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
}
