//! The state of a directory: which file has which objects. Compares with what
//! is on disk and tells the difference; blocking, no tasks, no timers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tidegate_snapshot::{Effect, ObjectRef, Problem};

use crate::manifest;
use crate::objects::{Kind, NamespacedName, Object};
use crate::provider::ObjectChange;

/// A file changed more recently than this when it was read is read again in
/// the next pass: clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_millis(100);
/// Directories deeper than this are not entered (a loop of links).
const DEPTH: usize = 16;

/// What to do about a document that cannot be read.
const MEND: &str = "mend the document; until then what it last described stays";

type Key = (Kind, NamespacedName);

/// What is known of a directory, or of one file.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    files: BTreeMap<Arc<Path>, File>,
    /// The files that have an object, sorted; the first one counts.
    claims: HashMap<Key, Vec<Arc<Path>>>,
    problems: Vec<Problem>,
}

#[derive(Debug, Default)]
struct File {
    fingerprint: Fingerprint,
    settled: bool,
    keys: BTreeSet<Key>,
    problems: Vec<Problem>,
}

/// Differs when the content does. Of the target, where there is a link: so the
/// atomic swap of a mounted ConfigMap shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// What differs since the last pass.
    pub(super) changes: Vec<ObjectChange>,
    /// Every problem that stands.
    pub(super) problems: Vec<Problem>,
    /// Whether these differ from those of the last pass.
    pub(super) problems_changed: bool,
}

impl Directory {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            claims: HashMap::new(),
            problems: Vec::new(),
        }
    }

    /// Compares with the disk.
    pub(super) fn pass(&mut self) -> Pass {
        let mut listing = Listing::default();
        listing.visit(&self.root, 0);
        let mut touched: HashSet<Key> = HashSet::new();
        // What cannot be listed may still be there: nothing is removed then.
        if listing.problems.is_empty() {
            self.remove_missing(&listing, &mut touched);
        }
        let mut unread = listing.files;
        unread.retain(|path, fingerprint| {
            let known = self.files.get(path);
            known.is_none_or(|file| !file.settled || file.fingerprint != *fingerprint)
        });
        let mut read: HashMap<Arc<Path>, HashMap<Key, Object>> = HashMap::new();
        for (path, fingerprint, content) in read_all(unread.into_iter().collect()) {
            let objects = self.take(&path, fingerprint, content, &mut touched);
            read.insert(path, objects);
        }
        let changes = self.settle_claims(touched, read);
        self.claims.shrink_to(2 * self.claims.len());
        let mut problems = listing.problems;
        problems.extend(self.files.values().flat_map(|file| file.problems.iter().cloned()));
        problems.extend(self.duplicates());
        let problems_changed = problems != self.problems;
        self.problems.clone_from(&problems);
        Pass {
            changes,
            problems,
            problems_changed,
        }
    }

    fn remove_missing(&mut self, listing: &Listing, touched: &mut HashSet<Key>) {
        let claims = &mut self.claims;
        self.files.retain(|path, file| {
            let stays = listing.files.contains_key(path);
            if !stays {
                for key in std::mem::take(&mut file.keys) {
                    unclaim(claims, &key, path);
                    touched.insert(key);
                }
            }
            stays
        });
    }

    /// Takes what a file has now and claims its objects.
    fn take(
        &mut self,
        path: &Arc<Path>,
        fingerprint: Fingerprint,
        content: Content,
        touched: &mut HashSet<Key>,
    ) -> HashMap<Key, Object> {
        let before = self.files.remove(path).unwrap_or_default();
        let mut keys: BTreeSet<Key> = content.objects.keys().cloned().collect();
        for key in before.keys {
            if content.complete {
                if !keys.contains(&key) {
                    unclaim(&mut self.claims, &key, path);
                    touched.insert(key);
                }
            } else {
                // It may be what the broken document describes: it stays.
                keys.insert(key);
            }
        }
        for key in content.objects.keys() {
            let claims = self.claims.entry(key.clone()).or_default();
            if let Err(at) = claims.binary_search(path) {
                claims.insert(at, path.clone());
            }
            touched.insert(key.clone());
        }
        let file = File {
            fingerprint,
            settled: fingerprint.is_settled(),
            keys,
            problems: content.problems,
        };
        self.files.insert(path.clone(), file);
        content.objects
    }

    /// The objects that count now, of the keys that something happened to.
    fn settle_claims(
        &self,
        touched: HashSet<Key>,
        mut read: HashMap<Arc<Path>, HashMap<Key, Object>>,
    ) -> Vec<ObjectChange> {
        let mut changes = Vec::with_capacity(touched.len());
        for key in touched {
            let Some(winner) = self.claims.get(&key).and_then(|claims| claims.first()) else {
                changes.push(ObjectChange::Delete(key.0, key.1));
                continue;
            };
            // A file that takes over from another has not been read just now.
            let objects = read
                .entry(winner.clone())
                .or_insert_with(|| Content::read(winner).objects);
            if let Some(object) = objects.remove(&key) {
                changes.push(ObjectChange::Apply(object));
            }
        }
        changes
    }

    fn duplicates(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for ((kind, name), files) in &self.claims {
            let [first, others @ ..] = files.as_slice() else {
                continue;
            };
            problems.extend(others.iter().map(|other| Problem {
                object: ObjectRef {
                    kind: kind.as_str().into(),
                    namespace: name.namespace.clone(),
                    name: name.name.clone(),
                },
                field: "metadata.name".to_owned(),
                reason: "DuplicateObject",
                message: format!("{} also has it, {} counts", other.display(), first.display()),
                effect: Effect::Ignored,
                fix: format!("remove it from {}", other.display()),
            }));
        }
        problems.sort();
        problems
    }
}

