//! EndpointSlices: there is one or more for each Service, and an entry for each Pod, so
//! that what is not read of them is not kept.

use k8s_openapi::api::discovery::v1::EndpointPort;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// `EndpointSlice`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The Service that it belongs to; taken from its label when it is stored.
    #[serde(skip)]
    pub(super) service: Option<Box<str>>,
    /// Where the Service is to be had.
    #[serde(deserialize_with = "nullable")]
    pub endpoints: Box<[SliceEndpoint]>,
    /// The ports of each of them.
    #[serde(deserialize_with = "nullable")]
    pub ports: Box<[EndpointPort]>,
}

/// One endpoint of an [`EndpointSlice`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SliceEndpoint {
    /// Its addresses, of the slice's type.
    #[serde(deserialize_with = "nullable")]
    pub addresses: Box<[Box<str>]>,
    /// How it is.
    #[serde(deserialize_with = "nullable")]
    pub conditions: SliceConditions,
    /// Whom it is meant for.
    #[serde(deserialize_with = "nullable")]
    pub hints: SliceHints,
    /// The Node that it is on.
    pub node_name: Option<Box<str>>,
}

/// The conditions of a [`SliceEndpoint`]; `None`: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SliceConditions {
    /// It is to be sent requests; unknown counts as yes.
    pub ready: Option<bool>,
    /// It answers, ready or not.
    pub serving: Option<bool>,
    /// It is on its way out.
    pub terminating: Option<bool>,
}

/// The hints of a [`SliceEndpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SliceHints {
    /// The zones that should use it.
    #[serde(deserialize_with = "nullable")]
    pub for_zones: Box<[ForZone]>,
}

/// A zone of [`SliceHints`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ForZone {
    /// As the label of Nodes has it.
    pub name: Box<str>,
}

/// The API server writes null for a list without entries.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
