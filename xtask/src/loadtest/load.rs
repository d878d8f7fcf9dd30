//! Load, by the script that users run too, `loadtest/saturate`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::scenario::{Case, Scenario};
use crate::process;

/// The least part of the handshakes that could resume a session which must have
/// done so: fewer, and it is not what the scenario says.
const RESUMED: f64 = 0.99;

/// What a load generator did.
pub(super) struct Load {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    /// p50, p99 and p99.9 in milliseconds; h2load does not say.
    latency: Option<[f64; 3]>,
    /// The part of the handshakes that resumed a session, each client's first left out.
    pub(super) resumed: Option<f64>,
}

/// Where load goes, and with what.
pub(super) struct Target<'a> {
    /// The core for the generator.
    pub(super) core: &'a str,
    pub(super) scenario: &'a Scenario,
    pub(super) case: Case,
    /// The program of `loadtest/generator`.
    pub(super) generator: &'a Path,
    pub(super) http: u16,
    pub(super) https: u16,
}

/// One measurement of one proxy.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// Requests a second.
    pub(super) rate: f64,
    pub(super) cpu_micros: f64,
    /// The part of its core that the proxy used: well below 1, it was the load
    /// generator that took no more.
    pub(super) busy: f64,
    /// As [`Load::resumed`].
    pub(super) resumed: Option<f64>,
}

/// Latency of one proxy at a fixed rate, from when each request was due.
#[derive(Clone, Copy)]
pub(super) struct Latency {
    /// p50, p99 and p99.9 in milliseconds.
    pub(super) quantiles: [f64; 3],
    /// The part of the rate that was answered in time: well below 1, the proxy
    /// could not do it.
    pub(super) kept: f64,
}

/// As many requests as the proxy takes, or so many a second.
pub(super) fn saturate(target: &Target<'_>, seconds: u32, rate: Option<u32>) -> Result<Load> {
    let scenario = target.scenario;
    let script = process::root()?.join("loadtest/saturate");
    let output = Command::new("taskset")
        .args(["-c", target.core])
        .arg(script)
        .arg(scenario.load)
        .envs(rate.map(|rate| ("RATE", rate.to_string())))
        .env("GENERATOR", target.generator)
        .env("ADDRESS", format!("127.0.0.1:{}", target.http))
        .env("TLS_ADDRESS", format!("127.0.0.1:{}", target.https))
        .envs(scenario.origin.map(|origin| ("ORIGIN", origin)))
        .env("HOST", target.case.host)
        .env("HOSTS", target.case.hosts.to_string())
        .env("REQUEST_PATH", target.case.path)
        .env("CONNECTIONS", scenario.connections.to_string())
        .env("DURATION", seconds.to_string())
        .stdin(Stdio::null())
        .output()
        .context("cannot run loadtest/saturate")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!(
            "loadtest/saturate {}: {}",
            scenario.load,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let load = if text.starts_with('{') {
        json(&text)
    } else {
        h2load(&text)
    };
    let load = load.with_context(|| {
        // Our generator explains the first failure there.
        let why = String::from_utf8_lossy(&output.stderr);
        format!("loadtest/saturate {} said: {text}{why}", scenario.load)
    })?;
    ensure!(load.requests > 0.0, "not one request was answered");
    Ok(load)
}

/// The line of `report.lua` and of our generator.
fn json(text: &str) -> Result<Load> {
    let number = |name: &str| -> Result<f64> {
        let (_, after) = text
            .split_once(&format!("\"{name}\":"))
            .context(name.to_owned())?;
        let end = after.find([',', '}']).unwrap_or(after.len());
        Ok(after[..end].trim().parse()?)
    };
    for errors in ["status_errors", "socket_errors", "timeouts"] {
        let count = number(errors)?;
        // An error page is cheap and would make any proxy look fast.
        ensure!(count == 0.0, "{count} {errors}");
    }
    let resumed = number("resumed_share").ok();
    ensure!(
        resumed.is_none_or(|share| share >= RESUMED),
        "only {resumed:?} of the handshakes resumed a session"
    );
    Ok(Load {
        requests: number("requests")?,
        seconds: number("seconds")?,
        latency: Some([number("p50_ms")?, number("p99_ms")?, number("p999_ms")?]),
        resumed,
    })
}

/// The report of h2load.
fn h2load(text: &str) -> Result<Load> {
    let line = |start: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(start))
            .context(start.to_owned())
    };
    let finished = line("finished in ")?;
    let (time, rest) = finished.split_once(", ").context("no time")?;
    let seconds = match time.strip_suffix("ms") {
        Some(millis) => millis.parse::<f64>()? / 1000.0,
        None => time.strip_suffix('s').context("no seconds")?.parse()?,
    };
    let (rate, _) = rest.split_once(" req/s").context("no rate")?;
    let requests = line("requests: ")?;
    ensure!(
        requests.contains(" 0 failed, 0 errored, 0 timeout"),
        "failed requests: {requests}"
    );
    let codes = line("status codes: ")?;
    ensure!(codes.contains(" 0 4xx, 0 5xx"), "status codes: {codes}");
    Ok(Load {
        requests: rate.parse::<f64>()? * seconds,
        seconds,
        latency: None,
        resumed: None,
    })
}

/// Latency at so many requests a second.
pub(super) fn fixed_rate(target: &Target<'_>, rate: u32, seconds: u32) -> Result<Latency> {
    let load = saturate(target, seconds, Some(rate))?;
    Ok(Latency {
        quantiles: load.latency.context("no latencies")?,
        kept: load.requests / load.seconds / f64::from(rate),
    })
}

/// Waits until the first host is served.
pub(super) fn ready(http: u16, patience: Duration) -> Result<()> {
    let start = Instant::now();
    let mut last = String::new();
    while start.elapsed() < patience {
        if let Ok(answer) = ask(http) {
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            last = answer.lines().next().unwrap_or_default().to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!(
        "host0.example is not served after {} s: {last}",
        patience.as_secs()
    )
}

fn ask(http: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", http))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: host0.example\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_and_errors_in_them_refused() {
        let line = "{\"requests\":100,\"seconds\":2.00,\"p50_ms\":1.5,\"p99_ms\":2.5,\"p999_ms\":3.5,\
                    \"status_errors\":0,\"socket_errors\":0,\"timeouts\":0,\"resumed_share\":1.0000}\n";
        let load = json(line).unwrap();
        assert_eq!((load.requests, load.seconds), (100.0, 2.0));
        assert_eq!((load.latency, load.resumed), (Some([1.5, 2.5, 3.5]), Some(1.0)));
        for (good, bad, said) in [
            ("status_errors\":0", "status_errors\":3", "3 status_errors"),
            ("share\":1.0000", "share\":0.9800", "0.98"),
            ("p99_ms", "p98_ms", "p99_ms"),
        ] {
            let error = json(&line.replace(good, bad)).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        let load = json(&line.replace(",\"resumed_share\":1.0000", "")).unwrap();
        assert_eq!(load.resumed, None);
        let report = "finished in 2.00s, 50.00 req/s, 1MB/s\nrequests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        let load = h2load(report).unwrap();
        assert_eq!((load.requests, load.seconds), (100.0, 2.0));
        assert!(h2load(&report.replace("0 5xx", "7 5xx")).is_err());
        assert!(h2load(&report.replace("0 errored", "7 errored")).is_err());
    }
}
