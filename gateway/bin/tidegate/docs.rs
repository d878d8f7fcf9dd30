//! The generated pages of `docs/`: settings, flags, annotations, ConfigMap keys
//! and snippets, from the tables that the program itself works by. A test keeps them
//! fresh.

mod compatibility;
mod snippets;

use std::fmt::Write;
use std::path::Path;

use tidegate_controller::translate;
use tidegate_controller::verdict::{Row, Verdict};
use tidegate_gateway::settings;

use crate::flags::{Effect, Flag, Value, table};

const HEAD: &str = "# Configuration\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    What belongs to the process stands in one YAML file (`tidegate run --config FILE`), in flags, or both: a\n\
    flag wins over the file. `conf/gateway.yaml` shows every key with its default; `tidegate schema` prints\n\
    the JSON schema. What belongs to a single Ingress stands in its annotations.\n";

const FLAGS: &str = "# Flags\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    The flags of `tidegate run`. The names are ingress-nginx's, so that the args of an existing Deployment\n\
    keep working: one or two dashes, `-flag=value` or `-flag value`, switches with or without `=true`. Args\n\
    without a subcommand are those of `run`, also after `/nginx-ingress-controller`.\n\n";

const FLAGS_TABLE: &str = "| Flag | Setting | Meaning | Verdict | |\n| --- | --- | --- | --- | --- |\n";

const INERT: &str = "\n## Flags without effect\n\n\
    Accepted with one warning at the start, where they ask for anything.\n\n\
    | Flag | Verdict | |\n| --- | --- | --- |\n";

const ANNOTATIONS: &str = "# Annotations\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    Every annotation of ingress-nginx 1.15 (`nginx.ingress.kubernetes.io/…`) and what Tidegate does with it.\n\
    One that is refused, and a value that cannot be understood, is reported as a Problem on its Ingress; if it\n\
    guards access, its routes answer 503.\n\n";

const CONFIG_MAP: &str = "# ConfigMap\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    Every key of ingress-nginx's ConfigMap (`--configmap NAMESPACE/NAME`) and what Tidegate does with it. A\n\
    change takes effect at once. A value that cannot be understood leaves the key's default and is reported\n\
    as a Problem on the ConfigMap; if the key guards access, all routes answer 503 until it is mended.\n\n";

/// `docs/configuration.md`.
fn configuration() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Settings\n\n| Key | Default | Meaning |\n| --- | --- | --- |\n");
    // Writing to a String cannot fail.
    for key in settings::keys() {
        let default = code(&key.default);
        let _ = writeln!(page, "| `{}` | {default} | {} |", key.path, cell(&key.comment));
    }
    page
}

/// `docs/flags.md`.
fn flags() -> String {
    let mut page = FLAGS.to_owned();
    page.push_str(&counts(table().map(Flag::verdict)));
    page.push_str(FLAGS_TABLE);
    for flag in table() {
        let value = match flag.value {
            Value::Switch => String::new(),
            Value::Text(name) => format!("={name}"),
        };
        if let Effect::Set { key, help, .. } = flag.effect {
            let (help, verdict) = (cell(help), verdict(flag.verdict()));
            let _ = writeln!(
                page,
                "| `--{}{value}` | `{key}` | {help} | {verdict} |",
                flag.name
            );
        }
    }
    page.push_str(INERT);
    for flag in table() {
        if let Effect::None(why) = flag.effect {
            let _ = writeln!(page, "| `--{}` | {} |", flag.name, verdict(why));
        }
    }
    page
}

/// `docs/annotations.md`.
fn annotations() -> String {
    let mut page = ANNOTATIONS.to_owned();
    page.push_str(&counts(translate::annotations().map(|row| row.verdict)));
    page.push_str("| Annotation | Meaning | Verdict | |\n| --- | --- | --- | --- |\n");
    let known = |row: &Row| !matches!(row.verdict, Verdict::Removed(_));
    for row in translate::annotations().filter(known) {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            row.name,
            cell(row.doc),
            verdict(row.verdict)
        );
    }
    page.push_str("\n## Dropped by ingress-nginx\n\n| Annotation | Instead |\n| --- | --- |\n");
    for row in translate::annotations() {
        if let Verdict::Removed(instead) = row.verdict {
            let _ = writeln!(page, "| `{}` | {} |", row.name, cell(instead));
        }
    }
    page
}

