//! Requests through the whole program.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpStream;

use super::{callgrind, common, ports};

const CONNECTIONS: usize = 8;

/// Header work.
const FIELDS: &str = "x-field-01: a value as long as many are\r\n\
     x-field-02: a value as long as many are\r\n\
     x-field-03: a value as long as many are\r\n\
     x-field-04: a value as long as many are\r\n\
     x-field-05: a value as long as many are\r\n\
     x-field-06: a value as long as many are\r\n\
     x-field-07: a value as long as many are\r\n\
     x-field-08: a value as long as many are\r\n\
     x-field-09: a value as long as many are\r\n\
     x-field-10: a value as long as many are\r\n\
     x-field-11: a value as long as many are\r\n\
     x-field-12: a value as long as many are\r\n\
     x-field-13: a value as long as many are\r\n\
     x-field-14: a value as long as many are\r\n\
     x-field-15: a value as long as many are\r\n\
     x-field-16: a value as long as many are\r\n\
     x-field-17: a value as long as many are\r\n\
     x-field-18: a value as long as many are\r\n\
     x-field-19: a value as long as many are\r\n\
     x-field-20: a value as long as many are\r\n";

/// A request through the whole program.
pub struct Request {
    pub name: &'static str,
    pub about: &'static str,
    annotation: &'static str,
    /// An Ingress with many policies beside the one that is asked.
    neighbour: bool,
    http2: bool,
    access_log: &'static str,
    /// The client sends [`FIELDS`] too, or the backend.
    asked_with: &'static str,
    answered_with: &'static str,
}

pub const PLAIN: Request = Request {
    name: "request",
    about: "GET over HTTP/1.1 keep-alive, 1 KiB, the direct path",
    annotation: "",
    neighbour: false,
    http2: false,
    access_log: "off",
    asked_with: "",
    answered_with: "",
};

pub const BESIDE: &str = "request-beside";
const SESSION: &str = "nginx.ingress.kubernetes.io/proxy-request-buffering: \"off\"";
pub const REQUESTS: &[Request] = &[
    PLAIN,
    Request {
        name: BESIDE,
        about: "the first beside a route with many policies, which it does not pay for",
        neighbour: true,
        ..PLAIN
    },
    Request {
        name: "request-fields",
        about: "the first with twenty more fields of the client: read, judged, passed on",
        asked_with: FIELDS,
        ..PLAIN
    },
    Request {
        name: "answer-fields",
        about: "the first with twenty more fields of the backend",
        answered_with: FIELDS,
        ..PLAIN
    },
    Request {
        name: "request-session",
        about: "the same through Pingora's session, as a policy wants it",
        annotation: SESSION,
        ..PLAIN
    },
    Request {
        name: "request-log",
        about: "the first with a line in the access log",
        access_log: "nginx",
        ..PLAIN
    },
    Request {
        name: "request-h2",
        about: "GET over HTTP/2, one stream at a time, 1 KiB, the direct path",
        http2: true,
        ..PLAIN
    },
    Request {
        name: "request-h2-session",
        about: "the same through Pingora's proxy, as a policy wants it",
        annotation: SESSION,
        http2: true,
        ..PLAIN
    },
];
const SENT: u64 = 2_000;
/// How often requests are counted: how many of them one wake-up finds, and how many
/// wait within the same 10 ms, is the scheduler's, which only adds. The least count.
const ROUNDS: usize = 3;
/// So often where that is too much: a busy machine's counts come down, others do not.
const MOST_ROUNDS: usize = 9;

/// What was counted.
pub struct Counts {
    /// Of each request.
    pub instructions: u64,
    /// Of a thousand.
    pub allocations: u64,
}

impl Request {
    /// Counts of the program; load and backend are here. Counts again what is not
    /// `allowed`.
    pub async fn counted(&self, allowed: impl Fn(&Counts) -> bool) -> Result<Counts> {
        let annotation = self.annotation;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let upstream = listener.local_addr()?.port();
        let body = vec![b'x'; 1024].into();
        tokio::spawn(common::backend_with(listener, body, self.answered_with));
        let folder = tempfile::tempdir()?;
        let mut manifest = include_str!("../common/one-route.yaml")
            .replace("PORT", &upstream.to_string())
            .replace(
                "metadata: {name: bench}\nspec:\n  ingressClassName",
                &format!(
                    "metadata: {{name: bench, annotations: {{{annotation}}}}}\nspec:\n  ingressClassName"
                ),
            );
        ensure!(
            annotation.is_empty() || manifest.contains(annotation),
            "the annotation has no place"
        );
        if self.neighbour {
            manifest += include_str!("../common/many-policies.yaml");
        }
        std::fs::write(folder.path().join("route.yaml"), manifest)?;
        let mut least = [[u64::MAX; 2]; 2];
        let mut rounds = 0;
        loop {
            for (times, least) in (1..).zip(&mut least) {
                let counts = self.served(folder.path(), SENT * times).await?;
                *least = [least[0].min(counts[0]), least[1].min(counts[1])];
            }
            rounds += 1;
            let [once, twice] = least;
            let counts = Counts {
                instructions: (twice[0] - once[0]) / SENT,
                allocations: twice[1].saturating_sub(once[1]) * 1000 / SENT,
            };
            if rounds >= MOST_ROUNDS || (rounds >= ROUNDS && allowed(&counts)) {
                return Ok(counts);
            }
        }
    }

    /// Instructions and allocations of the whole program.
    async fn served(&self, folder: &Path, requests: u64) -> Result<[u64; 2]> {
        let ports = [(); 3].map(|()| ports::free_port());
        let calls = folder.with_extension("calls");
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        let mut command = callgrind::around(program, None, Some(&calls));
        command
            .args(["run", "--controller-class=k8s.io/ingress-nginx", "--threads=1"])
            .arg(format!("--access-log={}", self.access_log))
            .args(["--shutdown-grace-period=0"])
            .arg(format!("--provider-directory={}", folder.display()))
            .arg(format!("--http-port={}", ports[0]))
            .arg(format!("--https-port={}", ports[1]))
            .arg(format!("--healthz-port={}", ports[2]));
        let mut child = command.spawn().context("starting valgrind (package valgrind)")?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        let sent = async {
            common::ready(address, "bench.test", Duration::from_secs(60)).await?;
            if self.http2 {
                load_http2(address, requests).await
            } else {
                let fields = self.asked_with;
                common::load_with(address, "bench.test", fields, CONNECTIONS, requests).await?;
                Ok(())
            }
        };
        if let Err(error) = sent.await {
            child.kill()?;
            let output = child.wait_with_output()?;
            return Err(error.context(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        // SIGTERM: the program ends by itself, and valgrind reports.
        Command::new("kill").arg(child.id().to_string()).status()?;
        let instructions = tokio::task::spawn_blocking(|| callgrind::count(child)).await??;
        let text = std::fs::read_to_string(&calls).context("valgrind's file of calls")?;
        std::fs::remove_file(&calls)?;
        Ok([instructions, callgrind::allocations(&text)?])
    }
}

/// The same as `common::load`, over HTTP/2.
async fn load_http2(address: SocketAddr, requests: u64) -> Result<()> {
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut client, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        tasks.push(tokio::spawn(async move {
            for _ in 0..requests / CONNECTIONS as u64 {
                client = client.ready().await?;
                let request = http::Request::get("http://bench.test/").body(())?;
                let answer = client.send_request(request, true)?.0.await?;
                ensure!(answer.status() == 200, "status {}", answer.status());
                let mut body = answer.into_body();
                while let Some(data) = body.data().await {
                    body.flow_control().release_capacity(data?.len())?;
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
