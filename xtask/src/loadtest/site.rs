//! What a scenario needs: a folder with files, the backend, and the proxies,
//! each with its ports. All end with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{self, Latency, Load, Sample, Target};
use super::peer::{self, Peer};
use super::scenario::{Case, Scenario};
use super::{Programs, template};
use crate::process;

/// The core of the proxies, and that of load generator and backend.
const PROXY_CORE: &str = "0";
const OTHER_CORE: &str = "1";
/// The longest wait for a proxy with many hosts to answer.
const START: Duration = Duration::from_secs(60);

/// Files and backend of a scenario.
pub(super) struct Site<'a> {
    scenario: &'a Scenario,
    programs: &'a Programs,
    folder: PathBuf,
    values: Vec<(&'static str, String)>,
    _backends: Vec<Running>,
}

/// A process, ended when dropped.
struct Running(Child);

impl Running {
    /// Waits until something listens on the port.
    fn listens(&mut self, port: &str) -> Result<()> {
        let address = format!("127.0.0.1:{port}");
        let start = Instant::now();
        while start.elapsed() < START {
            if TcpStream::connect(&address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("it ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("nothing listens on {address} after {} s", START.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's worker ends with its master on TERM only; what fails now has ended.
        let mut kill = Command::new("kill");
        let _ = kill.arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// A proxy that answers.
pub(super) struct Started {
    process: Running,
    case: Case,
    http: u16,
    https: u16,
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl<'a> Site<'a> {
    /// Writes the files and starts the backend.
    pub(super) fn start(scenario: &'a Scenario, programs: &'a Programs) -> Result<Self> {
        for (program, package) in [
            ("taskset", "util-linux"),
            ("openssl", "openssl"),
            ("nginx", "nginx-light"),
        ] {
            if !process::on_path(program) && !Path::new("/usr/sbin").join(program).is_file() {
                bail!("{program} is not installed; on Debian or Ubuntu: apt-get install {package}");
            }
        }
        let folder = std::env::temp_dir().join(format!("tidegate-loadtest-{}", std::process::id()));
        fs::create_dir_all(folder.join("files"))?;
        fs::write(folder.join("files/100k"), vec![b'x'; 100 * 1024])?;
        fs::write(folder.join("files/10m"), vec![b'x'; 10 * 1024 * 1024])?;
        certificate(&folder)?;
        let (port, grpc) = (free_port()?.to_string(), free_port()?.to_string());
        let values = vec![
            ("FOLDER", folder.display().to_string()),
            ("MODULES", peer::MODULES.to_owned()),
            ("KIB", "x".repeat(1024)),
            ("BACKEND", port.clone()),
            ("BACKEND_H2", grpc.clone()),
            ("SINK", free_port()?.to_string()),
        ];
        let backend = match scenario.is_echoed() {
            true => echo(programs, &folder, "echo", &port),
            false => pages(&folder, &values, &port),
        };
        let mut backends = vec![backend.context("the backend does not serve")?];
        if scenario.is_grpc() {
            let backend = echo(programs, &folder, "grpc-echo", &grpc);
            backends.push(backend.context("the backend for gRPC does not serve")?);
        }
        Ok(Self {
            scenario,
            programs,
            folder,
            values,
            _backends: backends,
        })
    }

    /// Starts a proxy, in a folder of this name.
    pub(super) fn peer(&self, peer: &Peer, case: Case, name: &str) -> Result<Started> {
        let (http, https) = (free_port()?, free_port()?);
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        let is_ours = peer.name == "tidegate";
        let file = self.folder.join(format!("{name}.access.log"));
        let access_log = match (case.access_log, peer.name) {
            (false, _) => "off".to_owned(),
            // On standard output, which goes into a file.
            (true, "tidegate") => "nginx".to_owned(),
            (true, "nginx" | "nginx-lua") => format!("{} upstreaminfo", file.display()),
            (true, _) => file.display().to_string(),
        };
        let flag = |is_on: bool| if is_on { "on" } else { "" }.to_owned();
        let own = [
            ("CONF", folder.display().to_string()),
            ("HTTP", http.to_string()),
            ("HTTPS", https.to_string()),
            ("ADMIN", free_port()?.to_string()),
            ("ACCESS_LOG", access_log),
            ("LOG", flag(case.access_log)),
            ("POLICIES", flag(case.policies)),
        ];
        let values: Vec<_> = self.values.iter().cloned().chain(own).collect();
        for file in peer.files {
            let text = template::fill(&read(file)?, &values, case.hosts);
            fs::write(
                folder.join(file),
                text.with_context(|| format!("loadtest/peers/{file}"))?,
            )?;
        }
        let program = if is_ours {
            Some(self.programs.tidegate.clone())
        } else {
            peer.program()
        };
        let program = program.with_context(|| format!("{} is not installed", peer.name))?;
        let mut command = pinned(PROXY_CORE, &program);
        for argument in peer.arguments {
            command.arg(template::fill(argument, &values, 0)?.trim_end());
        }
        let out = self.folder.join(format!("{name}.out"));
        let mut process = spawn(&mut command, &out)?;
        let ready = process
            .listens(&http.to_string())
            .and_then(|()| load::ready(http, START));
        ready.with_context(|| {
            let said = fs::read_to_string(&out).unwrap_or_default();
            format!(
                "{} does not serve; it said: {}",
                peer.name,
                said.chars().take(2000).collect::<String>()
            )
        })?;
        Ok(Started {
            process,
            case,
            http,
            https,
        })
    }

    /// Load on a proxy, as much as it takes.
    pub(super) fn load(&self, started: &Started, seconds: u32) -> Result<Sample> {
        let before = started.cpu_seconds()?;
        let Load {
            requests,
            seconds,
            resumed,
            ..
        } = load::saturate(&self.target(started), seconds, None)?;
        let cpu = started.cpu_seconds()? - before;
        Ok(Sample {
            rate: requests / seconds,
            cpu_micros: cpu * 1e6 / requests,
            busy: cpu / seconds,
            resumed,
        })
    }

    /// Latency at a fixed rate.
    pub(super) fn latency(&self, started: &Started, rate: u32, seconds: u32) -> Result<Latency> {
        load::fixed_rate(&self.target(started), rate, seconds)
    }

    fn target(&self, started: &Started) -> Target<'_> {
        Target {
            core: OTHER_CORE,
            scenario: self.scenario,
            case: started.case,
            generator: &self.programs.generator,
            http: started.http,
            https: started.https,
        }
    }
}

impl Started {
    /// CPU time of the process and its children so far.
    fn cpu_seconds(&self) -> Result<f64> {
        let mut ticks = 0_u64;
        for pid in self.processes()? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The name in brackets may hold anything.
            let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
            let fields: Vec<&str> = fields.split(' ').collect();
            for at in [11, 12] {
                ticks += fields
                    .get(at)
                    .and_then(|ticks| ticks.parse::<u64>().ok())
                    .unwrap_or(0);
            }
        }
        // Linux counts in hundredths wherever it runs.
        Ok(ticks as f64 / 100.0)
    }

    /// Resident memory of the process and its children.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let mut kib = 0;
        for pid in self.processes()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
            kib += number.unwrap_or(0);
        }
        Ok(kib as f64 / 1024.0)
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let main = self.process.0.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))
            .context("the proxy has ended")?;
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        Ok(std::iter::once(main).chain(children).collect())
    }
}

