//! Settings as the controller wants them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use ipnet::IpNet;
use tidegate_controller::objects::NamespacedName;
use tidegate_controller::options::{GatewayServices, ListenerOptions, Options, ServiceKind};
use tidegate_gateway::settings::{self, ExternalTrafficPolicy, GatewayServiceType, LoadBalancing, Settings};
use tidegate_snapshot::policy::Hsts;
use tidegate_snapshot::{self as snapshot, HttpSettings, ProxyProtocol, RealIp};

use crate::ports::any_address;

/// What translation needs. The fallback certificate is the caller's: making a
/// key takes time.
pub(crate) fn options(settings: &Settings) -> anyhow::Result<Options> {
    let ingress = &settings.ingress;
    Ok(Options {
        ingress_class: ingress.class.clone(),
        controller_classes: ingress.controller_classes.clone(),
        ingress_class_by_name: ingress.class_by_name,
        watch_ingress_without_class: ingress.without_class,
        annotations_prefix: ingress.annotations_prefix.clone(),
        default_ssl_certificate: object(ingress.default_certificate.as_deref())
            .context("setting ingress.defaultCertificate")?,
        default_backend_service: object(ingress.default_backend.as_deref())
            .context("setting ingress.defaultBackend")?,
        config_map: object(ingress.config_map.as_deref()).context("setting ingress.configMap")?,
        tcp_services: object(ingress.tcp_services.as_deref()).context("setting ingress.tcpServices")?,
        udp_services: object(ingress.udp_services.as_deref()).context("setting ingress.udpServices")?,
        tls_passthrough: ingress.tls_passthrough,
        deep_inspect: ingress.deep_inspect,
        disable_catch_all: ingress.disable_catch_all,
        disable_svc_external_name: ingress.disable_external_name,
        http: listener(
            settings,
            settings.listen.http_port,
            settings.listen.public_http_port,
        ),
        https: listener(
            settings,
            settings.listen.https_port,
            settings.listen.public_https_port,
        ),
        zone: match ingress.topology_aware_routing {
            true => ingress.zone.as_deref().map(Into::into),
            false => None,
        },
        geoip_files: snapshot::GeoIp {
            directory: settings.geoip.directory.clone(),
            editions: settings.geoip.editions.clone(),
            ..snapshot::GeoIp::default()
        },
        http_settings: Arc::new(http_settings(settings)),
        hsts: ingress.hsts.as_ref().map(|hsts| Hsts {
            max_age: hsts.max_age,
            include_subdomains: hsts.include_subdomains,
            preload: hsts.preload,
        }),
        ssl_redirect: ingress.ssl_redirect,
        load_balancing: match ingress.load_balancing {
            LoadBalancing::RoundRobin => snapshot::LoadBalancing::RoundRobin,
            LoadBalancing::LeastRequest => snapshot::LoadBalancing::LeastRequest,
            LoadBalancing::Ewma => snapshot::LoadBalancing::Ewma,
        },
        gateway_controller: settings.gateway_api.controller_name.clone(),
        gateway_addresses: networks("gatewayApi.addresses", &settings.gateway_api.addresses)?,
        gateway_services: settings
            .gateway_api
            .services
            .as_ref()
            .map(gateway_services)
            .transpose()?,
        reserved_ports: reserved_ports(settings),
        // The rest has no setting of ours: the ConfigMap has it.
        ..Options::default()
    })
}

/// Ports that are not for traffic: of the admin interface and the webhook.
fn reserved_ports(settings: &Settings) -> Vec<u16> {
    let webhook = settings.webhook.address.as_deref();
    let webhook = webhook.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
    webhook.into_iter().chain([settings.admin.port]).collect()
}

fn networks(setting: &str, texts: &[String]) -> anyhow::Result<Vec<IpNet>> {
    let parse = |text: &String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address
            .or_else(|_| text.parse())
            .with_context(|| format!("setting {setting}: {text:?} is no address and no network"))
    };
    texts.iter().map(parse).collect()
}

