//! Directives that are policies of the route already: sizes, times, buffering,
//! the log. ingress-nginx sets each for every route, so that those of a host
//! never count.

use std::time::Duration;

use super::builder::Builder;
use super::tree::Directive;
use super::{Directives, Fault};
use crate::translate::ingress::annotations::value;

const OF_HOST: &str = "no effect for a host: every route has its own";

pub(super) fn body_size(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [text] = directive.exactly(usage)?;
    let size = value::size(text).map_err(|refusal| directive.fault(refusal.message, refusal.fix))?;
    if builder.is_server() {
        builder.note(directive, OF_HOST, "use the annotation `proxy-body-size`");
    } else {
        builder.out.max_body = Some((size > 0).then_some(size));
    }
    Ok(())
}

pub(super) fn connect_timeout(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    timeout(
        builder,
        directive,
        usage,
        "use the annotation `proxy-connect-timeout`",
        |out| &mut out.connect_timeout,
    )
}

pub(super) fn read_timeout(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    timeout(
        builder,
        directive,
        usage,
        "use the annotation `proxy-read-timeout`",
        |out| &mut out.read_timeout,
    )
}

pub(super) fn send_timeout(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    timeout(
        builder,
        directive,
        usage,
        "use the annotation `proxy-send-timeout`",
        |out| &mut out.send_timeout,
    )
}

fn timeout(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
    instead: &str,
    place: fn(&mut Directives) -> &mut Option<Duration>,
) -> Result<(), Fault> {
    let [text] = directive.exactly(usage)?;
    let time = value::time(text).filter(|time| !time.is_zero());
    let time = time.ok_or_else(|| directive.fault(format!("{text:?} is not a time"), "write as `60s`"))?;
    if builder.is_server() {
        builder.note(directive, OF_HOST, instead);
    } else {
        *place(&mut builder.out) = Some(time);
    }
    Ok(())
}

pub(super) fn request_buffering(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let buffers = on_off(directive, usage)?;
    if builder.is_server() {
        builder.note(directive, OF_HOST, "use the annotation `proxy-request-buffering`");
    } else {
        builder.out.request_buffering = Some(buffers);
    }
    Ok(())
}

/// Answers are always streamed.
pub(super) fn buffering(
    _: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    on_off(directive, usage).map(drop)
}

fn on_off(directive: &Directive, usage: &'static str) -> Result<bool, Fault> {
    let [text] = directive.exactly(usage)?;
    value::on_off(text).map_err(|_| directive.usage(usage))
}

pub(super) fn access_log(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    match directive.exactly(usage)? {
        ["off"] => builder.out.unlogged = true,
        _ => return Err(directive.usage(usage)),
    }
    Ok(())
}