/// A backend of `loadtest/generator`.
fn echo(programs: &Programs, folder: &Path, kind: &str, port: &str) -> Result<Running> {
    let mut command = pinned(OTHER_CORE, &programs.generator);
    command.arg(kind).env("LISTEN", format!("127.0.0.1:{port}"));
    let mut backend = spawn(&mut command, &folder.join(format!("{kind}.out")))?;
    backend.listens(port)?;
    Ok(backend)
}

/// The backend for all other requests.
fn pages(folder: &Path, values: &[(&'static str, String)], port: &str) -> Result<Running> {
    let configuration = folder.join("backend.conf");
    fs::write(&configuration, template::fill(&read("backend.conf")?, values, 0)?)?;
    let mut command = pinned(OTHER_CORE, &nginx());
    command
        .arg("-e")
        .arg(folder.join("backend.log"))
        .arg("-c")
        .arg(&configuration);
    let mut backend = spawn(&mut command, &folder.join("backend.out"))?;
    backend.listens(port)?;
    Ok(backend)
}

fn nginx() -> PathBuf {
    if process::on_path("nginx") {
        "nginx".into()
    } else {
        "/usr/sbin/nginx".into()
    }
}

fn read(file: &str) -> Result<String> {
    let path = process::root()?.join("loadtest/peers").join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

fn spawn(command: &mut Command, out: &Path) -> Result<Running> {
    let file = fs::File::create(out)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot run `{}`", process::shown(command)))?;
    Ok(Running(child))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn certificate(folder: &Path) -> Result<()> {
    let (key, chain) = (folder.join("tls.key"), folder.join("tls.crt"));
    let mut command = Command::new("openssl");
    command
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args([
            "-days",
            "30",
            "-subj",
            "/CN=loadtest",
            "-addext",
            "subjectAltName=DNS:*.example",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .stderr(Stdio::null());
    process::run(&mut command)?;
    let both = [fs::read(chain)?, fs::read(key)?].concat();
    fs::write(folder.join("tls.pem"), both)?;
    Ok(())
}
