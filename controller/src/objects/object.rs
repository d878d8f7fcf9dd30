//! The kinds that are watched, and one object of any of them.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use tidegate_snapshot::ObjectRef;

use super::read::{Unread, fields};
use super::{Change, EndpointSlice, Node, Pod};
use crate::gateway_api::{
    BackendTLSPolicy, Custom, GRPCRoute, Gateway, GatewayClass, HTTPRoute, ListenerSet, ReferenceGrant,
    TCPRoute, TLSRoute, UDPRoute,
};

/// Namespace and name of an object; written `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// Empty for objects without a namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl NamespacedName {
    /// The name `name` in `namespace`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Parses `namespace/name`, as flags and annotations write it; `None` when
    /// either part is missing or there is a third.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let valid = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        valid.then(|| Self::new(namespace, name))
    }

    pub(super) fn into_endpoints(self) -> Change {
        Change::Endpoints {
            namespace: self.namespace,
            service: self.name,
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// A kind that Tidegate watches.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(
                #[doc = concat!("`", stringify!($kind), "`")]
                $kind,
            )+
        }

        impl Kind {
            /// Every watched kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// As Kubernetes spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }
        }

        /// One object of a watched kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Object {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                $kind(Arc<$kind>),
            )+
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)+
                }
            }

            /// Its metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => &object.metadata,)+
                }
            }

            /// Its metadata, to be changed; an object that is shared is copied.
            pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(object) => &mut Arc::make_mut(object).metadata,)+
                }
            }

            /// Reads an object of `kind` from JSON, without who wrote which field.
            ///
            /// # Errors
            /// Names the first field that makes no sense.
            pub fn read(kind: Kind, value: Value) -> Result<Self, Unread> {
                match kind {
                    $(Kind::$kind => fields::<$kind>(value).map(Into::into),)+
                }
            }
        }

        $(
            impl From<$kind> for Object {
                fn from(object: $kind) -> Self {
                    Self::$kind(Arc::new(object))
                }
            }

            impl From<Arc<$kind>> for Object {
                fn from(object: Arc<$kind>) -> Self {
                    Self::$kind(object)
                }
            }
        )+
    };
}

kinds!(
    Ingress,
    IngressClass,
    Service,
    EndpointSlice,
    Secret,
    ConfigMap,
    Namespace,
    Node,
    Pod,
    GatewayClass,
    Gateway,
    ListenerSet,
    HTTPRoute,
    GRPCRoute,
    TLSRoute,
    TCPRoute,
    UDPRoute,
    ReferenceGrant,
    BackendTLSPolicy,
);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Kind {
    /// The kinds of Gateway API: custom resources, which a cluster may lack.
    pub const GATEWAY_API: &[Self] = &[
        Self::GatewayClass,
        Self::Gateway,
        Self::ListenerSet,
        Self::HTTPRoute,
        Self::GRPCRoute,
        Self::TLSRoute,
        Self::TCPRoute,
        Self::UDPRoute,
        Self::ReferenceGrant,
        Self::BackendTLSPolicy,
    ];

    /// Whether its objects are in namespaces.
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::IngressClass | Self::Namespace | Self::Node | Self::GatewayClass
        )
    }
}

impl Object {
    /// Why its `spec` cannot be read: of Gateway API, such an object is there all the same.
    pub(crate) fn unreadable_spec(&self) -> Option<&Unread> {
        fn of<S>(object: &Custom<S>) -> Option<&Unread> {
            object.spec.as_ref().err().map(|unreadable| &unreadable.error)
        }
        match self {
            Self::Ingress(_)
            | Self::IngressClass(_)
            | Self::Service(_)
            | Self::EndpointSlice(_)
            | Self::Secret(_)
            | Self::ConfigMap(_)
            | Self::Namespace(_)
            | Self::Node(_)
            | Self::Pod(_) => None,
            Self::GatewayClass(object) => of(object),
            Self::Gateway(object) => of(object),
            Self::ListenerSet(object) => of(object),
            Self::HTTPRoute(object) => of(object),
            Self::GRPCRoute(object) => of(object),
            Self::TLSRoute(object) => of(object),
            Self::TCPRoute(object) => of(object),
            Self::UDPRoute(object) => of(object),
            Self::ReferenceGrant(object) => of(object),
            Self::BackendTLSPolicy(object) => of(object),
        }
    }

    /// Its namespace (empty: none) and name.
    pub fn namespaced_name(&self) -> NamespacedName {
        let metadata = self.metadata();
        NamespacedName::new(
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The reference that Problems and Events use.
    pub fn object_ref(&self) -> ObjectRef {
        let name = self.namespaced_name();
        ObjectRef {
            kind: self.kind().as_str().into(),
            namespace: name.namespace,
            name: name.name,
        }
    }
}
