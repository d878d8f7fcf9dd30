//! `tidegate check`: translates objects and prints every problem.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;
use tidegate_controller::manifest;
use tidegate_controller::objects::{Kind, Object, Objects};
use tidegate_controller::options::Options;
use tidegate_controller::provider::file;
use tidegate_controller::translate::gateway::status::{Condition, RouteStatus};
use tidegate_controller::translate::{Translation, configuration_keys, translate};
use tidegate_snapshot::{ObjectRef, Problem};

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
    let loaded = load(&args.input, &options::options(&settings)?)?;
    cli::print(&match args.output {
        Output::Text => text(&loaded),
        Output::Json => format!(
            "{:#}\n",
            json!({
                "served": loaded.translation.accepted,
                "passedOver": loaded.passed_over,
                "problems": loaded.problems,
            })
        ),
    });
    Ok(if loaded.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// What there is to say of an input.
pub(crate) struct Loaded {
    /// What its objects mean.
    pub(crate) translation: Translation,
    /// Those of the input itself, then those of its objects.
    pub(crate) problems: Vec<Problem>,
    /// The Ingresses of nobody's or somebody else's class.
    passed_over: Vec<ObjectRef>,
    /// The class that was taken to exist, because the input defines none.
    assumed: Option<String>,
    /// ConfigMaps with keys of the controller's that nobody said to read.
    unread: Vec<ObjectRef>,
}

/// Reads and translates objects. Manifests seldom bring their IngressClass
/// along: without any, the configured one is taken to exist.
pub(crate) fn load(input: &Path, options: &Options) -> anyhow::Result<Loaded> {
    let (objects, mut problems) = read(input)?;
    let mut store = Objects::new();
    let defined = objects.iter().any(|object| object.kind() == Kind::IngressClass);
    let assumed = (!defined).then(|| options.ingress_class.clone());
    let classes = assumed.as_ref().zip(options.controller_classes.first());
    let classes = classes.map(|(name, controller)| class(name, controller));
    let unread = match options.config_map {
        None => objects.iter().filter_map(settings_of_ours).collect(),
        Some(_) => Vec::new(),
    };
    for object in objects.into_iter().chain(classes.into_iter().flatten()) {
        store.apply(object);
    }
    let translation = translate(&store, options);
    problems.extend(translation.problems.iter().map(|problem| Problem::clone(problem)));
    let ingresses = store.names(Kind::Ingress).into_iter();
    let passed_over = ingresses
        .map(|name| ObjectRef::new("Ingress", &name.namespace, &name.name))
        .filter(|ingress| !translation.accepted.contains(ingress))
        .filter(|ingress| !problems.iter().any(|problem| problem.object == *ingress))
        .collect();
    Ok(Loaded {
        translation,
        problems,
        passed_over,
        assumed,
        unread,
    })
}

/// A ConfigMap that can only be meant for the controller: all of its keys are its.
fn settings_of_ours(object: &Object) -> Option<ObjectRef> {
    let Object::ConfigMap(map) = object else {
        return None;
    };
    let data = map.data.as_ref().filter(|data| !data.is_empty())?;
    let is_known = |name: &String| configuration_keys().any(|key| key.name == name);
    let name = object.namespaced_name();
    data.keys()
        .all(is_known)
        .then(|| ObjectRef::new("ConfigMap", &name.namespace, &name.name))
}

fn class(name: &str, controller: &str) -> Vec<Object> {
    let class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    });
    manifest::parse("assumed", &class.to_string()).objects
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
    let problems = manifest
        .errors
        .iter()
        .map(|error| error.problem("mend the document"));
    Ok((manifest.objects, problems.collect()))
}

fn text(loaded: &Loaded) -> String {
    let mut text = String::new();
    for problem in &loaded.problems {
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
    for ingress in &loaded.passed_over {
        let _ = writeln!(
            text,
            "{ingress}\n  not served: its class is not ours (--ingress-class, --controller-class)"
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if let Some(class) = &loaded.assumed {
        let _ = writeln!(
            text,
            "no IngressClass in the input: `{class}` is taken to be ours"
        );
    }
    for map in &loaded.unread {
        let _ = writeln!(
            text,
            "{map}\n  not read: --configmap={}/{} says that it is the controller's",
            map.namespace, map.name
        );
    }
    if loaded.translation.snapshot.geoip.is_some() {
        text.push_str("use-geoip2: databases are files of the pods, which are not looked at here\n");
    }
    let ingresses = loaded.translation.accepted.len();
    let mut summary = vec![count(ingresses, "Ingress served", "Ingresses served")];
    let api = &loaded.translation.gateway_api;
    if !api.gateways.is_empty() {
        let accepts = |condition: &Condition| condition.kind == "Accepted" && condition.status;
        let attached = |route: &&Arc<RouteStatus>| {
            let mut conditions = route.parents.iter().flat_map(|(_, conditions)| conditions.iter());
            conditions.any(accepts)
        };
        let routes = api.routes.values().filter(attached).count();
        summary.push(count(api.gateways.len(), "Gateway", "Gateways"));
        summary.push(count(routes, "route attached", "routes attached"));
    }
    summary.push(count(loaded.problems.len(), "problem", "problems"));
    let _ = writeln!(text, "{}", summary.join(", "));
    text
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_snapshot::Effect;

    fn loaded(accepted: Vec<ObjectRef>, problems: Vec<Problem>) -> Loaded {
        Loaded {
            translation: Translation {
                snapshot: Arc::default(),
                accepted: accepted.into(),
                newly_accepted: Vec::new(),
                gateway_api: Arc::default(),
                infrastructure: Arc::default(),
                changed_routes: Vec::new(),
                problems: Vec::new(),
            },
            problems,
            passed_over: Vec::new(),
            assumed: None,
            unread: Vec::new(),
        }
    }

    #[test]
    fn a_problem_says_what_to_do() {
        let ingress = ObjectRef::new("Ingress", "shop", "web");
        let problem = Problem {
            object: ingress.clone(),
            field: "spec.rules[0].host".to_owned(),
            reason: "InvalidHost",
            message: "\"a..b\": label \"\" must have 1 to 63 characters".to_owned(),
            effect: Effect::Ignored,
            fix: String::new(),
        };
        assert_eq!(
            text(&loaded(vec![ingress], vec![problem])),
            "Ingress shop/web\n  field    spec.rules[0].host\n  reason   InvalidHost\n  \
             problem  \"a..b\": label \"\" must have 1 to 63 characters\n  effect   field ignored\n\n\
             1 Ingress served, 1 problem\n"
        );
        assert_eq!(
            text(&loaded(Vec::new(), Vec::new())),
            "0 Ingresses served, 0 problems\n"
        );
    }

    #[test]
    fn whom_nobody_serves_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ingress.yaml");
        let yaml = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n";
        std::fs::write(&file, format!("{yaml}spec: {{ingressClassName: other}}\n")).unwrap();
        let passed = load(&file, &Options::default()).unwrap();
        assert_eq!(passed.passed_over, [ObjectRef::new("Ingress", "default", "a")]);
        assert!(text(&passed).contains("no IngressClass in the input: `nginx` is taken to be ours"));

        std::fs::write(&file, format!("{yaml}spec: {{ingressClassName: nginx}}\n")).unwrap();
        let served = load(&file, &Options::default()).unwrap();
        assert_eq!(served.translation.accepted.len(), 1);
        assert!(served.passed_over.is_empty());
    }
}
