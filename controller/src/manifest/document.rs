//! One document of a manifest.

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Manifest, ManifestError, Skipped};
use crate::gateway_api::Custom;
use crate::objects::Object;

/// Nodes of one document: enough for a `List` of 100,000 objects. The parser's
/// own default stops at a tenth of what a large cluster dumps.
const MAX_NODES: usize = 10_000_000;

/// Bytes of all values of one document.
const MAX_SCALAR_BYTES: usize = 1 << 30;

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

const NAMELESS: &str = "`metadata.name` must be given";

/// What says how to read the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Header {
    api_version: String,
    kind: String,
}

/// Where a document stands, for messages.
struct Place<'a> {
    file: &'a Arc<str>,
    line: usize,
}

impl Place<'_> {
    fn error(&self, line_in_document: u64, reason: String) -> ManifestError {
        let offset = usize::try_from(line_in_document).unwrap_or(1).max(1) - 1;
        ManifestError {
            file: self.file.clone(),
            line: self.line + offset,
            reason,
        }
    }

    fn yaml_error(&self, error: &serde_saphyr::Error) -> ManifestError {
        let line = error.location().map_or(1, |location| location.line());
        let text = error.without_snippet().to_string();
        self.error(line, text.lines().collect::<Vec<_>>().join(" "))
    }

    fn skipped(&self, header: Header) -> Skipped {
        Skipped {
            file: self.file.clone(),
            line: self.line,
            api_version: header.api_version,
            kind: header.kind,
        }
    }
}

/// Reads one document into `manifest`.
pub(super) fn read(file: &Arc<str>, line: usize, text: &str, manifest: &mut Manifest) {
    let place = Place { file, line };
    if let Err(error) = read_document(&place, text, manifest) {
        manifest.errors.push(error);
    }
}

fn read_document(place: &Place<'_>, text: &str, manifest: &mut Manifest) -> Result<(), ManifestError> {
    let yaml = Yaml { text, place };
    let header = match scan_header(text) {
        Some(header) => header,
        None => yaml.read::<Option<Header>>()?.unwrap_or_default(),
    };
    if header.kind.is_empty() || header.api_version.is_empty() {
        return Err(place.error(1, "`apiVersion` and `kind` must be given".to_owned()));
    }
    if header.kind.ends_with("List") {
        return read_list(&yaml, place, manifest);
    }
    match read_object(&header, &yaml)? {
        Some(object) => manifest.objects.push(object),
        None => manifest.skipped.push(place.skipped(header)),
    }
    Ok(())
}

/// Unfolds a `List`, or a typed one such as `IngressList`; a bad item costs
/// only itself.
fn read_list(yaml: &Yaml<'_>, place: &Place<'_>, manifest: &mut Manifest) -> Result<(), ManifestError> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        items: Vec<serde_saphyr::Spanned<serde_json::Value>>,
    }

    let list: List = yaml.read()?;
    for item in list.items {
        let place = Place {
            file: place.file,
            line: place.line + usize::try_from(item.referenced.line()).unwrap_or(1).max(1) - 1,
        };
        let json = Json {
            value: item.value,
            place: &place,
        };
        let header: Header = json.read()?;
        match read_object(&header, &json) {
            Ok(Some(object)) => manifest.objects.push(object),
            Ok(None) => manifest.skipped.push(place.skipped(header)),
            Err(error) => manifest.errors.push(error),
        }
    }
    Ok(())
}

/// The two fields, when they stand at the start of lines, as they nearly
/// always do: saves parsing every document twice.
fn scan_header(text: &str) -> Option<Header> {
    let field = |name: &str| {
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = values.next()?.trim();
        let plain = !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"./-".contains(&b));
        (plain && values.next().is_none()).then(|| value.to_owned())
    };
    Some(Header {
        api_version: field("apiVersion")?,
        kind: field("kind")?,
    })
}

/// Something that objects can be read from.
trait Source {
    fn read<T: DeserializeOwned>(&self) -> Result<T, ManifestError>;
    fn place(&self) -> &Place<'_>;
}

struct Yaml<'a> {
    text: &'a str,
    place: &'a Place<'a>,
}

impl Source for Yaml<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_nodes: MAX_NODES,
                max_events: 4 * MAX_NODES,
                max_total_scalar_bytes: MAX_SCALAR_BYTES,
            },
        };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| self.place.yaml_error(&error))
    }

    fn place(&self) -> &Place<'_> {
        self.place
    }
}

struct Json<'a> {
    value: serde_json::Value,
    place: &'a Place<'a>,
}

impl Source for Json<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        T::deserialize(&self.value).map_err(|error| self.place.error(1, error.to_string()))
    }

    fn place(&self) -> &Place<'_> {
        self.place
    }
}

