//! `tidegate.dev/health-check-*` annotations of a Service.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use tidegate_snapshot::{Effect, HealthCheck, HealthCheckKind, Hostname, ObjectRef, Problem};

use crate::translate::reason;

const PREFIX: &str = "tidegate.dev/health-check-";

/// Between two checks where nothing else is said.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// For one check.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Successes before an endpoint is used again.
const DEFAULT_HEALTHY: u16 = 1;
/// Failures before an endpoint is left out.
const DEFAULT_UNHEALTHY: u16 = 3;
/// Checks more often than this are an attack.
const SHORTEST: Duration = Duration::from_millis(100);
/// An hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads the check that a Service asks for. `path` asks for an HTTP check,
/// `type: tcp` for a connection; a bad value costs only itself, but for those
/// two: without them there is no check.
pub(super) fn parse(
    service: &Service,
    origin: &ObjectRef,
    problems: &mut Vec<Problem>,
) -> Option<HealthCheck> {
    let annotations = service.metadata.annotations.as_ref()?;
    if !annotations.keys().any(|key| key.starts_with(PREFIX)) {
        return None;
    }
    let mut found = Found::default();
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        if let Err(message) = found.take(name, value.trim()) {
            problems.push(problem(origin, key, message));
        }
    }
    let check = found.check();
    if check.is_none() && problems.is_empty() {
        let message = "no health check: neither a path nor `type: tcp` is given".to_owned();
        problems.push(problem(origin, &format!("{PREFIX}path"), message));
    }
    check
}

fn problem(origin: &ObjectRef, key: &str, message: String) -> Problem {
    Problem {
        object: origin.clone(),
        field: format!("metadata.annotations[{key}]"),
        reason: reason::INVALID_HEALTH_CHECK,
        message,
        effect: Effect::Ignored,
        fix: String::new(),
    }
}

#[derive(Default)]
struct Found<'a> {
    tcp: bool,
    path: Option<&'a str>,
    host: Option<&'a str>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    healthy: Option<u16>,
    unhealthy: Option<u16>,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: &'a str) -> Result<(), String> {
        match name {
            "type" => self.tcp = is_tcp(value)?,
            "path" => self.path = Some(path(value)?),
            "host" => self.host = Some(host(value)?),
            "interval" => self.interval = Some(duration(value)?),
            "timeout" => self.timeout = Some(duration(value)?),
            "healthy-threshold" => self.healthy = Some(threshold(value)?),
            "unhealthy-threshold" => self.unhealthy = Some(threshold(value)?),
            _ => return Err(format!("there is no annotation {PREFIX}{name}")),
        }
        Ok(())
    }

    fn check(self) -> Option<HealthCheck> {
        let kind = if self.tcp {
            HealthCheckKind::Tcp
        } else {
            HealthCheckKind::Http {
                path: self.path?.into(),
                host: self.host.map(Into::into),
            }
        };
        let interval = self.interval.unwrap_or(DEFAULT_INTERVAL);
        Some(HealthCheck {
            kind,
            interval,
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT).min(interval),
            healthy_threshold: self.healthy.unwrap_or(DEFAULT_HEALTHY),
            unhealthy_threshold: self.unhealthy.unwrap_or(DEFAULT_UNHEALTHY),
        })
    }
}

fn is_tcp(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "tcp" => Ok(true),
        "http" => Ok(false),
        _ => Err(format!("{value:?} is not a type: write http or tcp")),
    }
}

fn path(value: &str) -> Result<&str, String> {
    let printable = value.bytes().all(|b| b.is_ascii_graphic());
    if value.starts_with('/') && printable {
        Ok(value)
    } else {
        Err(format!("{value:?} is not an absolute path"))
    }
}

fn host(value: &str) -> Result<&str, String> {
    let name = value.rsplit_once(':').map_or(value, |(name, _)| name);
    match Hostname::parse(name) {
        Ok(Hostname::Exact(_)) => Ok(value),
        _ => Err(format!("{value:?} is not a host name")),
    }
}

/// `10s`, `500ms`, `1m`, or a number of seconds.
fn duration(value: &str) -> Result<Duration, String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &value[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => 0,
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .map(Duration::from_millis)
        .filter(|duration| (SHORTEST..=LONGEST).contains(duration))
        .ok_or_else(|| format!("{value:?} is not a time from 100ms to 60m, such as 10s"))
}

fn threshold(value: &str) -> Result<u16, String> {
    value
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{value:?} is not a number from 1 to 65535"))
}
