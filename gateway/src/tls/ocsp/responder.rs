//! Asking responders over HTTP (RFC 6960 appendix A.1).
//!
//! Their addresses come from certificates, and so from whoever may write a
//! Secret: the address that is connected to must be a public one, or one that
//! the operator allows. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{StatusCode, Uri};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::protocols::l4::stream::Stream;
use pingora_http::RequestHeader;
use tidegate_snapshot::{Networks, Ocsp};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::question::Question;
use crate::upstream::dns::{Resolve, ResolveError, SystemResolver};

/// How long an answer may take, from the question to DNS to its last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Less than [`TIMEOUT`]: addresses that nobody answers at must not keep the
/// others waiting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest answer, in bytes: real ones have about 2,000.
const LONGEST: usize = 64 * 1024;

/// Networks that are no part of the public Internet (IANA's registries of
/// special-purpose addresses), lead out of it (6to4 and Teredo carry an IPv4
/// address of anybody's choice), or are a cloud's own (Azure's platform services).
static RESERVED: LazyLock<Networks> = LazyLock::new(|| {
    networks(
        "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, \
         168.63.129.16/32, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, \
         224.0.0.0/3, 2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20",
    )
});
/// Unicast addresses that are handed out (RFC 4291 §2.4).
static GLOBAL_V6: LazyLock<Networks> = LazyLock::new(|| networks("2000::/3"));
/// NAT64 (RFC 6052): an IPv4 address behind it.
static NAT64: LazyLock<Networks> = LazyLock::new(|| networks("64:ff9b::/96"));

fn networks(list: &str) -> Networks {
    Networks::parse(list).expect("the lists above are networks")
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no answer within {} seconds", TIMEOUT.as_secs())]
    Late,
    #[error("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Unreachable,
    #[error(transparent)]
    Name(#[from] ResolveError),
    #[error(
        "{0} is not a public address: the ConfigMap key ocsp-responder-cidr has to name its network for the responder to be asked"
    )]
    Forbidden(IpAddr),
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] Box<pingora_core::Error>),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("more than {LONGEST} bytes")]
    Long,
}

/// Asks them.
pub(super) struct Responders {
    resolver: Arc<dyn Resolve>,
}

impl Default for Responders {
    /// With names from the servers of the system's resolv.conf.
    fn default() -> Self {
        let resolver = Arc::new(SystemResolver::default());
        Self { resolver }
    }
}

impl Responders {
    /// What the responder says, which is not judged.
    ///
    /// # Errors
    /// It says nothing, or may not be asked.
    pub(super) async fn ask(&self, question: &Question, ocsp: &Ocsp) -> Result<Vec<u8>, AskError> {
        let answer = async {
            let address = self.address(&question.responder, ocsp).await?;
            exchange(address, question).await
        };
        timeout(TIMEOUT, answer).await.map_err(|_| AskError::Late)?
    }

    /// An address of its host that may be connected to.
    async fn address(&self, responder: &Uri, ocsp: &Ocsp) -> Result<SocketAddr, AskError> {
        let host = responder.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let addresses = match bare.unwrap_or(host).parse::<IpAddr>() {
            Ok(address) => vec![address],
            // As a whole name: a search domain could make another one of it.
            Err(_) => {
                let whole = format!("{}.", host.trim_end_matches('.'));
                self.resolver.resolve(&whole).await?.addresses
            }
        };
        let allowed = |address: &&IpAddr| may_be_asked(**address, ocsp);
        match (addresses.iter().find(allowed), addresses.first()) {
            (Some(address), _) => {
                let port = responder.port_u16().unwrap_or(80);
                Ok(SocketAddr::new(address.to_canonical(), port))
            }
            (None, Some(address)) => Err(AskError::Forbidden(*address)),
            (None, None) => Err(ResolveError(format!("{host} has no address")).into()),
        }
    }
}

/// Whether a responder may be at this address.
pub(super) fn may_be_asked(address: IpAddr, ocsp: &Ocsp) -> bool {
    let address = address.to_canonical();
    let is_public = match address {
        IpAddr::V4(_) => !RESERVED.contains(address),
        IpAddr::V6(behind) if NAT64.contains(address) => {
            let [.., a, b, c, d] = behind.octets();
            !RESERVED.contains(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(_) => GLOBAL_V6.contains(address) && !RESERVED.contains(address),
    };
    is_public || ocsp.responders.contains(address)
}

async fn exchange(address: SocketAddr, question: &Question) -> Result<Vec<u8>, AskError> {
    let connecting = TcpStream::connect(address);
    let stream = timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| AskError::Unreachable)??;
    let mut session = HttpSession::new(Box::new(Stream::from(stream)));
    session.write_request_header(Box::new(head(question)?)).await?;
    session.write_body(&question.request).await?;
    session.finish_body().await?;
    let status = loop {
        session.read_response().await?;
        match session.get_status() {
            Some(status) if status.is_informational() => {}
            status => break status.unwrap_or_default(),
        }
    };
    if status != StatusCode::OK {
        return Err(AskError::Status(status));
    }
    let mut answer = Vec::new();
    while let Some(bytes) = session.read_body_bytes().await? {
        if answer.len() + bytes.len() > LONGEST {
            return Err(AskError::Long);
        }
        answer.extend_from_slice(&bytes);
    }
    Ok(answer)
}

fn head(question: &Question) -> Result<RequestHeader, Box<pingora_core::Error>> {
    let responder = &question.responder;
    let target = responder.path_and_query().map_or("/", |target| target.as_str());
    let authority = responder.authority().map_or("", |authority| authority.as_str());
    let mut head = RequestHeader::build("POST", target.as_bytes(), Some(5))?;
    head.insert_header("Host", authority)?;
    head.insert_header("Content-Type", "application/ocsp-request")?;
    head.insert_header("Accept", "application/ocsp-response")?;
    head.insert_header("Content-Length", question.request.len())?;
    head.insert_header("Connection", "close")?;
    Ok(head)
}
