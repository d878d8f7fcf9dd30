//! The Gateways that are ours, and where each is reached.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_snapshot::{Effect, ObjectRef, Problem};

use super::address::{self, Refusal, Wish};
use super::class::Classes;
use super::infrastructure::{self, Owned};
use super::ports::At;
use super::status::{Address, Failure};
use crate::gateway_api::{Gateway, GatewaySpec};
use crate::objects::{NamespacedName, Objects};
use crate::options::Options;
use crate::translate::problems::Problems;
use crate::translate::reason;

/// The addresses that Gateways have.
pub(super) type Held = BTreeMap<NamespacedName, Arc<[IpAddr]>>;

/// A Gateway of our classes.
pub(super) struct Model<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) spec: &'a GatewaySpec,
    pub(super) name: NamespacedName,
    pub(super) refused: Option<Failure>,
    pub(super) unprogrammable: Option<Failure>,
    pub(super) address: Address,
}

impl Model<'_> {
    pub(super) fn own_addresses(&self) -> Option<(NamespacedName, Arc<[IpAddr]>)> {
        match &self.address {
            Address::Own(addresses) => Some((self.name.clone(), addresses.clone())),
            Address::Shared | Address::Service { .. } | Address::None => None,
        }
    }

    /// That routes which name no Gateway do not attach to it either.
    pub(super) fn ignored(&self) -> Option<Problem> {
        let scope = self.spec.default_scope.as_deref().unwrap_or("None");
        (scope != "None").then(|| Problem {
            object: ObjectRef::new("Gateway", &self.name.namespace, &self.name.name),
            field: "spec.defaultScope".to_owned(),
            reason: reason::WITHOUT_EFFECT,
            message: "routes attach only to Gateways that they name".to_owned(),
            effect: Effect::Ignored,
            fix: "name the Gateway in the routes' `parentRefs`".to_owned(),
        })
    }

    /// Where its listeners are.
    pub(super) fn at(&self) -> Option<At> {
        match &self.address {
            Address::Shared => Some(At::Process),
            Address::Own(addresses) => Some(At::Addresses(addresses.clone())),
            Address::Service { .. } => Some(At::Service(self.name.clone())),
            Address::None => None,
        }
    }

    /// It with its Service, if it has one.
    pub(super) fn owned(&self) -> Option<Owned<'_>> {
        match &self.address {
            Address::Service { name, asked } => Some(Owned {
                gateway: self.gateway,
                spec: self.spec,
                name: &self.name,
                service: name,
                asked,
            }),
            _ => None,
        }
    }

    /// It cannot be programmed.
    pub(super) fn fail(&mut self, failure: Failure, problems: &mut Problems) {
        complain(&self.name, &failure, problems);
        self.unprogrammable = Some(failure);
    }
}

/// The Gateways of our classes, oldest first, with their addresses.
pub(super) fn models<'a>(
    objects: &'a Objects,
    classes: &Classes,
    held: &Held,
    options: &Options,
    problems: &mut Problems,
) -> Vec<Model<'a>> {
    let api = objects.gateway_api();
    let mut models: Vec<Model<'_>> = api
        .gateways
        .values()
        .filter_map(|gateway| {
            let spec = gateway.spec.as_ref().ok()?;
            classes
                .accepted
                .contains(&spec.gateway_class_name)
                .then(|| Model {
                    gateway,
                    spec,
                    name: NamespacedName::new(
                        gateway.metadata.namespace.as_deref().unwrap_or_default(),
                        gateway.metadata.name.as_deref().unwrap_or_default(),
                    ),
                    refused: refused(spec),
                    unprogrammable: None,
                    address: Address::None,
                })
        })
        .collect();
    models.sort_by(|a, b| (a.gateway.created(), &a.name).cmp(&(b.gateway.created(), &b.name)));
    let addresses = addresses(&models, objects, held, options);
    for (model, address) in models.iter_mut().zip(addresses) {
        match address {
            Ok(address) if model.refused.is_none() => model.address = address,
            Ok(_) => {}
            Err(Refusal::Unsupported(failure)) => model.refused = model.refused.take().or(Some(failure)),
            Err(Refusal::Unusable(failure)) => model.unprogrammable = Some(failure),
        }
        for failure in model.refused.iter().chain(&model.unprogrammable) {
            complain(&model.name, failure, problems);
        }
        if options.gateway_services.is_none() {
            infrastructure::complain(&model.name, model.spec, problems);
        }
    }
    models
}

fn addresses(
    models: &[Model<'_>],
    objects: &Objects,
    held: &Held,
    options: &Options,
) -> Vec<Result<Address, Refusal>> {
    if let Some(services) = &options.gateway_services {
        let address = |model: &Model<'_>| match infrastructure::address(&model.name, model.spec, services)? {
            Address::Service { name, asked } => infrastructure::claim(objects, &name, model.gateway)
                .map(|()| Address::Service { name, asked }),
            other => Ok(other),
        };
        return models.iter().map(address).collect();
    }
    let wishes: Vec<Wish<'_>> = models
        .iter()
        .map(|model| Wish {
            asked: &model.spec.addresses,
            shown: shown(objects, &model.name),
            held: held
                .get(&model.name)
                .map(|addresses| &**addresses)
                .unwrap_or_default(),
        })
        .collect();
    address::assign(&wishes, &options.gateway_addresses)
}

fn complain(name: &NamespacedName, failure: &Failure, problems: &mut Problems) {
    problems.push(Problem {
        object: ObjectRef::new("Gateway", &name.namespace, &name.name),
        field: "spec".to_owned(),
        reason: reason::GATEWAY_NOT_SERVED,
        message: failure.message.clone(),
        effect: Effect::ObjectRejected,
        fix: String::new(),
    });
}

/// What a Gateway asks for that is not supported: it is not served then, rather
/// than served without.
fn refused(spec: &GatewaySpec) -> Option<Failure> {
    let parameters = spec
        .infrastructure
        .as_ref()
        .and_then(|wish| wish.parameters_ref.as_ref());
    if parameters.is_some() {
        let message = "parameters mean nothing here: remove `spec.infrastructure.parametersRef`";
        return Some(Failure::new("InvalidParameters", message));
    }
    None
}

/// The addresses that the status of a Gateway shows.
fn shown(objects: &Objects, name: &NamespacedName) -> Vec<IpAddr> {
    let status = objects.gateway_api().gateways.status(&name.namespace, &name.name);
    let status = status.map(|status| status.value());
    let addresses = status
        .as_ref()
        .and_then(|status| status.get("addresses")?.as_array());
    let values = addresses
        .into_iter()
        .flatten()
        .filter_map(|address| address.get("value")?.as_str());
    values.filter_map(|value| value.parse().ok()).collect()
}
