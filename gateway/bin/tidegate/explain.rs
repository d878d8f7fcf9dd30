//! `tidegate explain`: what answers a request, and why.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tidegate_gateway::admin::{NOT_SERVED, Question, explain};
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::runtime::{self, Parts};
use tidegate_gateway::upstream;
use tidegate_snapshot::{Changed, Publication};

use crate::source::Source;
use crate::{check, cli, options};

/// For a live gateway to answer.
const ADMIN_TIME: Duration = Duration::from_secs(10);

/// What `explain` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's URL, as in http://host/path?query; or tls://name:port,
    /// tcp://address:port or udp://address:port for what carries no HTTP.
    #[arg(long)]
    url: String,
    /// The request's method.
    #[arg(long, value_name = "M", default_value = "GET")]
    method: String,
    /// A header field of the request; may be given several times.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// Ask a live gateway, by its admin address.
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with = "input",
        required_unless_present = "input"
    )]
    admin: Option<String>,
    /// A directory, a file, or `-` for standard input.
    #[arg(value_name = "DIR|FILE|-")]
    input: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

/// Always exit code 0: an answer of 404 is an answer.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Wrong questions are refused here, whoever will answer.
    let headers = args.header.iter().map(String::as_str);
    let question = Question::new(&args.url, &args.method, headers).map_err(anyhow::Error::msg)?;
    let text = match (&args.admin, &args.input) {
        (Some(address), _) => ask(address, &target(args)).with_context(|| format!("--admin {address}"))?,
        (None, Some(input)) => offline(input, &args.source, &question)?,
        (None, None) => bail!("give a directory or --admin ADDRESS"),
    };
    cli::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn offline(input: &Path, source: &Source, question: &Question) -> anyhow::Result<String> {
    let (settings, _) = source.settings()?;
    let loaded = check::load(input, &options::options(&settings)?)?;
    for problem in &loaded.problems {
        cli::complain(&format!("warning: {problem}"));
    }
    let parts = Parts {
        metrics: Arc::new(Metrics::new()),
        upstream: upstream::Shared::new(),
    };
    let publication = Publication {
        generation: 1,
        snapshot: loaded.translation.snapshot,
        changed: Changed::Everything,
        event: Instant::now(),
    };
    let runtime = runtime::compile(None, &publication, &parts);
    Ok(explain(&runtime, question).map_or_else(
        || format!("{NOT_SERVED}\n"),
        |explanation| explanation.to_string(),
    ))
}

/// The admin port's page for this question.
fn target(args: &Args) -> String {
    let mut target = format!(
        "/explain?url={}&method={}",
        encode(&args.url),
        encode(&args.method)
    );
    for header in &args.header {
        target.push_str("&header=");
        target.push_str(&encode(header));
    }
    target
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// One GET of a page.
fn ask(address: &str, target: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).context("no connection")?;
    stream.set_read_timeout(Some(ADMIN_TIME))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("{}", body.trim_end());
    }
    Ok(body.to_owned())
}
