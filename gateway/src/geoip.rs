//! Where clients are, by GeoIP databases (nginx `ngx_http_geoip2_module`). Files
//! are read into memory, and again when they change, never by a request. One set
//! for a process: the variables of all listeners are the same.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use maxminddb::{PathElement, Reader};
use parking_lot::Mutex;
use serde_json::Value;
use tidegate_snapshot::geoip::{GeoDatabase, GeoField, GeoIp, GeoStep};
use tidegate_snapshot::{Effect, ObjectRef, Problem};
use tokio::sync::Notify;
use tracing::info;

/// Those in use; `None`: there are none.
static ACTIVE: ArcSwapOption<Databases> = ArcSwapOption::const_empty();

/// Databases, read.
#[derive(Default)]
struct Databases {
    files: Vec<Database>,
}

/// One database.
struct Database {
    kind: GeoDatabase,
    path: PathBuf,
    stamp: Option<Stamp>,
    /// `None`: the file is missing or broken.
    reader: Option<Arc<Reader<Vec<u8>>>>,
    /// Why it is.
    error: Option<String>,
}

/// What tells a file from what it was.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl Database {
    /// Reads a file; `before` is taken over where the file has not changed. A file
    /// that breaks leaves what was read before.
    fn read(kind: GeoDatabase, path: PathBuf, before: Option<&Self>) -> Self {
        let stamp = Stamp::of(&path);
        if let Some(before) = before.filter(|before| before.stamp == stamp) {
            return Self {
                kind,
                path,
                stamp,
                reader: before.reader.clone(),
                error: before.error.clone(),
            };
        }
        let read =
            std::fs::read(&path).and_then(|bytes| Reader::from_source(bytes).map_err(io::Error::other));
        let (reader, error) = match read {
            Ok(reader) => {
                info!(file = %path.display(), "GeoIP database read");
                (Some(Arc::new(reader)), None)
            }
            // Told as a Problem.
            Err(error) => {
                let kept = before.and_then(|before| before.reader.clone());
                (kept, Some(error.to_string()))
            }
        };
        Self {
            kind,
            path,
            stamp,
            reader,
            error,
        }
    }
}

impl Databases {
    fn read(spec: &GeoIp, before: Option<&Self>) -> Self {
        let files = spec.editions.iter().filter_map(|edition| {
            let kind = GeoDatabase::of_edition(edition)?;
            let path = spec.directory.join(format!("{edition}.mmdb"));
            let before = before.and_then(|before| before.files.iter().find(|file| file.path == path));
            Some(Database::read(kind, path, before))
        });
        Self {
            files: files.collect(),
        }
    }

    fn has_changed(&self) -> bool {
        self.files.iter().any(|file| Stamp::of(&file.path) != file.stamp)
    }

    fn reader(&self, kind: GeoDatabase) -> Option<&Reader<Vec<u8>>> {
        let mut files = self.files.iter().filter(|file| file.kind == kind);
        files.find_map(|file| file.reader.as_deref())
    }
}

/// What the databases say of an address.
#[derive(Debug)]
pub struct Place {
    /// By the numbers of [`GeoField::ALL`]. `None`: its database is not there.
    values: Box<[Option<Box<str>>]>,
}

impl Place {
    /// Looks an address up. Without databases nothing is known of anybody.
    pub fn of(address: IpAddr) -> Option<Arc<Self>> {
        let databases = ACTIVE.load_full()?;
        Some(Arc::new(Self::within(&databases, address)))
    }

    fn within(databases: &Databases, address: IpAddr) -> Self {
        let mut values = vec![None; GeoField::ALL.len()];
        for kind in GeoDatabase::ALL {
            let Some(reader) = databases.reader(kind) else {
                continue;
            };
            // An address that the database cannot hold is one that it does not know.
            let found = reader.lookup(address).ok();
            for field in GeoField::ALL.iter().filter(|field| field.database() == kind) {
                let path: Vec<PathElement<'_>> = field.path().iter().map(element).collect();
                let value = found.as_ref().and_then(|found| found.decode_path(&path).ok()?);
                let text = value
                    .map(|value: Value| text(&value))
                    .filter(|text| !text.is_empty());
                let text = text.unwrap_or_else(|| field.default_value().to_owned());
                values[*field as usize] = Some(text.into());
            }
        }
        Self {
            values: values.into(),
        }
    }

