//! The command line: subcommands, and the args of ingress-nginx.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::flags;
use crate::source::Source;
use crate::{check, demo, explain, run, schema};

/// Kubernetes ingress gateway.
#[derive(Parser)]
#[command(
    name = "tidegate",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve Ingresses from a Kubernetes API or a directory.
    Run(Source),
    /// Print every problem in a directory, a file or standard input (`-`).
    ///
    /// Exit code 0: none; 1: problems found; 2: the input cannot be read.
    Check(check::Args),
    /// Print what answers a request, and why.
    Explain(explain::Args),
    /// Serve the demo on this machine.
    Demo(demo::Args),
    /// Print the JSON schema of the settings.
    Schema,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs what normalised args ask for.
pub(crate) fn run(args: Vec<OsString>) -> anyhow::Result<ExitCode> {
    match Cli::parse_from(args).command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Schema => {
            print(&schema::text()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut text);
            print(&String::from_utf8_lossy(&text));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Makes the args of an ingress-nginx container ours: its program's name in
/// front is dropped, args without a subcommand are `run`'s, and long flags may
/// have one dash, as Go takes them.
pub(crate) fn normalise(mut args: Vec<OsString>) -> Vec<OsString> {
    let foreign = |arg: &OsString| {
        arg.to_str()
            .is_some_and(|arg| arg.ends_with("nginx-ingress-controller"))
    };
    let replaced = args.get(1).is_some_and(foreign);
    if replaced {
        args.remove(1);
    }
    let first = args.get(1).and_then(|arg| arg.to_str());
    let own = matches!(first, Some("-h" | "--help" | "-V" | "--version"));
    let implied = replaced || first.is_some_and(|arg| arg.starts_with('-'));
    if implied && !own {
        args.insert(1, "run".into());
    }
    if implied && args.iter().any(|arg| arg == "--version" || arg == "-version") {
        // ingress-nginx prints it whatever else is there.
        args.truncate(1);
        args.push("--version".into());
    }
    if args.get(1).is_some_and(|arg| arg == "run") {
        for arg in args.iter_mut().skip(2) {
            if let Some(long) = two_dashes(arg) {
                *arg = long;
            }
        }
    }
    args
}

/// `-name…` as `--name…`, if a flag is called so.
fn two_dashes(arg: &OsString) -> Option<OsString> {
    let name = arg
        .to_str()?
        .strip_prefix('-')
        .filter(|name| !name.starts_with('-'))?;
    let bare = name.split('=').next()?;
    let known = bare == "config" || flags::table().any(|flag| flag.name == bare);
    known.then(|| format!("--{name}").into())
}

/// Prints to standard output. A reader that went away is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line to standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tidegate: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(args: &[&str]) -> Vec<String> {
        let args = args.iter().map(OsString::from).collect();
        normalise(args)
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect()
    }

    #[test]
    fn args_without_a_subcommand_are_those_of_run() {
        assert_eq!(normalised(&["tidegate", "--v=2"]), ["tidegate", "run", "--v=2"]);
        assert_eq!(normalised(&["tidegate", "-v=2"]), ["tidegate", "run", "--v=2"]);
        assert_eq!(
            normalised(&["tidegate", "/nginx-ingress-controller", "-http-port", "81"]),
            ["tidegate", "run", "--http-port", "81"]
        );
        assert_eq!(
            normalised(&["tidegate", "/nginx-ingress-controller"]),
            ["tidegate", "run"]
        );
    }

    #[test]
    fn the_version_wins() {
        for args in [
            &["tidegate", "/nginx-ingress-controller", "-version"][..],
            &["tidegate", "--v=2", "--version"],
        ] {
            assert_eq!(normalised(args), ["tidegate", "--version"]);
        }
    }

    #[test]
    fn other_args_stay() {
        for args in [&["tidegate", "--version"][..], &["tidegate", "-h"], &["tidegate"]] {
            assert_eq!(normalised(args), args);
        }
        let args = ["tidegate", "check", "-v", "-"];
        assert_eq!(normalised(&args), args);
        let args = ["tidegate", "run", "-unknown", "-1"];
        assert_eq!(normalised(&args), args);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
