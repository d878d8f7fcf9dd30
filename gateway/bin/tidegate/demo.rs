//! `tidegate demo`: the same program as `run`, on loopback, with a directory of
//! objects to play with and a backend of its own.

mod backend;
mod directory;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidegate_gateway::settings::Settings;

use crate::{cli, logging, ports, process};

/// Where the backend listens, as `conf/demo/service.yaml` says.
const BACKEND_PORT: u16 = 8081;

/// What `demo` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A directory of objects. Default: ./conf/demo, or else a copy in a
    /// temporary directory.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The plain port.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http_port: u16,
    /// The TLS port.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    https_port: u16,
    /// The admin port.
    #[arg(long, value_name = "PORT", default_value_t = 10254)]
    admin_port: u16,
    /// The port of the demo's backend. The EndpointSlice must name it, too.
    #[arg(long, value_name = "PORT", default_value_t = BACKEND_PORT)]
    backend_port: u16,
}

/// Returns when the process has been told to end.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let backend = ports::bind((loopback, args.backend_port).into(), "--backend-port")?;
    let directory = directory::find(args.directory.as_deref(), args.backend_port)?;
    let mut settings = Settings::default();
    settings.listen.address = Some(loopback);
    settings.listen.http_port = Some(args.http_port);
    settings.listen.https_port = Some(args.https_port);
    settings.listen.public_http_port = args.http_port;
    settings.listen.public_https_port = args.https_port;
    settings.admin.address = Some(loopback);
    settings.admin.port = args.admin_port;
    settings.provider.directory = Some(directory.path.clone());
    logging::init(&settings.log)?;
    backend::start(backend)?;
    process::serve(&settings, || cli::print(&invitation(args, &directory.path)))
}

/// What to try.
fn invitation(args: &Args, directory: &Path) -> String {
    let Args {
        http_port,
        https_port,
        admin_port,
        ..
    } = args;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nTidegate is serving the objects in {directory}\n\n\
         Try:\n  \
         curl 127.0.0.1:{http_port} -H 'host: hello.nginx.com'\n  \
         curl -k https://127.0.0.1:{https_port} -H 'host: hello.nginx.com'\n\n\
         Edit or add a file in {directory}: it takes effect at once.\n\n\
         Admin port: http://127.0.0.1:{admin_port} (/readyz /metrics /snapshot /clusters /problems)\n  \
         curl 'http://127.0.0.1:{admin_port}/explain?url=http://hello.nginx.com/'\n\n\
         End it with Ctrl-C. Requests:\n",
        directory = directory.display()
    );
    text
}
