//! Spans (configmap reference §12).

use std::sync::Arc;
use std::time::Duration;

use tidegate_snapshot::{RootSampler, Sampler, Text, TraceExport};

use super::{Draft, Lookup, Refusal, value};

/// What the keys say; `None`: nothing, and the process's environment counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    host: Option<String>,
    port: Option<u16>,
    service_name: Option<String>,
    sampler: Option<Kind>,
    ratio: Option<RootSampler>,
    parent_based: Option<bool>,
    queue_size: Option<u32>,
    delay: Option<Duration>,
    batch_size: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    Ratio,
}

/// ingress-nginx's default of `otel-sampler-ratio`: 0.01.
const RATIO: RootSampler = RootSampler::Ratio(10_000);
/// OTLP's port for gRPC.
const PORT: u16 = 4317;

pub(super) fn operation_name(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let name = Text::parse(text).map_err(|error| {
        Refusal::ignored(
            format!("{}: {error}", value::shown(text)),
            "use literal text and variables of requests and routes",
        )
    })?;
    draft.options.span_name = Some(name);
    Ok(())
}

pub(super) fn host(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if !text.chars().all(allowed) {
        return Err(Refusal::ignored(
            format!("{} is not a host", value::shown(text)),
            "write a name or an address, without scheme and port",
        ));
    }
    draft.tracing.host = Some(text.to_owned());
    Ok(())
}

pub(super) fn port(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let port = value::within(text, 1, u16::MAX.into())?;
    draft.tracing.port = u16::try_from(port).ok();
    Ok(())
}

pub(super) fn service_name(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tracing.service_name = Some(text.to_owned());
    Ok(())
}

pub(super) fn sampler(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tracing.sampler = Some(match text {
        "AlwaysOn" => Kind::AlwaysOn,
        "AlwaysOff" => Kind::AlwaysOff,
        "TraceIdRatioBased" => Kind::Ratio,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a sampler", value::shown(text)),
                "write AlwaysOn, AlwaysOff or TraceIdRatioBased",
            ));
        }
    });
    Ok(())
}

pub(super) fn ratio(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let ratio = RootSampler::ratio(text).ok_or_else(|| {
        Refusal::ignored(
            format!("{} is not a share", value::shown(text)),
            "write a number from 0 to 1",
        )
    })?;
    draft.tracing.ratio = Some(ratio);
    Ok(())
}

pub(super) fn parent_based(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tracing.parent_based = Some(value::bool(text)?);
    Ok(())
}

pub(super) fn queue_size(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tracing.queue_size = Some(value::within(text, 1, 1_000_000)?);
    Ok(())
}

pub(super) fn delay(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let milliseconds = value::within(text, 1, 600_000)?;
    draft.tracing.delay = Some(Duration::from_millis(milliseconds.into()));
    Ok(())
}

pub(super) fn batch_size(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tracing.batch_size = Some(value::within(text, 1, 100_000)?);
    Ok(())
}

pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let keys = std::mem::take(&mut draft.tracing);
    let says_sampler = keys.sampler.is_some() || keys.ratio.is_some() || keys.parent_based.is_some();
    let root = match keys.sampler {
        None | Some(Kind::AlwaysOn) => RootSampler::All,
        Some(Kind::AlwaysOff) => RootSampler::None,
        Some(Kind::Ratio) => keys.ratio.unwrap_or(RATIO),
    };
    let port = keys.port.unwrap_or(PORT);
    let export = TraceExport {
        collector: keys
            .host
            .map(|host| format!("http://{}:{port}", bracketed(&host)).into()),
        service_name: keys.service_name.map(Into::into),
        sampler: says_sampler.then(|| Sampler {
            root,
            parent_based: keys.parent_based.unwrap_or(true),
        }),
        queue_size: keys.queue_size,
        delay: keys.delay,
        batch_size: keys.batch_size,
    };
    if export != TraceExport::default() {
        draft.options.trace_export = Arc::new(export);
    }
    Ok(())
}

/// An IPv6 address as URLs have it.
fn bracketed(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}
