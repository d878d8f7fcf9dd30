//! Child processes and the places that every chore shares. A child inherits the
//! terminal, so its own progress and messages are seen as they come.

use std::env;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the repository: this crate's folder is one of its members.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .map(Path::to_path_buf)
        .context("xtask has no folder above its own")
}

/// The user's cache folder for this project, outside of any clone, so that
/// several clones share what takes minutes to build.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) if Path::new(&folder).is_absolute() => PathBuf::from(folder),
        _ => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("tidegate"))
}

/// A `cargo` command at the root: the same cargo that runs this program. It must not
/// inherit what that says of the package `xtask`: build scripts that look at it (ring's)
/// would run anew, and all that needs them, after every `cargo` without `xtask`.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    for (name, _) in env::vars_os() {
        let of_package = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if of_package {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Runs a command to its end; anything but success is an error that shows the
/// command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// The standard output of a command, trimmed; `None` when there is no such program.
pub(crate) fn output(command: &mut Command) -> Result<Option<String>> {
    let output = match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot run `{}`", shown(command)))?,
    };
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(command), output.status);
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_missing_program_is_told_from_a_failing_one() {
        assert_eq!(
            output(&mut Command::new("tidegate-no-such-program")).unwrap(),
            None
        );
        assert!(output(Command::new("sh").args(["-c", "exit 1"])).is_err());
        assert_eq!(
            output(Command::new("sh").args(["-c", "echo yes"]))
                .unwrap()
                .as_deref(),
            Some("yes")
        );
    }

    #[test]
    fn the_path_is_searched() {
        assert!(on_path("sh"));
        assert!(!on_path("tidegate-no-such-program"));
    }
}
