//! The reasons of [`tidegate_snapshot::Problem`]s: fixed CamelCase words that
//! become Event reasons and metric labels.

/// A value that the annotation does not allow.
pub const INVALID_ANNOTATION: &str = "InvalidAnnotation";
/// ingress-nginx has it, we do not yet.
pub const ANNOTATION_NOT_SUPPORTED_YET: &str = "AnnotationNotSupportedYet";
/// Nobody knows it: most likely misspelt.
pub const UNKNOWN_ANNOTATION: &str = "UnknownAnnotation";
/// It was taken out of ingress-nginx.
pub const ANNOTATION_REMOVED: &str = "AnnotationRemoved";
/// A rule's host is not a host name.
pub const INVALID_HOST: &str = "InvalidHost";
/// A rule's path cannot be served.
pub const INVALID_PATH: &str = "InvalidPath";
/// An older object serves the same host and path.
pub const PATH_CONFLICT: &str = "PathConflict";
/// A backend that is not a Service.
pub const RESOURCE_BACKEND: &str = "ResourceBackendIgnored";
/// A backend without a name or a port.
pub const INVALID_BACKEND: &str = "InvalidBackend";
/// The Service does not exist.
pub const SERVICE_NOT_FOUND: &str = "ServiceNotFound";
/// The Service has no such port.
pub const SERVICE_PORT_NOT_FOUND: &str = "ServicePortNotFound";
/// An ExternalName that may not be used.
pub const EXTERNAL_NAME_REFUSED: &str = "ExternalNameRefused";
/// A `tidegate.dev/health-check-*` annotation that makes no check.
pub const INVALID_HEALTH_CHECK: &str = "InvalidHealthCheck";
/// The Secret does not exist.
pub const SECRET_MISSING: &str = "SecretMissing";
/// The Secret holds no usable certificate and key.
pub const SECRET_INVALID: &str = "SecretInvalid";
/// The certificate does not cover the host.
pub const CERTIFICATE_MISMATCH: &str = "CertificateMismatch";
/// A canary without a main Ingress, or one too many.
pub const CANARY_IGNORED: &str = "CanaryIgnored";
/// `IngressClass.spec.parameters` means nothing here.
pub const CLASS_PARAMETERS_IGNORED: &str = "ClassParametersIgnored";
/// `--disable-catch-all` keeps the object out.
pub const CATCH_ALL_DISABLED: &str = "CatchAllDisabled";
