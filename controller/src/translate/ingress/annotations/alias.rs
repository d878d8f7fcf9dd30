//! `server-alias` (annotations reference §2).

use tidegate_snapshot::{Hostname, Pattern};

use super::{Refusal, Settings, value};

/// A list of names, `*.` wildcards and, after a `~`, regular expressions. One
/// that cannot be served is reported; the others work.
pub(super) fn server_alias(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let mut result = Ok(());
    for alias in text.split(',').map(str::trim).filter(|alias| !alias.is_empty()) {
        if !value::is_regex(alias.strip_prefix('~').unwrap_or(alias)) {
            return Err(Refusal::rejected(
                format!("{} is not a name", value::shown(alias)),
                "write names separated by commas",
            ));
        }
        match parse(alias) {
            Ok(hostname) if settings.aliases.contains(&hostname) => {}
            Ok(hostname) => settings.aliases.push(hostname),
            Err(refusal) => result = Err(refusal),
        }
    }
    result
}

fn parse(alias: &str) -> Result<Hostname, Refusal> {
    let refused = |error: &dyn std::fmt::Display| {
        Refusal::ignored(
            format!("the alias {} is not served: {error}", value::shown(alias)),
            "write a name, a wildcard as in `*.example.com`, or a regular expression after a `~`",
        )
    };
    match alias.strip_prefix('~') {
        Some(regex) => Pattern::new(regex, true)
            .map(Hostname::Regex)
            .map_err(|error| refused(&error)),
        None => match Hostname::parse(alias) {
            Ok(Hostname::Any) => Err(refused(&"it is every name")),
            Ok(hostname) => Ok(hostname),
            Err(error) => Err(refused(&error)),
        },
    }
}
