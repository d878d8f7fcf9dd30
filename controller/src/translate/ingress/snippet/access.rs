//! `allow`, `deny` (nginx `ngx_http_access_module`).

use std::net::IpAddr;

use ipnet::IpNet;
use tidegate_snapshot::policy::AccessRule;

use super::Fault;
use super::builder::Builder;
use super::tree::Directive;

pub(super) fn allow(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    rule(builder, directive, usage, true)
}

pub(super) fn deny(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    rule(builder, directive, usage, false)
}

fn rule(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
    allow: bool,
) -> Result<(), Fault> {
    let [text] = directive.exactly(usage)?;
    let network = || {
        text.parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    let from = match text {
        "all" => None,
        _ => Some(network().ok_or_else(|| {
            directive.fault(
                format!("{text:?} is not an address and not a network"),
                "write as `10.0.0.0/8`, or `all`",
            )
        })?),
    };
    builder.out.access.push(AccessRule { allow, from });
    Ok(())
}
