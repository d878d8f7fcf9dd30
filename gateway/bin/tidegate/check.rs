//! `tidegate check`: translates objects and prints every problem.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;
use tidegate_controller::manifest;
use tidegate_controller::objects::{Object, Objects};
use tidegate_controller::provider::file;
use tidegate_controller::translate::{Translation, translate};
use tidegate_snapshot::{Effect, ObjectRef, Problem};

use crate::cli;
use crate::options;
use crate::source::Source;

/// What `check` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A directory, a file, or `-` for standard input.
    #[arg(value_name = "DIR|FILE|-")]
    input: PathBuf,
    /// How problems are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Exit code 0 without problems, 1 with.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (settings, _) = args.source.settings()?;
    let (translation, mut problems) = load(&args.input, &options::options(&settings)?)?;
    problems.extend_from_slice(&translation.problems);
    cli::print(&match args.output {
        Output::Text => text(&translation.accepted, &problems),
        Output::Json => format!(
            "{:#}\n",
            json!({"served": translation.accepted, "problems": problems})
        ),
    });
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Reads and translates objects. The problems are those of the input itself;
/// those of objects are in the translation.
pub(crate) fn load(
    input: &Path,
    options: &tidegate_controller::options::Options,
) -> anyhow::Result<(Translation, Vec<Problem>)> {
    let (objects, problems) = read(input)?;
    let mut store = Objects::new();
    for object in objects {
        store.apply(object);
    }
    Ok((translate(&store, options), problems))
}

fn read(input: &Path) -> anyhow::Result<(Vec<Object>, Vec<Problem>)> {
    if input.as_os_str() != "-" {
        std::fs::metadata(input).with_context(|| input.display().to_string())?;
        return Ok(file::load(input));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("standard input")?;
    let manifest = manifest::parse("-", &text);
    let problems = manifest.errors.into_iter().map(|error| Problem {
        object: ObjectRef::new("File", "", &error.file),
        field: format!("line {}", error.line),
        reason: "Unreadable",
        message: error.reason,
        effect: Effect::ObjectRejected,
        fix: String::new(),
    });
    Ok((manifest.objects, problems.collect()))
}

fn text(served: &[ObjectRef], problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", problem.object);
        for (name, value) in [
            ("field", &*problem.field),
            ("reason", problem.reason),
            ("problem", &problem.message),
            ("effect", &problem.effect.to_string()),
            ("fix", &problem.fix),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "  {name:<8} {value}");
            }
        }
    }
    if !problems.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "{}, {}",
        count(served.len(), "Ingress served", "Ingresses served"),
        count(problems.len(), "problem", "problems")
    );
    text
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_to_do() {
        let problem = Problem {
            object: ObjectRef::new("Ingress", "shop", "web"),
            field: "spec.rules[0].host".to_owned(),
            reason: "InvalidHost",
            message: "\"a..b\": label \"\" must have 1 to 63 characters".to_owned(),
            effect: Effect::Ignored,
            fix: String::new(),
        };
        assert_eq!(
            text(&[ObjectRef::new("Ingress", "shop", "web")], &[problem]),
            "Ingress shop/web\n  field    spec.rules[0].host\n  reason   InvalidHost\n  \
             problem  \"a..b\": label \"\" must have 1 to 63 characters\n  effect   field ignored\n\n\
             1 Ingress served, 1 problem\n"
        );
        assert_eq!(text(&[], &[]), "0 Ingresses served, 0 problems\n");
    }
}
