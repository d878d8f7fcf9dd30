//! Clusters of any size, made from one object of each kind: text is read once, so
//! that the counts of a benchmark are not the YAML parser's.

#![allow(unreachable_pub, reason = "one benchmark uses it")]

use std::sync::Arc;

use anyhow::{Result, ensure};
use tidegate_controller::manifest;
use tidegate_controller::objects::{Object, Objects};

use super::objects;

/// A Gateway and its class.
const GATEWAY: &str = "---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: tidegate}
spec: {controllerName: tidegate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: tidegate
  listeners: [{name: http, protocol: HTTP, port: 80}]
";

/// So many Ingresses with a Service and three endpoints each.
pub fn of_ingresses(count: usize) -> Result<Objects> {
    let mut objects = Objects::default();
    apply(&mut objects, objects::CLASS)?;
    services(&mut objects, count)?;
    let template = one(&objects::ingress(0, 0))?;
    for index in 0..count {
        objects.apply(numbered(&template, index, index));
    }
    Ok(objects)
}

/// A Gateway with so many HTTPRoutes, which share a fifth as many Services.
pub fn of_routes(count: usize) -> Result<Objects> {
    let mut objects = Objects::default();
    apply(&mut objects, GATEWAY)?;
    let services = count / 5;
    self::services(&mut objects, services)?;
    let template = one(&objects::http_route(0, 0))?;
    for index in 0..count {
        objects.apply(numbered(&template, index, index % services));
    }
    Ok(objects)
}

/// Applies what is written in a text.
pub fn apply(objects: &mut Objects, yaml: &str) -> Result<()> {
    for object in read(yaml)? {
        objects.apply(object);
    }
    Ok(())
}

fn services(objects: &mut Objects, count: usize) -> Result<()> {
    let endpoints = [("10.0.0.1", true), ("10.0.0.2", true), ("10.0.0.3", true)];
    let templates = [
        one(&objects::service(0))?,
        one(&objects::slice(0, "1", 8080, &endpoints))?,
    ];
    for index in 0..count {
        for template in &templates {
            objects.apply(numbered(template, index, index));
        }
    }
    Ok(())
}

fn read(yaml: &str) -> Result<Vec<Object>> {
    let manifest = manifest::parse("bench.yaml", yaml);
    ensure!(
        manifest.errors.is_empty(),
        "the benchmark's own YAML: {:?}",
        manifest.errors
    );
    Ok(manifest.objects)
}

fn one(yaml: &str) -> Result<Object> {
    let mut objects = read(yaml)?;
    ensure!(objects.len() == 1, "a template is one object");
    Ok(objects.remove(0))
}

/// The object of [`objects`] with this number and Service, made from that with number 0.
fn numbered(template: &Object, index: usize, service: usize) -> Object {
    let service = format!("svc-{service}");
    match template {
        Object::Ingress(ingress) => {
            let mut ingress = (**ingress).clone();
            ingress.metadata.name = Some(format!("ing-{index}"));
            let rules = ingress.spec.as_mut().and_then(|spec| spec.rules.as_mut());
            for rule in rules.into_iter().flatten() {
                rule.host = Some(format!("host-{index}.test"));
                let paths = rule.http.iter_mut().flat_map(|http| &mut http.paths);
                for backend in paths.filter_map(|path| path.backend.service.as_mut()) {
                    backend.name.clone_from(&service);
                }
            }
            Object::Ingress(Arc::new(ingress))
        }
        Object::Service(template) => {
            let mut changed = (**template).clone();
            changed.metadata.name = Some(service);
            Object::Service(Arc::new(changed))
        }
        Object::EndpointSlice(slice) => {
            let mut slice = (**slice).clone();
            slice.metadata.name = Some(format!("{service}-1"));
            slice
                .metadata
                .labels
                .get_or_insert_default()
                .insert("kubernetes.io/service-name".to_owned(), service);
            Object::EndpointSlice(Arc::new(slice))
        }
        Object::HTTPRoute(route) => {
            let mut route = (**route).clone();
            route.metadata.name = Some(format!("route-{index}"));
            if let Ok(spec) = &mut route.spec {
                spec.hostnames = [format!("host-{index}.test")].into();
                for backend in spec
                    .rules
                    .iter_mut()
                    .flat_map(|rule| Arc::make_mut(&mut rule.backend_refs))
                {
                    backend.name.clone_from(&service);
                }
            }
            Object::HTTPRoute(Arc::new(route))
        }
        other => other.clone(),
    }
}
