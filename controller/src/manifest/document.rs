//! One document of a manifest.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;

use super::yaml::{self, Lines};
use super::{Manifest, ManifestError, Skipped};
use crate::gateway_api;
use crate::objects::{FieldPath, Kind, Object, Step, Unread};

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// Reads one document, which starts on `line`, into `manifest`.
pub(super) fn read(file: &Arc<str>, line: usize, text: &str, manifest: &mut Manifest) {
    let document = Document {
        file,
        line,
        text,
        lines: OnceCell::new(),
    };
    match yaml::read::<Value>(text) {
        Ok(value) => document.unfold(value, manifest),
        Err(error) => manifest.errors.push(document.yaml_error(&error)),
    }
}

/// A document and where it stands.
struct Document<'a> {
    file: &'a Arc<str>,
    /// Of its first line.
    line: usize,
    text: &'a str,
    /// Found out for the first that is asked for.
    lines: OnceCell<Lines>,
}

impl Document<'_> {
    /// An object, or those of a `List`, or of a typed one such as `IngressList`.
    fn unfold(&self, mut value: Value, manifest: &mut Manifest) {
        if !Header::of(&value).kind.ends_with("List") {
            return self.read_object(None, value, manifest);
        }
        match value.get_mut("items").map(Value::take) {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.read_object(Some(index), item, manifest);
                }
            }
            Some(_) => manifest
                .errors
                .push(self.error(1, "`items`: a list is expected".to_owned())),
        }
    }

    /// The document's object, or one item of its list; a bad one costs only itself.
    fn read_object(&self, item: Option<usize>, value: Value, manifest: &mut Manifest) {
        let header = Header::of(&value);
        match kind_of(&header) {
            Ok(None) => manifest.skipped.push(Skipped {
                file: self.file.clone(),
                line: self.line + self.line_of(item, &FieldPath::default()) - 1,
                api_version: header.api_version.to_owned(),
                kind: header.kind.to_owned(),
            }),
            Ok(Some(kind)) => match object(kind, value) {
                Ok(object) => manifest.objects.push(object),
                Err(unread) => manifest
                    .errors
                    .push(self.error(self.line_of(item, &unread.path), unread.to_string())),
            },
            Err(reason) => manifest
                .errors
                .push(self.error(self.line_of(item, &FieldPath::default()), reason)),
        }
    }

    /// The line of a field of the document's object, or of one item of its list.
    fn line_of(&self, item: Option<usize>, path: &FieldPath) -> usize {
        if item.is_none() && path.0.is_empty() {
            return 1;
        }
        let item = item.map(|index| [Step::Key("items".into()), Step::Index(index)]);
        let lines = self.lines.get_or_init(|| Lines::new(self.text));
        lines.of(item.iter().flatten().chain(&path.0))
    }

    fn yaml_error(&self, error: &serde_saphyr::Error) -> ManifestError {
        let line = error.location().map_or(1, |location| location.line());
        let text = error.without_snippet().to_string();
        let reason = text.lines().collect::<Vec<_>>().join(" ");
        self.error(usize::try_from(line).unwrap_or(1), reason)
    }

    /// An error on a line of the document, counted from 1.
    fn error(&self, line: usize, reason: String) -> ManifestError {
        ManifestError {
            file: self.file.clone(),
            line: self.line + line.max(1) - 1,
            reason,
        }
    }
}

/// What says how to read the rest.
struct Header<'a> {
    api_version: &'a str,
    kind: &'a str,
}

impl<'a> Header<'a> {
    fn of(value: &'a Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        Self {
            api_version: text("apiVersion"),
            kind: text("kind"),
        }
    }
}

/// The watched kind that a header names; `None`: it is none.
fn kind_of(header: &Header<'_>) -> Result<Option<Kind>, String> {
    let known = match (header.api_version, header.kind) {
        ("", _) | (_, "") => return Err("`apiVersion` and `kind` must be given".to_owned()),
        ("extensions/v1beta1" | "networking.k8s.io/v1beta1", "Ingress") => {
            return Err(format!(
                "{} Ingress is gone since Kubernetes 1.22; write networking.k8s.io/v1",
                header.api_version
            ));
        }
        ("networking.k8s.io/v1", "Ingress" | "IngressClass")
        | ("discovery.k8s.io/v1", "EndpointSlice")
        | ("v1", "Service" | "Secret" | "ConfigMap" | "Pod" | "Namespace" | "Node") => Kind::ALL,
        _ => Kind::GATEWAY_API,
    };
    let kind = known.iter().find(|kind| kind.as_str() == header.kind).copied();
    let Some(kind) = kind.filter(|kind| Kind::GATEWAY_API.contains(kind)) else {
        return Ok(kind);
    };
    let versions = gateway_api::versions(header.kind);
    match header.api_version.split_once('/') {
        Some((gateway_api::GROUP, version)) if versions.contains(&version) => Ok(Some(kind)),
        Some((gateway_api::GROUP, version)) => Err(format!(
            "{kind} of version {version:?} is not read; write {}/{}",
            gateway_api::GROUP,
            versions[0]
        )),
        _ => Ok(None),
    }
}

fn object(kind: Kind, value: Value) -> Result<Object, Unread> {
    let mut object = Object::read(kind, value)?;
    if let Some(error) = object.unreadable_spec() {
        return Err(error.clone());
    }
    let metadata = object.metadata_mut();
    if metadata.name.as_deref().unwrap_or_default().is_empty() {
        return Err(Unread {
            path: FieldPath(vec![Step::Key("metadata".into()), Step::Key("name".into())]),
            reason: "it must be given".to_owned(),
        });
    }
    let namespace = metadata.namespace.take().filter(|name| !name.is_empty());
    metadata.namespace = kind
        .is_namespaced()
        .then(|| namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()));
    Ok(object)
}
