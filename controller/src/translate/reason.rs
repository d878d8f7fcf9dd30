//! The reasons of [`tidegate_snapshot::Problem`]s: fixed CamelCase words that
//! become Event reasons and metric labels.

/// A value that the annotation does not allow.
pub const INVALID_ANNOTATION: &str = "InvalidAnnotation";
/// ingress-nginx has it, we do not.
pub const ANNOTATION_NOT_SUPPORTED: &str = "AnnotationNotSupported";
/// Nobody knows it: most likely misspelt.
pub const UNKNOWN_ANNOTATION: &str = "UnknownAnnotation";
/// It was taken out of ingress-nginx.
pub const ANNOTATION_REMOVED: &str = "AnnotationRemoved";
/// An annotation that tunes nginx itself, set to something.
pub const ANNOTATION_WITHOUT_MEANING: &str = "AnnotationWithoutMeaning";
/// A ConfigMap key that tunes nginx itself, set to other than its default.
pub const KEY_WITHOUT_MEANING: &str = "KeyWithoutMeaning";
/// A ConfigMap key that nobody knows: most likely misspelt.
pub const UNKNOWN_KEY: &str = "UnknownKey";
/// A value that the ConfigMap key does not allow.
pub const INVALID_KEY: &str = "InvalidKey";
/// ingress-nginx has the ConfigMap key, we do not.
pub const KEY_NOT_SUPPORTED: &str = "KeyNotSupported";
/// The ConfigMap key was taken out of ingress-nginx.
pub const KEY_REMOVED: &str = "KeyRemoved";
/// The ConfigMap that `--configmap` names does not exist.
pub const CONFIG_MAP_MISSING: &str = "ConfigMapMissing";
/// A log format with variables that have never a value.
pub const UNKNOWN_VARIABLE: &str = "UnknownVariable";
/// Forwarded headers are believed from any peer.
pub const EVERYBODY_TRUSTED: &str = "EverybodyTrusted";
/// An annotation above `annotations-risk-level`.
pub const RISKY_ANNOTATION: &str = "RiskyAnnotation";
/// An annotation with a word of `annotation-value-word-blocklist`.
pub const BLOCKED_WORD: &str = "BlockedWord";
/// A snippet while `allow-snippet-annotations` is off.
pub const SNIPPETS_OFF: &str = "SnippetsOff";
/// A snippet with a line that cannot be served.
pub const SNIPPET_REFUSED: &str = "SnippetRefused";
/// A snippet with a line that has no effect, in nginx neither.
pub const SNIPPET_WITHOUT_EFFECT: &str = "SnippetWithoutEffect";
/// A host, path or Secret name like those of known attacks (`--deep-inspect`).
pub const SUSPICIOUS_TEXT: &str = "SuspiciousText";
/// A rule's host is not a host name.
pub const INVALID_HOST: &str = "InvalidHost";
/// A rule's path cannot be served.
pub const INVALID_PATH: &str = "InvalidPath";
/// Something else has the name that an alias or a redirect would have.
pub const NAME_CONFLICT: &str = "NameConflict";
/// Another Ingress makes regular expressions of the paths of its host.
pub const REGEX_HOST: &str = "RegexHost";
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
/// An object of Gateway API whose `spec` cannot be read.
pub const SPEC_UNREADABLE: &str = "SpecUnreadable";
/// A Gateway that asks for what cannot be had.
pub const GATEWAY_NOT_SERVED: &str = "GatewayNotServed";
/// Labels or annotations of a Gateway's `infrastructure` that no object gets.
pub const INFRASTRUCTURE_IGNORED: &str = "InfrastructureIgnored";
/// The Service of a Gateway that the API server does not take.
pub const SERVICE_NOT_WRITTEN: &str = "ServiceNotWritten";
/// A listener that is not served as written.
pub const LISTENER_NOT_VALID: &str = "ListenerNotValid";
/// A route that no listener takes, or that cannot be served.
pub const ROUTE_NOT_ATTACHED: &str = "RouteNotAttached";
/// A route that gets nothing, because an older one has the same server name or
/// port.
pub const ROUTE_SHADOWED: &str = "RouteShadowed";
/// A backend of a route that is not there, or not its to use.
pub const BACKEND_NOT_RESOLVED: &str = "BackendNotResolved";
/// A BackendTLSPolicy that cannot be followed.
pub const BACKEND_POLICY_NOT_VALID: &str = "BackendPolicyNotValid";
/// A field of an object of Gateway API that means nothing here.
pub const WITHOUT_EFFECT: &str = "FieldWithoutEffect";
/// A host of a Gateway that an Ingress serves on the same port.
pub const HOST_OF_INGRESS: &str = "HostOfIngress";
/// `--disable-catch-all` keeps the object out.
pub const CATCH_ALL_DISABLED: &str = "CatchAllDisabled";
/// Another Ingress decides about the host.
pub const HOST_CONFLICT: &str = "HostConflict";