/// `docs/configmap.md`.
fn config_map() -> String {
    let mut page = CONFIG_MAP.to_owned();
    page.push_str(&counts(translate::configuration_keys().map(|row| row.verdict)));
    page.push_str("| Key | Default | Meaning | Verdict | |\n| --- | --- | --- | --- | --- |\n");
    for row in translate::configuration_keys() {
        let (name, default, doc) = (row.name, code(row.default), cell(row.doc));
        let _ = writeln!(
            page,
            "| `{name}` | {default} | {doc} | {} |",
            verdict(row.verdict)
        );
    }
    page
}

/// How many have which verdict.
fn counts(verdicts: impl Iterator<Item = Verdict>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for verdict in verdicts {
        let word = verdict.word();
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let texts: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    format!("In all: {}.\n\n", texts.join(", "))
}

/// The verdict's two cells.
fn verdict(verdict: Verdict) -> String {
    format!("{} | {}", verdict.word(), cell(&verdict.to_string()))
}

fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{}`", cell(text)),
    }
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_pages_are_fresh() {
    let pages = [
        ("configuration", configuration()),
        ("flags", flags()),
        ("annotations", annotations()),
        ("configmap", config_map()),
        ("compatibility", compatibility::page()),
        ("snippets", snippets::page()),
    ];
    for (name, page) in pages {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/{name}.md"));
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == page,
            "docs/{name}.md is stale: \
             UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs"
        );
    }
}

#[test]
fn the_readme_counts_the_compatibility_tests() {
    let page = compatibility::page();
    let (_, rest) = page.split_once("In all: ").unwrap();
    let (count, _) = rest.split_once(' ').unwrap();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let claim = format!("[{count} compatibility tests](docs/compatibility.md)");
    assert!(readme.contains(&claim), "README.md does not say `{claim}`");
}

/// The flags of ingress-nginx 1.15 (its `pkg/flags`), and klog's in use.
#[test]
fn every_flag_of_ingress_nginx_is_known() {
    const FLAGS: &str = "annotations-prefix apiserver-host certificate-authority kubeconfig bucket-factor \
        configmap controller-class deep-inspect default-backend-service default-server-port \
        default-ssl-certificate disable-catch-all disable-full-test disable-leader-election \
        disable-svc-external-name disable-sync-events dynamic-configuration-retries election-id \
        election-ttl enable-annotation-validation enable-metrics enable-ssl-chain-completion \
        enable-ssl-passthrough enable-topology-aware-routing exclude-socket-metrics health-check-path \
        health-check-timeout healthz-host healthz-port http-port https-port ingress-class \
        ingress-class-by-name internal-logger-address length-buckets max-buckets maxmind-edition-ids \
        maxmind-license-key maxmind-mirror maxmind-retries-count maxmind-retries-timeout \
        metrics-per-host metrics-per-undefined-host monitor-max-batch-size post-shutdown-grace-period \
        profiler-address profiler-port profiling publish-service publish-status-address \
        report-node-internal-ip-address report-status-classes shutdown-grace-period size-buckets \
        ssl-passthrough-proxy-port status-port stream-port status-update-interval sync-period \
        sync-rate-limit tcp-services-configmap udp-services-configmap time-buckets update-status \
        update-status-on-shutdown validating-webhook validating-webhook-certificate \
        validating-webhook-key watch-ingress-without-class watch-namespace watch-namespace-selector v \
        vmodule logtostderr alsologtostderr log_dir log_file stderrthreshold skip_headers";
    for name in FLAGS.split_ascii_whitespace() {
        assert!(table().any(|flag| flag.name == name), "--{name}");
    }
}
