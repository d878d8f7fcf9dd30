//! Runs helm.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::repository;

pub const RELEASE: &str = "edge";
pub const NAMESPACE: &str = "ingress-nginx";

/// Names of the files in `ci`, and the empty name for no values at all.
pub fn matrix() -> Vec<String> {
    let mut names = vec![String::new()];
    for entry in std::fs::read_dir(repository("helm/tidegate/ci")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        names.push(name.strip_suffix("-values.yaml").unwrap().to_owned());
    }
    names.sort();
    assert!(names.len() > 5);
    names
}

/// The arguments that select values of the matrix.
pub fn values(name: &str) -> Vec<String> {
    if name.is_empty() {
        return Vec::new();
    }
    let file = repository("helm/tidegate/ci").join(format!("{name}-values.yaml"));
    vec!["--values".to_owned(), file.display().to_string()]
}

/// `--set` for each `path=value`.
pub fn set(pairs: &[&str]) -> Vec<String> {
    pairs
        .iter()
        .flat_map(|pair| ["--set".to_owned(), (*pair).to_owned()])
        .collect()
}

fn chart() -> String {
    repository("helm/tidegate").display().to_string()
}

fn tool() -> PathBuf {
    let tools = std::env::var_os("TIDEGATE_TOOLS").expect("run `cargo xtask test`");
    PathBuf::from(tools).join("helm")
}

/// Helm with a home of its own, so that the user's is left alone.
pub fn run(arguments: &[String], kubeconfig: Option<&Path>) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(tool());
    command.args(arguments).env_remove("KUBECONFIG");
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME"] {
        command.env(name, home.path());
    }
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Success and standard output, or the error.
fn outcome(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr) + &text(&output.stdout))
    }
}

/// `helm VERB … CHART …` in the test's namespace.
pub fn chart_command(verb: &[&str], more: &[String], kubeconfig: Option<&Path>) -> Result<String, String> {
    let mut arguments: Vec<String> = verb.iter().map(|word| (*word).to_owned()).collect();
    arguments.extend([chart(), format!("--namespace={NAMESPACE}")]);
    arguments.extend_from_slice(more);
    outcome(&run(&arguments, kubeconfig))
}

/// `helm VERB RELEASE …` in the test's namespace.
pub fn release_command(words: &[&str], kubeconfig: &Path) -> Result<String, String> {
    let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    arguments.push(format!("--namespace={NAMESPACE}"));
    outcome(&run(&arguments, Some(kubeconfig)))
}

/// What `helm template` writes.
pub fn template(more: &[String]) -> Result<String, String> {
    chart_command(&["template", RELEASE], more, None)
}

/// The objects in what `helm template` wrote.
pub fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = text
        .split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}:\n{document}"))
        })
        .collect();
    documents.into_iter().filter(|value| !value.is_null()).collect()
}

/// The objects that a set of values makes.
pub fn rendered(pairs: &[&str]) -> Objects {
    Objects(objects(&template(&set(pairs)).unwrap()))
}

/// The objects of a file in `ci`.
pub fn rendered_file(name: &str) -> Objects {
    Objects(objects(&template(&values(name)).unwrap()))
}

/// Rendered objects.
pub struct Objects(pub Vec<Value>);

impl Objects {
    /// All of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The one of this kind and name.
    pub fn one(&self, kind: &str, name: &str) -> &Value {
        let found = self
            .of_kind(kind)
            .into_iter()
            .find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The pod's specification in the Deployment or DaemonSet of the gateway.
    pub fn pod(&self) -> &Value {
        let kinds = ["Deployment", "DaemonSet"];
        let workload = self.0.iter().find(|object| {
            kinds.iter().any(|kind| object["kind"] == *kind)
                && object["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
        });
        &workload.unwrap()["spec"]["template"]
    }

    /// Its container.
    pub fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    /// The container's arguments.
    pub fn args(&self) -> Vec<&str> {
        let args = self.container()["args"].as_array().unwrap();
        args.iter().map(|arg| arg.as_str().unwrap()).collect()
    }
}
