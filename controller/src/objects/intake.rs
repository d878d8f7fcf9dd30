//! What is cut off an object before it is stored: memory that nobody reads,
//! and changes that mean nothing.

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{CustomStatus, EndpointSlice, NamespacedName, Object};
use crate::gateway_api::Custom;

/// The label that ties a slice to its Service (EndpointSlice API).
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The label that says who keeps a Service.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The label that says who keeps an EndpointSlice.
pub(crate) const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// What these labels say of objects that this program makes.
pub(crate) const MANAGER: &str = "tidegate.dev";

/// kubectl's copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Keys of a Secret that some option reads.
const SECRET_KEYS: [&str; 5] = ["tls.crt", "tls.key", "ca.crt", "ca.crl", "auth"];

/// How password hashes begin (`auth-secret-type: auth-map`: every key of the
/// Secret is a user).
const HASHES: [&[u8]; 10] = [
    b"$2a$", b"$2b$", b"$2y$", b"$apr1$", b"$1$", b"$5$", b"$6$", b"{SHA}", b"{SSHA}", b"{PLAIN}",
];

/// Longer values are no password hashes.
const LONGEST_HASH: usize = 256;

fn is_password_hash(value: &[u8]) -> bool {
    let is_digest = || {
        // `realm:` and MD5, for `auth-type: digest`.
        let value = value.trim_ascii_end();
        let Some((rest, hash)) = value.split_last_chunk::<32>() else {
            return false;
        };
        rest.ends_with(b":") && hash.iter().all(u8::is_ascii_hexdigit)
    };
    value.len() <= LONGEST_HASH && (HASHES.iter().any(|hash| value.starts_with(hash)) || is_digest())
}

/// Splits an Ingress from its status, which this controller writes itself: its
/// own writes must not look like changes.
pub(super) fn ingress(ingress: Arc<Ingress>) -> (Arc<Ingress>, Option<IngressLoadBalancerStatus>) {
    let mut ingress = Arc::unwrap_or_clone(ingress);
    let load_balancer = ingress
        .status
        .take()
        .and_then(|status| status.load_balancer)
        .filter(|status| *status != IngressLoadBalancerStatus::default());
    strip(&mut ingress.metadata);
    ingress.metadata.labels = None;
    ingress.metadata.owner_references = None;
    if let Some(spec) = &mut ingress.spec {
        shrink(&mut spec.rules);
        shrink(&mut spec.tls);
        for http in spec
            .rules
            .iter_mut()
            .flatten()
            .filter_map(|rule| rule.http.as_mut())
        {
            http.paths.shrink_to_fit();
        }
    }
    (Arc::new(ingress), load_balancer)
}

/// An object of a kind that nothing but its metadata can be cut off.
pub(super) fn other<T: Metadata<Ty = ObjectMeta> + Clone>(object: Arc<T>) -> Arc<T> {
    let mut object = Arc::unwrap_or_clone(object);
    strip(object.metadata_mut());
    Arc::new(object)
}

/// An object of a custom resource, apart from its status, which this controller
/// writes itself.
pub(super) fn custom<S: Clone>(object: Arc<Custom<S>>) -> (Arc<Custom<S>>, CustomStatus) {
    let mut object = Arc::unwrap_or_clone(object);
    let version = object.metadata.resource_version.take().unwrap_or_default();
    let status = CustomStatus::new(&object.status.take(), &version);
    strip(&mut object.metadata);
    object.metadata.annotations = None;
    object.metadata.labels = None;
    (Arc::new(object), status)
}

pub(super) fn service(service: Arc<Service>) -> Arc<Service> {
    let mut service = Arc::unwrap_or_clone(service);
    strip(&mut service.metadata);
    if !is_managed(&service.metadata, MANAGED_BY) {
        service.metadata.labels = None;
    }
    if let Some(spec) = &mut service.spec {
        spec.selector = None;
        shrink(&mut spec.ports);
        shrink(&mut spec.cluster_ips);
        shrink(&mut spec.ip_families);
    }
    Arc::new(service)
}

/// Whether this program keeps the object: then its labels and the like are read.
fn is_managed(metadata: &ObjectMeta, label: &str) -> bool {
    let labels = metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(label)).map(String::as_str) == Some(MANAGER)
}

pub(super) fn endpoint_slice(slice: Arc<EndpointSlice>) -> Arc<EndpointSlice> {
    let mut slice = Arc::unwrap_or_clone(slice);
    strip(&mut slice.metadata);
    let service = slice
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(SERVICE_NAME));
    slice.service = service
        .filter(|name| !name.is_empty())
        .map(|name| name.as_str().into());
    if is_managed(&slice.metadata, SLICE_MANAGED_BY) {
        return Arc::new(slice);
    }
    slice.metadata.annotations = None;
    slice.metadata.labels = None;
    slice.metadata.uid = None;
    slice.metadata.owner_references = None;
    for endpoint in &mut slice.endpoints {
        endpoint.node_name = None;
    }
    Arc::new(slice)
}

/// A Secret with the keys that options read.
///
/// # Errors
/// The name of a Secret that no option can use: it is not stored.
pub(super) fn secret(secret: Arc<Secret>) -> Result<Arc<Secret>, NamespacedName> {
    let mut secret = Arc::unwrap_or_clone(secret);
    strip(&mut secret.metadata);
    secret.metadata.annotations = None;
    secret.metadata.labels = None;
    if let Some(text) = secret.string_data.take() {
        // Only manifests have it; the API server moves it into `data`.
        let data = secret.data.get_or_insert_default();
        for (key, value) in text {
            data.insert(key, k8s_openapi::ByteString(value.into_bytes()));
        }
    }
    if let Some(data) = &mut secret.data {
        data.retain(|key, value| SECRET_KEYS.contains(&key.as_str()) || is_password_hash(&value.0));
    }
    let kind = secret.type_.as_deref().unwrap_or("Opaque");
    let empty = secret.data.as_ref().is_none_or(|data| data.is_empty());
    if kind == "kubernetes.io/tls" || (kind == "Opaque" && !empty) {
        Ok(Arc::new(secret))
    } else {
        Err(Object::from(secret).namespaced_name())
    }
}

/// An object whose annotations nobody reads.
pub(super) fn without_annotations<T: Clone>(
    object: Arc<T>,
    metadata: fn(&mut T) -> &mut ObjectMeta,
) -> Arc<T> {
    let mut object = Arc::unwrap_or_clone(object);
    let metadata = metadata(&mut object);
    strip(metadata);
    metadata.annotations = None;
    Arc::new(object)
}

/// Whether two versions of a Service make the same cluster, and are the same
/// Gateway's.
pub(super) fn same_for_routes(a: &Service, b: &Service) -> bool {
    a.spec == b.spec
        && a.metadata.annotations == b.metadata.annotations
        && a.metadata.owner_references == b.metadata.owner_references
}

/// Parsers leave room for three more; most lists here hold one.
fn shrink<T>(list: &mut Option<Vec<T>>) {
    if let Some(list) = list {
        list.shrink_to_fit();
    }
}

fn strip(metadata: &mut ObjectMeta) {
    metadata.resource_version = None;
    metadata.generate_name = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.annotations = None;
        }
    }
}
