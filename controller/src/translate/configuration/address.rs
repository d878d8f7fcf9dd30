//! Where the client's address comes from, and where to listen (configmap
//! reference §1 and §14; the combinations: behaviour reference §7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use tidegate_snapshot::{Effect, ProxyProtocol};

use super::{Draft, Lookup, Refusal, value};
use crate::translate::reason;

pub(super) fn use_forwarded_headers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.real_ip.use_forwarded_headers = value::bool(text)?;
    Ok(())
}

pub(super) fn enable_real_ip(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.real_ip.enable_real_ip = value::bool(text)?;
    Ok(())
}

pub(super) fn compute_full(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.real_ip.compute_full_forwarded_for = value::bool(text)?;
    Ok(())
}

pub(super) fn for_header(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.real_ip.header = value::header_name(text)?;
    Ok(())
}

pub(super) fn host_header(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.real_ip.host_header = value::header_name(text)?;
    Ok(())
}

pub(super) fn trusted(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    // Nobody is believed when somebody was meant to be left out.
    draft.trusted = Some(Vec::new());
    draft.trusted = Some(value::networks(text).map_err(|refusal| Refusal {
        message: format!("{}: nobody is believed", refusal.message),
        ..refusal
    })?);
    Ok(())
}

pub(super) fn disable_ipv6_dns(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.ipv4_names_only = value::bool(text)?;
    Ok(())
}

pub(super) fn use_proxy_protocol(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.use_proxy_protocol = value::bool(text)?;
    Ok(())
}

pub(super) fn proxy_protocol_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.proxy_protocol_timeout = value::time(text)?;
    Ok(())
}

pub(super) fn proxy_protocol_optional(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.proxy_protocol_optional = value::networks(text)?;
    Ok(())
}

/// Who is believed. Without `proxy-real-ip-cidr` ingress-nginx believes
/// everybody with an IPv4 address; so do we, and say so.
pub(super) fn finish_trust(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let anyone = |v6: bool| {
        let v4 = IpNet::from(ipnet::Ipv4Net::default());
        let v6 = v6.then(|| IpNet::from(ipnet::Ipv6Net::default()));
        std::iter::once(v4).chain(v6).collect::<Vec<_>>()
    };
    let believes = draft.http.real_ip.use_forwarded_headers || draft.http.real_ip.enable_real_ip;
    let by_flags = draft.http.real_ip.trusted.clone();
    let open = draft.trusted.is_none() && by_flags.is_empty();
    draft.http.real_ip.trusted = match draft.trusted.clone() {
        Some(trusted) => trusted,
        None if open && (believes || draft.use_proxy_protocol) => anyone(false),
        None => by_flags,
    };
    proxy_protocol(draft, anyone(true), open);
    if open && believes {
        return Err(Refusal {
            effect: Effect::Applied,
            ..Refusal::ignored(
                "is not set, so forwarded headers are believed from everybody: any client can choose its address",
                "name the networks of your load balancers, as in \"10.0.0.0/8\"",
            )
        }
        .because(reason::EVERYBODY_TRUSTED));
    }
    Ok(())
}

/// With forwarded headers the trust list is compared with the address in the
/// PROXY header, not with who sent it.
fn proxy_protocol(draft: &mut Draft, anyone: Vec<IpNet>, open: bool) {
    let real_ip = &draft.http.real_ip;
    let trusted = match real_ip.use_forwarded_headers || open {
        true => anyone,
        false => real_ip.trusted.clone(),
    };
    let settings = draft.use_proxy_protocol.then(|| ProxyProtocol {
        trusted,
        optional: draft.proxy_protocol_optional.clone(),
        header_timeout: draft.proxy_protocol_timeout,
    });
    for listener in draft.options.http.iter_mut().chain(&mut draft.options.https) {
        // Flags that already name peers are narrower.
        if listener.proxy_protocol.is_none() || settings.is_none() {
            listener.proxy_protocol = settings.clone();
        }
    }
}

pub(super) fn bind_address(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let addresses = value::list(text).map(|part| {
        let bare = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        bare.unwrap_or(part).parse::<IpAddr>().map_err(|_| {
            Refusal::ignored(
                format!("{} is not an address", value::shown(part)),
                "write addresses separated by commas",
            )
        })
    });
    draft.bind_addresses = addresses.collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn disable_ipv6(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.disable_ipv6 = value::bool(text)?;
    Ok(())
}

pub(super) fn finish_listen(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let mut addresses = draft.bind_addresses.clone();
    if draft.disable_ipv6 {
        addresses.retain(IpAddr::is_ipv4);
    }
    for listener in draft.options.http.iter_mut().chain(&mut draft.options.https) {
        if addresses.is_empty() {
            let any = listener.address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            if draft.disable_ipv6 && any {
                listener.address.set_ip(Ipv4Addr::UNSPECIFIED.into());
            }
        } else {
            listener.address.set_ip(addresses[0]);
            listener.more_addresses = addresses[1..].to_vec();
        }
    }
    Ok(())
}
