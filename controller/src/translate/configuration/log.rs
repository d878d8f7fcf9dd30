//! The access log (configmap reference §10).

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_snapshot::access_log::{Escape, LogFormat, LogOutput, Variable};
use tidegate_snapshot::policy::Block;
use tidegate_snapshot::{AccessLog, Effect};

use super::{Draft, Lookup, Refusal, value};

/// The keys about it, as read.
#[derive(Default)]
pub(super) struct Log {
    log: AccessLog,
    format: Option<String>,
    json: bool,
    none: bool,
    /// `http-access-log-path`, which wins over `access-log-path`.
    http_output: Option<LogOutput>,
    /// `stream-access-log-path`, likewise.
    stream_output: Option<LogOutput>,
    stream_format: Option<String>,
    /// `enable-syslog`, which wins over both paths.
    syslog: bool,
    syslog_host: String,
    syslog_port: Option<u16>,
}

/// ingress-nginx's default format.
const FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
    \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
    [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time \
    $upstream_status $req_id";

/// All lines.
pub(super) fn disable(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    disable_http(draft, text)?;
    disable_streams(draft, text)
}

pub(super) fn disable_http(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.log.off |= value::bool(text)?;
    Ok(())
}

pub(super) fn disable_streams(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.log.streams.off |= value::bool(text)?;
    Ok(())
}

pub(super) fn default_backend(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.log.default_backend = value::bool(text)?;
    Ok(())
}

pub(super) fn questions(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.log.questions = value::bool(text)?;
    Ok(())
}

pub(super) fn path(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.log.output = Some(output(text));
    Ok(())
}

pub(super) fn http_path(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.http_output = Some(output(text));
    Ok(())
}

pub(super) fn stream_path(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.stream_output = Some(output(text));
    Ok(())
}

pub(super) fn syslog(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.syslog = value::bool(text)?;
    Ok(())
}

pub(super) fn syslog_host(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    // Brackets of an IPv6 address, as nginx wants them.
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let host = bare.unwrap_or(text);
    let is_name = host.len() <= 253
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !is_name && host.parse::<IpAddr>().is_err() {
        return Err(Refusal::ignored(
            format!("{} is not a host", value::shown(text)),
            "write a name or an address, without a port",
        ));
    }
    host.clone_into(&mut draft.log.syslog_host);
    Ok(())
}

pub(super) fn syslog_port(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.syslog_port = u16::try_from(value::within(text, 1, 65_535)?).ok();
    Ok(())
}

/// Where to, besides files; not for streams, as in ingress-nginx. Without a host
/// lines go where they went; ingress-nginx could not reload.
pub(super) fn finish_syslog(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    if !draft.log.syslog {
        return Ok(());
    }
    let host = std::mem::take(&mut draft.log.syslog_host);
    if host.is_empty() {
        return Err(Refusal::ignored(
            "needs a `syslog-host`".to_owned(),
            "set `syslog-host` to the name or address of the server",
        ));
    }
    draft.log.http_output = Some(LogOutput::Syslog {
        host,
        port: draft.log.syslog_port.unwrap_or(514),
    });
    Ok(())
}

/// nginx's default path is a link to standard output in ingress-nginx's image.
fn output(text: &str) -> LogOutput {
    match text {
        "/var/log/nginx/access.log" | "/dev/stdout" => LogOutput::Stdout,
        "/dev/stderr" => LogOutput::Stderr,
        path => LogOutput::File(path.into()),
    }
}

pub(super) fn format(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.format = Some(text.to_owned());
    Ok(())
}

pub(super) fn stream_format(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.stream_format = Some(text.to_owned());
    Ok(())
}

pub(super) fn escape_json(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.json = value::bool(text)?;
    Ok(())
}

pub(super) fn escape_none(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.log.none = value::bool(text)?;
    Ok(())
}

/// Texts in full, or `~regex`, as in nginx `map`.
pub(super) fn skip(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let patterns = value::list(text).map(|entry| {
        Block::pattern(entry).map_err(|error| {
            Refusal::ignored(format!("{}: {error}", value::shown(entry)), "mend the expression")
        })
    });
    draft.log.log.skip = patterns.collect::<Result<_, _>>()?;
    Ok(())
}

/// ingress-nginx escapes values of streams as nginx does it by default, whatever
/// `log-format-escape-*` say.
pub(super) fn finish_streams(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let path = draft.log.log.output.clone();
    draft.log.log.streams.output = draft.log.stream_output.take().or(path);
    let Some(text) = draft.log.stream_format.take() else {
        return Ok(());
    };
    let (format, unknown) = parse(&text, Escape::Default)?;
    draft.log.log.streams.format = Some(format);
    report(&unknown)
}

/// Format and escaping go together; the paths too.
pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let escape = match (draft.log.none, draft.log.json) {
        (true, _) => Escape::None,
        (false, true) => Escape::Json,
        (false, false) => Escape::Default,
    };
    let text = match &draft.log.format {
        Some(format) => Some(format.as_str()),
        None if escape != Escape::Default => Some(FORMAT),
        None => None,
    };
    let mut log = std::mem::take(&mut draft.log.log);
    if let Some(output) = draft.log.http_output.take() {
        log.output = Some(output);
    }
    let parsed = text.map(|text| parse(text, escape)).transpose();
    let (parsed, outcome) = match parsed {
        Ok(parsed) => (parsed, Ok(())),
        Err(refusal) => (None, Err(refusal)),
    };
    let (format, unknown) = parsed.unzip();
    log.format = format;
    draft.options.access_log = Arc::new(log);
    outcome.and_then(|()| report(&unknown.unwrap_or_default()))
}

fn parse<V: Variable>(text: &str, escape: Escape) -> Result<(LogFormat<V>, Vec<String>), Refusal> {
    LogFormat::parse(text, escape)
        .map_err(|error| Refusal::ignored(error.to_string(), "write `$name` or `${name}`"))
}

/// Variables that nobody knows.
fn report(unknown: &[String]) -> Result<(), Refusal> {
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        effect: Effect::Applied,
        ..Refusal::ignored(
            format!("has variables that are never set: ${}", unknown.join(", $")),
            "remove them",
        )
    }
    .because(crate::translate::reason::UNKNOWN_VARIABLE))
}
