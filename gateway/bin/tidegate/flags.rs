//! The flags of `tidegate run`. One table drives parsing, warnings, help and
//! `docs/flags.md`. Names and meanings are ingress-nginx's
//! (its `pkg/flags`), so that the args of an existing Deployment keep working;
//! flags that mean nothing here are accepted with a warning that says what
//! happens instead.

mod inert;
mod set;

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use tidegate_controller::verdict::Verdict;
use tidegate_gateway::settings::Settings;

/// One flag.
pub(crate) struct Flag {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) value: Value,
    /// What it does.
    pub(crate) effect: Effect,
    /// What differs from ingress-nginx; empty: nothing.
    difference: &'static str,
}

impl Flag {
    /// What differs from ingress-nginx.
    const fn but(self, difference: &'static str) -> Self {
        Self { difference, ..self }
    }

    /// What becomes of it, for the docs.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.effect {
            Effect::Set { .. } => Verdict::Works.but(self.difference),
            Effect::None(verdict) => verdict,
        }
    }
}

/// What a flag takes.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// `--x`, `--x=true`, `--x=false`, as Go's flags.
    Switch,
    /// `--x=V` or `--x V`; the text is V's name.
    Text(&'static str),
}

/// What a flag does.
pub(crate) enum Effect {
    /// Changes settings.
    Set {
        /// How; the text is the value as given, for switches `true` or `false`.
        apply: fn(&mut Settings, &str) -> Result<(), String>,
        /// The key of the settings that it changes.
        key: &'static str,
        /// What for.
        help: &'static str,
    },
    /// Nothing; the verdict says what happens instead.
    None(Verdict),
}

/// Every flag.
pub(crate) fn table() -> impl Iterator<Item = &'static Flag> {
    set::FLAGS.iter().chain(inert::FLAGS)
}

/// Flags as given on a command line, in the table's order.
#[derive(Clone, Default)]
pub(crate) struct Given(Vec<(&'static Flag, String)>);

impl Given {
    /// Applies them. Returns the warnings to show; the error names the flag.
    pub(crate) fn apply(&self, settings: &mut Settings) -> anyhow::Result<Vec<String>> {
        let mut warnings = Vec::new();
        for (flag, value) in &self.0 {
            let name = flag.name;
            match &flag.effect {
                Effect::None(verdict) if asks_for_nothing(*verdict, value) => {}
                Effect::None(verdict) => warnings.push(format!("--{name} has no effect: {verdict}")),
                Effect::Set { apply, .. } => {
                    let value = match flag.value {
                        Value::Switch => {
                            switch(value).map_err(|reason| anyhow::anyhow!("--{name}: {reason}"))?
                        }
                        Value::Text(_) => value,
                    };
                    apply(settings, value).map_err(|reason| anyhow::anyhow!("--{name}: {reason}"))?;
                }
            }
        }
        Ok(warnings)
    }
}

/// Whether a value asks for what is so anyway.
fn asks_for_nothing(verdict: Verdict, value: &str) -> bool {
    match verdict {
        // Always on.
        Verdict::Differs(_) => switch(value) == Ok("true"),
        Verdict::Refused { .. } => matches!(value, "" | "0" | "0s") || switch(value) == Ok("false"),
        Verdict::Works | Verdict::NoMeaning(_) | Verdict::Removed(_) => false,
    }
}

/// What Go takes for a boolean.
fn switch(value: &str) -> Result<&'static str, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true"),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false"),
        _ => Err(format!("{value:?} is neither true nor false")),
    }
}

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        let args = table().map(|flag| {
            let arg = Arg::new(flag.name).long(flag.name);
            let arg = match &flag.effect {
                Effect::Set { help, key, .. } => arg.help(match flag.verdict() {
                    Verdict::Differs(difference) => format!("{help}; {difference} [{key}]"),
                    _ => format!("{help} [{key}]"),
                }),
                Effect::None(_) => arg.hide(true),
            };
            match flag.value {
                Value::Switch => arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
                Value::Text(name) => arg.num_args(1).value_name(name).allow_hyphen_values(true),
            }
        });
        command.args(args).args_override_self(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = table().filter_map(|flag| Some((flag, matches.get_one::<String>(flag.name)?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