    /// The value of a variable; empty where nothing is known. `None`: its database
    /// is not there.
    pub fn value(&self, field: GeoField) -> Option<&str> {
        self.values.get(field as usize)?.as_deref()
    }
}

fn element(step: &GeoStep) -> PathElement<'static> {
    match step {
        GeoStep::Key(key) => PathElement::Key(key),
        GeoStep::Index(index) => PathElement::Index(*index),
    }
}

/// As nginx's module writes values.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "1".to_owned(),
        Value::Bool(false) => "0".to_owned(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => format!("{number:.5}"),
            None => number.to_string(),
        },
        _ => String::new(),
    }
}

/// Reads the databases that a snapshot asks for, and follows their files.
#[derive(Default)]
pub struct Follower {
    wanted: Mutex<Option<Arc<GeoIp>>>,
    changed: Notify,
}

impl Follower {
    /// Takes what a snapshot says. Reads files: not for the request path.
    pub fn configure(&self, spec: &Option<Arc<GeoIp>>) {
        let mut wanted = self.wanted.lock();
        if *wanted == *spec {
            return;
        }
        wanted.clone_from(spec);
        reload(spec.as_deref());
        drop(wanted);
        self.changed.notify_one();
    }

    /// Looks at the files for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        loop {
            let spec = self.wanted.lock().clone();
            match &spec {
                None => self.changed.notified().await,
                Some(spec) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep(spec.reload) => {
                        let follower = self.clone();
                        // An error is the end of the runtime.
                        let _ = tokio::task::spawn_blocking(move || follower.look()).await;
                    }
                },
            }
        }
    }

    fn look(&self) {
        let wanted = self.wanted.lock();
        if ACTIVE.load().as_ref().is_some_and(|active| active.has_changed()) {
            reload(wanted.as_deref());
        }
    }

    /// What is wrong with the databases; the object is the ConfigMap that asks for
    /// them.
    pub fn problems(&self, object: &ObjectRef) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut tell = |message: String, fix: &str| {
            problems.push(Problem {
                object: object.clone(),
                field: "data[use-geoip2]".to_owned(),
                reason: "GeoIpDatabaseMissing",
                message,
                effect: Effect::Ignored,
                fix: fix.to_owned(),
            });
        };
        let wanted = self.wanted.lock().clone();
        let editions = wanted.iter().flat_map(|spec| &spec.editions);
        for edition in editions.filter(|edition| GeoDatabase::of_edition(edition).is_none()) {
            tell(
                format!("nothing is known of GeoIP databases like {edition:?}"),
                "take it out of --maxmind-edition-ids",
            );
        }
        let active = ACTIVE.load_full();
        let files = active.iter().flat_map(|active| &active.files);
        for file in files.filter(|file| file.error.is_some()) {
            let error = file.error.as_deref().unwrap_or_default();
            let kept = match file.reader {
                Some(_) => "the one read before is used",
                None => "its variables are empty, and what snippets decide by them answers 503",
            };
            tell(
                format!("{}: {error}: {kept}", file.path.display()),
                "mount the file, or take its edition out of --maxmind-edition-ids",
            );
        }
        problems
    }
}

fn reload(spec: Option<&GeoIp>) {
    let before = ACTIVE.load_full();
    ACTIVE.store(spec.map(|spec| Arc::new(Databases::read(spec, before.as_deref()))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_nginx_does() {
        let text = |value: Value| super::text(&value);
        assert_eq!(text("DE".into()), "DE");
        assert_eq!(text(52.5.into()), "52.50000");
        assert_eq!(text(64512.into()), "64512");
        assert_eq!(text(true.into()), "1");
        assert_eq!(text(Value::Null), "");
    }

    #[test]
    fn without_its_database_a_variable_has_no_value() {
        let place = Place::within(&Databases::default(), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(place.value(GeoField::City), None);
    }

    #[test]
    fn a_broken_file_has_no_reader_and_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("GeoLite2-City.mmdb"), b"broken").unwrap();
        let spec = GeoIp {
            directory: folder.path().to_owned(),
            ..GeoIp::default()
        };
        let databases = Databases::read(&spec, None);
        assert!(databases.files.iter().all(|file| file.reader.is_none()));
        assert!(databases.files.iter().all(|file| file.error.is_some()));
        assert!(!databases.has_changed());
        std::fs::write(folder.path().join("GeoLite2-ASN.mmdb"), b"broken, too").unwrap();
        assert!(databases.has_changed());
    }
}