fn read_object(header: &Header, source: &impl Source) -> Result<Option<Object>, ManifestError> {
    use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as networking};
    Ok(Some(match (&*header.api_version, &*header.kind) {
        ("networking.k8s.io/v1", "Ingress") => namespaced::<networking::Ingress>(source)?,
        ("networking.k8s.io/v1", "IngressClass") => cluster_wide::<networking::IngressClass>(source)?,
        ("discovery.k8s.io/v1", "EndpointSlice") => namespaced::<discovery::EndpointSlice>(source)?,
        ("v1", "Service") => namespaced::<core::Service>(source)?,
        ("v1", "Secret") => namespaced::<core::Secret>(source)?,
        ("v1", "ConfigMap") => namespaced::<core::ConfigMap>(source)?,
        ("v1", "Pod") => namespaced::<core::Pod>(source)?,
        ("v1", "Namespace") => cluster_wide::<core::Namespace>(source)?,
        ("v1", "Node") => cluster_wide::<core::Node>(source)?,
        (api_version, kind) if api_version.starts_with("gateway.networking.k8s.io/") => {
            return gateway_api(api_version, kind, source);
        }
        ("extensions/v1beta1" | "networking.k8s.io/v1beta1", "Ingress") => {
            let reason = format!(
                "{} Ingress is gone since Kubernetes 1.22; write networking.k8s.io/v1",
                header.api_version
            );
            return Err(source.place().error(1, reason));
        }
        _ => return Ok(None),
    }))
}

/// The kinds of Gateway API; one in a version that nobody reads is an error.
fn gateway_api(api_version: &str, kind: &str, source: &impl Source) -> Result<Option<Object>, ManifestError> {
    use crate::gateway_api as api;
    let object = match kind {
        "GatewayClass" => custom(source.read::<api::GatewayClass>()?, false, source)?,
        "Gateway" => custom(source.read::<api::Gateway>()?, true, source)?,
        "ListenerSet" => custom(source.read::<api::ListenerSet>()?, true, source)?,
        "HTTPRoute" => custom(source.read::<api::HTTPRoute>()?, true, source)?,
        "GRPCRoute" => custom(source.read::<api::GRPCRoute>()?, true, source)?,
        "TLSRoute" => custom(source.read::<api::TLSRoute>()?, true, source)?,
        "TCPRoute" => custom(source.read::<api::TCPRoute>()?, true, source)?,
        "UDPRoute" => custom(source.read::<api::UDPRoute>()?, true, source)?,
        "ReferenceGrant" => custom(source.read::<api::ReferenceGrant>()?, true, source)?,
        "BackendTLSPolicy" => custom(source.read::<api::BackendTLSPolicy>()?, true, source)?,
        _ => return Ok(None),
    };
    let versions = api::versions(kind);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    if !versions.contains(&version) {
        let reason = format!(
            "{kind} of version {version:?} is not read; write {}/{}",
            api::GROUP,
            versions[0]
        );
        return Err(source.place().error(1, reason));
    }
    Ok(Some(object))
}

fn custom<S>(
    mut object: Custom<S>,
    has_namespace: bool,
    source: &impl Source,
) -> Result<Object, ManifestError>
where
    Object: From<Custom<S>>,
{
    if let Err(unreadable) = &object.spec {
        return Err(source.place().error(1, format!("`spec`: {}", unreadable.error)));
    }
    let metadata = &mut object.metadata;
    if metadata.name.as_deref().unwrap_or_default().is_empty() {
        return Err(source.place().error(1, NAMELESS.to_owned()));
    }
    let namespace = metadata.namespace.take().filter(|name| !name.is_empty());
    metadata.namespace = has_namespace.then(|| namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()));
    Ok(object.into())
}

fn namespaced<T>(source: &impl Source) -> Result<Object, ManifestError>
where
    T: DeserializeOwned + Metadata<Ty = ObjectMeta>,
    Object: From<T>,
{
    let mut object: T = source.read()?;
    let metadata = object.metadata_mut();
    let namespace = metadata.namespace.take().filter(|name| !name.is_empty());
    metadata.namespace = Some(namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()));
    named(object, source)
}

fn cluster_wide<T>(source: &impl Source) -> Result<Object, ManifestError>
where
    T: DeserializeOwned + Metadata<Ty = ObjectMeta>,
    Object: From<T>,
{
    let mut object: T = source.read()?;
    object.metadata_mut().namespace = None;
    named(object, source)
}

fn named<T>(object: T, source: &impl Source) -> Result<Object, ManifestError>
where
    T: Metadata<Ty = ObjectMeta>,
    Object: From<T>,
{
    if object.metadata().name.as_deref().unwrap_or_default().is_empty() {
        return Err(source.place().error(1, NAMELESS.to_owned()));
    }
    Ok(object.into())
}
