//! `docs/configuration.md`, from the settings' types and the table of flags. A
//! test keeps it fresh.

use std::fmt::Write;
use std::path::Path;

use tidegate_gateway::settings;

use crate::flags::{Effect, Value, table};

const HEAD: &str = "# Configuration\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test -p tidegate-gateway --bin tidegate docs`.\n\n\
    What belongs to the process stands in one YAML file (`tidegate run --config FILE`), in flags, or both: a\n\
    flag wins over the file. `conf/gateway.yaml` shows every key with its default; `tidegate schema` prints\n\
    the JSON schema. What belongs to a single Ingress stands in its annotations.\n";

const FLAGS: &str = "\n## Flags\n\n\
    The names are ingress-nginx's, so that the args of an existing Deployment keep working: one or two\n\
    dashes, `-flag=value` or `-flag value`, switches with or without `=true`. Args without a subcommand are\n\
    those of `run`, also after `/nginx-ingress-controller`.\n\n\
    | Flag | Setting | Meaning |\n| --- | --- | --- |\n";

const INERT: &str = "\n## Flags without effect\n\n\
    Accepted with one warning at the start.\n\n\
    | Flag | What happens instead |\n| --- | --- |\n";

/// The page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Settings\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    // Writing to a String cannot fail.
    for key in settings::keys() {
        let default = match &*key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(page, "| `{}` | {default} | {} |", key.path, cell(&key.comment));
    }
    page.push_str(FLAGS);
    for flag in table() {
        let value = match flag.value {
            Value::Switch => String::new(),
            Value::Text(name) => format!("={name}"),
        };
        if let Effect::Set { key, help, .. } = flag.effect {
            let _ = writeln!(page, "| `--{}{value}` | `{key}` | {} |", flag.name, cell(help));
        }
    }
    page.push_str(INERT);
    for flag in table() {
        if let Effect::Inert(instead) = flag.effect {
            let _ = writeln!(page, "| `--{}` | {} |", flag.name, cell(instead));
        }
    }
    page
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = page();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/configuration.md is stale: \
         UPDATE_GENERATED=1 cargo test -p tidegate-gateway --bin tidegate docs"
    );
}