fn unclaim(claims: &mut HashMap<Key, Vec<Arc<Path>>>, key: &Key, path: &Arc<Path>) {
    if let Some(files) = claims.get_mut(key) {
        files.retain(|file| file != path);
        if files.is_empty() {
            claims.remove(key);
        }
    }
}

/// Reads files on all cores: parsing is nearly all of a start's time. In the
/// order given.
fn read_all(files: Vec<(Arc<Path>, Fingerprint)>) -> Vec<(Arc<Path>, Fingerprint, Content)> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(files.len());
    let next = AtomicUsize::new(0);
    let read_some = || {
        let mut read = Vec::new();
        while let Some((at, (path, _))) = take_next(&files, &next) {
            read.push((at, Content::read(path)));
        }
        read
    };
    let mut contents = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(read_some)).collect();
        let mut contents = read_some();
        for other in others {
            contents.extend(other.join().expect("reading a file does not panic"));
        }
        contents
    });
    contents.sort_unstable_by_key(|(at, _)| *at);
    let contents = contents.into_iter().map(|(_, content)| content);
    let files = files.into_iter();
    files
        .zip(contents)
        .map(|((path, fingerprint), content)| (path, fingerprint, content))
        .collect()
}

/// The next item that nobody has taken, and its index.
fn take_next<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

/// What a file holds.
struct Content {
    objects: HashMap<Key, Object>,
    problems: Vec<Problem>,
    /// Whether all of it could be read.
    complete: bool,
}

impl Content {
    fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return Self {
                    objects: HashMap::new(),
                    problems: vec![unreadable(&name, &error)],
                    complete: false,
                };
            }
        };
        let manifest = manifest::parse(&name, &text);
        for skipped in &manifest.skipped {
            tracing::debug!("{skipped}");
        }
        Self {
            complete: manifest.errors.is_empty(),
            problems: manifest.errors.iter().map(|error| error.problem(MEND)).collect(),
            // Of two documents for one object the later one counts, as in kubectl.
            objects: manifest
                .objects
                .into_iter()
                .map(|object| ((object.kind(), object.namespaced_name()), object))
                .collect(),
        }
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    Problem {
        object: ObjectRef::new("File", "", name),
        field: "content".to_owned(),
        reason: "UnreadableFile",
        message: error.to_string(),
        effect: Effect::Ignored,
        fix: "make it readable; until then its last objects stay".to_owned(),
    }
}

/// The files below a root.
#[derive(Default)]
struct Listing {
    files: BTreeMap<Arc<Path>, Fingerprint>,
    problems: Vec<Problem>,
}

impl Listing {
    fn visit(&mut self, path: &Path, depth: usize) {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            // Removed meanwhile, or a dangling link: not there. The root must be.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth > 0 => return,
            Err(error) => {
                return self
                    .problems
                    .push(unreadable(&path.display().to_string(), &error));
            }
        };
        if metadata.is_dir() && depth < DEPTH {
            self.enter(path, depth);
        } else if metadata.is_file() && (depth == 0 || is_manifest(path)) {
            self.files.insert(path.into(), Fingerprint::of(&metadata));
        }
    }

    fn enter(&mut self, directory: &Path, depth: usize) {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                return self
                    .problems
                    .push(unreadable(&directory.display().to_string(), &error));
            }
        };
        for entry in entries.flatten() {
            // Editors' temporary files, and `..data` of mounted ConfigMaps.
            if !entry.file_name().to_string_lossy().starts_with('.') {
                self.visit(&entry.path(), depth + 1);
            }
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

impl Fingerprint {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later write would surely show in another time.
    fn is_settled(&self) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or_default();
        let nanoseconds = u32::try_from(self.changed.1).unwrap_or_default();
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        changed.elapsed().is_ok_and(|age| age > SETTLED)
    }
}
