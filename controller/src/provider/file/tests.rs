//! The provider on a real directory: edits, additions, broken files, repairs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::objects::{Kind, Objects};

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{ports: [{{port: {port}}}]}}\n"
    )
}

/// A provider and a store that follows it.
struct Followed {
    events: mpsc::Receiver<ProviderEvent>,
    objects: Objects,
    problems: Vec<Problem>,
}

impl Followed {
    /// Starts, and waits for the first sync.
    async fn start(root: &Path) -> Self {
        let (sender, events) = mpsc::channel(16);
        tokio::spawn(run(root.to_owned(), sender));
        let mut followed = Self {
            events,
            objects: Objects::new(),
            problems: Vec::new(),
        };
        while !followed.step().await {}
        followed
    }

    /// Takes one event; true for the sync.
    async fn step(&mut self) -> bool {
        let event = tokio::time::timeout(Duration::from_secs(10), self.events.recv())
            .await
            .expect("an event in time")
            .unwrap();
        match event.update {
            Update::Changes(changes) => {
                for change in changes {
                    match change {
                        ObjectChange::Apply(object) => self.objects.apply(object),
                        ObjectChange::Delete(kind, name) => {
                            self.objects.delete(kind, &name.namespace, &name.name)
                        }
                    };
                }
            }
            Update::Problems(problems) => self.problems = problems,
            Update::Synced => return true,
            Update::Relist { .. } | Update::Definitions(_) => panic!("files send no lists"),
        }
        false
    }

    async fn until(&mut self, what: impl Fn(&Self) -> bool) {
        while !what(self) {
            self.step().await;
        }
    }

    fn port(&self, name: &str) -> Option<i32> {
        let spec = self.objects.service("shop", name)?.spec.as_ref()?;
        Some(spec.ports.as_ref()?.first()?.port)
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.problems.iter().map(|problem| problem.reason).collect()
    }
}

#[tokio::test]
async fn edit_add_break_repair_remove() {
    let directory = tempfile::tempdir().unwrap();
    let a = directory.path().join("a.yaml");
    fs::write(&a, service("a", 80)).unwrap();
    let mut followed = Followed::start(directory.path()).await;
    assert_eq!(followed.port("a"), Some(80));

    fs::write(&a, service("a", 81)).unwrap();
    followed.until(|now| now.port("a") == Some(81)).await;

    let b = directory.path().join("b.yaml");
    fs::write(&b, service("b", 90)).unwrap();
    followed.until(|now| now.port("b") == Some(90)).await;

    fs::write(&a, "apiVersion: v1\nkind: Service\nmetadata: {name: [\n").unwrap();
    followed.until(|now| now.reasons() == ["InvalidManifest"]).await;
    assert_eq!(followed.port("a"), Some(81), "a broken file keeps what it had");
    let problem = &followed.problems[0];
    assert_eq!(&*problem.object.name, a.display().to_string());
    assert!(problem.field.starts_with("line "), "{problem}");
    fs::write(&b, service("b", 91)).unwrap();
    followed.until(|now| now.port("b") == Some(91)).await;

    fs::write(&a, service("a", 82)).unwrap();
    followed
        .until(|now| now.port("a") == Some(82) && now.problems.is_empty())
        .await;

    fs::remove_file(&a).unwrap();
    followed.until(|now| now.port("a").is_none()).await;
    assert_eq!(followed.port("b"), Some(91));
}

#[tokio::test]
async fn a_new_directory_inside_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let mut followed = Followed::start(directory.path()).await;
    let inner = directory.path().join("team");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.yaml"), service("a", 80)).unwrap();
    followed.until(|now| now.port("a") == Some(80)).await;
}

#[tokio::test]
async fn a_swap_of_a_mounted_config_map_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let version = |name: &str, port| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("a.yaml"), service("a", port)).unwrap();
        std::os::unix::fs::symlink(name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..1", 80);
    std::os::unix::fs::symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    let mut followed = Followed::start(root).await;
    assert_eq!(followed.port("a"), Some(80));
    version("..2", 81);
    followed.until(|now| now.port("a") == Some(81)).await;
}

#[tokio::test]
async fn one_file_is_followed_across_a_replacement() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("all.yaml");
    fs::write(&file, service("a", 80)).unwrap();
    let mut followed = Followed::start(&file).await;
    let new = directory.path().join("new");
    fs::write(&new, service("a", 81)).unwrap();
    fs::rename(&new, &file).unwrap();
    followed.until(|now| now.port("a") == Some(81)).await;
}

#[test]
fn of_two_files_with_one_object_the_first_counts() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a.yaml"), root.path().join("b.yaml"));
    fs::write(&a, service("x", 80)).unwrap();
    fs::write(&b, service("x", 90)).unwrap();
    let mut directory = Directory::new(root.path().to_owned());
    let mut objects = Objects::new();
    let mut apply = |pass: Pass| {
        for change in pass.changes {
            match change {
                ObjectChange::Apply(object) => objects.apply(object),
                ObjectChange::Delete(kind, name) => objects.delete(kind, &name.namespace, &name.name),
            };
        }
        let service = objects.service("shop", "x")?;
        Some(service.spec.as_ref()?.ports.as_ref()?.first()?.port)
    };
    let pass = directory.pass();
    assert_eq!(pass.problems.len(), 1);
    assert_eq!(pass.problems[0].reason, "DuplicateObject");
    assert_eq!(apply(pass), Some(80));

    // The second takes over without being touched itself.
    fs::remove_file(&a).unwrap();
    let pass = directory.pass();
    assert!(pass.problems.is_empty() && pass.problems_changed);
    assert_eq!(apply(pass), Some(90));

    // And gives way again.
    fs::write(&a, service("x", 81)).unwrap();
    assert_eq!(apply(directory.pass()), Some(81));

    fs::remove_file(&a).unwrap();
    fs::remove_file(&b).unwrap();
    assert_eq!(apply(directory.pass()), None);
}

#[test]
fn a_broken_document_takes_only_itself_along() {
    let root = tempfile::tempdir().unwrap();
    let text = format!("{}---\nkind: [\n---\n{}", service("a", 80), service("b", 80));
    fs::write(root.path().join("all.yaml"), text).unwrap();
    let (objects, problems) = load(root.path());
    let mut names: Vec<_> = objects
        .iter()
        .map(|object| object.namespaced_name().name)
        .collect();
    names.sort();
    assert_eq!(names, ["a".into(), "b".into()]);
    assert_eq!(problems.len(), 1);
    assert!(objects.iter().all(|object| object.kind() == Kind::Service));
}

#[test]
fn other_files_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("README.md"), "not yaml: [").unwrap();
    fs::write(root.path().join(".a.yaml.swp"), "not yaml: [").unwrap();
    fs::write(root.path().join("a.json"), r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"shop"},"spec":{"ports":[{"port":80}]}}"#).unwrap();
    let (objects, problems) = load(root.path());
    assert_eq!((objects.len(), problems.len()), (1, 0));
}

#[test]
fn a_root_that_vanishes_takes_nothing_away() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("conf");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), service("a", 80)).unwrap();
    let mut directory = Directory::new(root.clone());
    assert_eq!(directory.pass().changes.len(), 1);
    fs::rename(&root, parent.path().join("elsewhere")).unwrap();
    let pass = directory.pass();
    assert!(pass.changes.is_empty());
    assert_eq!(pass.problems[0].reason, "UnreadableFile");
}