fn gateway_services(settings: &settings::GatewayServices) -> anyhow::Result<GatewayServices> {
    Ok(GatewayServices {
        kind: match settings.kind {
            GatewayServiceType::LoadBalancer => ServiceKind::LoadBalancer,
            GatewayServiceType::NodePort => ServiceKind::NodePort,
            GatewayServiceType::ClusterIP => ServiceKind::ClusterIP,
        },
        ports: settings.range().context("setting gatewayApi.services.ports")?,
        external_traffic_policy: settings.external_traffic_policy.map(|policy| match policy {
            ExternalTrafficPolicy::Cluster => "Cluster",
            ExternalTrafficPolicy::Local => "Local",
        }),
        load_balancer_class: settings.load_balancer_class.clone(),
        external_addresses: networks(
            "gatewayApi.services.externalAddresses",
            &settings.external_addresses,
        )?,
        addresses: settings.addresses.clone(),
    })
}

/// `namespace/name`.
pub(crate) fn object(text: Option<&str>) -> anyhow::Result<Option<NamespacedName>> {
    let Some(text) = text else { return Ok(None) };
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Some(NamespacedName {
                namespace: namespace.into(),
                name: name.into(),
            }))
        }
        _ => anyhow::bail!("{text:?} is not of the form namespace/name"),
    }
}

fn listener(settings: &Settings, port: Option<u16>, public_port: u16) -> Option<ListenerOptions> {
    let proxy = &settings.proxy_protocol;
    let address = settings.listen.address.unwrap_or_else(any_address);
    Some(ListenerOptions {
        address: SocketAddr::new(address, port?),
        public_port,
        proxy_protocol: proxy.enabled.then(|| ProxyProtocol {
            trusted: proxy.trusted.clone(),
            optional: proxy.optional.clone(),
            header_timeout: proxy.header_timeout.0,
        }),
        more_addresses: Vec::new(),
    })
}

fn http_settings(settings: &Settings) -> HttpSettings {
    let (client, forwarding) = (&settings.client, &settings.forwarding);
    HttpSettings {
        real_ip: RealIp {
            use_forwarded_headers: forwarding.use_forwarded_headers,
            enable_real_ip: forwarding.enable_real_ip,
            compute_full_forwarded_for: forwarding.compute_full_forwarded_for,
            trusted: forwarding.trusted.clone(),
            ..RealIp::default()
        },
        generate_request_id: forwarding.generate_request_id,
        keep_alive: client.keep_alive.0,
        keep_alive_requests: client.keep_alive_requests,
        header_timeout: client.header_timeout.0,
        body_timeout: client.body_timeout.0,
        max_header_line: client.max_header_line,
        max_header_total: client.max_header_total,
        h2_max_streams: client.h2_max_streams,
        https_port: settings.listen.public_https_port,
        drop_underscores: client.drop_underscores,
        ..HttpSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two crates write these defaults down; they must be the same.
    #[test]
    fn default_settings_are_default_options() {
        let mut ours = options(&Settings::default()).unwrap();
        let theirs = Options::default();
        for (ours, theirs) in [(&mut ours.http, &theirs.http), (&mut ours.https, &theirs.https)] {
            // All addresses, either way.
            let (ours, theirs) = (ours.as_mut().unwrap(), theirs.as_ref().unwrap());
            assert_eq!(ours.address.port(), theirs.address.port());
            ours.address = theirs.address;
        }
        // The admin port is a setting of the program alone.
        assert_eq!(std::mem::take(&mut ours.reserved_ports), [10254]);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn objects_have_two_parts() {
        let name = object(Some("a/b")).unwrap().unwrap();
        assert_eq!((&*name.namespace, &*name.name), ("a", "b"));
        for text in ["", "a", "/b", "a/", "a/b/c"] {
            assert!(object(Some(text)).is_err(), "{text}");
        }
    }
}
