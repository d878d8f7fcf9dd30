//! The socket of a UDP port. On a wildcard address it knows to which address of the
//! machine each datagram came, and answers from there: a client takes answers from
//! the address that it asked only, and the kernel would choose by the route back.
//! nginx does the same for wildcard addresses (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, recvmsg,
    sendmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The largest datagram that there is.
const LARGEST: usize = 65_535;

/// One UDP port that is served.
pub(in crate::listener) struct Port {
    socket: UdpSocket,
    /// Of the socket, not of a datagram: an IPv6 socket speaks IPv4 in its own terms.
    ipv6: bool,
}

/// Where a datagram came from, and to which address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) client: SocketAddr,
    /// `None` where the port is bound to one address.
    pub(super) to: Option<Local>,
}

/// An address of this machine, as its socket writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Local {
    pub(super) address: IpAddr,
    /// The interface, for link-local addresses alone: elsewhere the route decides.
    interface: u32,
}

/// Memory for what is received.
pub(super) struct Inbox {
    data: Vec<u8>,
    control: Vec<u8>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            data: vec![0; LARGEST],
            control: nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo),
        }
    }

    /// The first `length` bytes of what came last.
    pub(super) fn datagram(&self, length: usize) -> &[u8] {
        &self.data[..length]
    }
}

impl Port {
    /// Takes over a bound, non-blocking socket, within a runtime.
    pub(in crate::listener) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        if local.ip().is_unspecified() {
            if local.is_ipv6() {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            } else {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            }
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            ipv6: local.is_ipv6(),
        })
    }

    /// Waits for a datagram; says how long it is, and which way it came.
    pub(super) async fn receive(&self, inbox: &mut Inbox) -> io::Result<(usize, Path)> {
        let Inbox { data, control } = inbox;
        let take = || {
            let mut parts = [IoSliceMut::new(data)];
            let descriptor = self.socket.as_raw_fd();
            let message =
                recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(control), MsgFlags::empty())?;
            let client = message.address.as_ref().and_then(socket_address);
            let client = client.ok_or_else(|| io::Error::other("a datagram without an IP address"))?;
            // Cut off control data is impossible: the kernel has only what was asked for.
            let to = message.cmsgs()?.find_map(local);
            Ok((message.bytes, Path { client, to }))
        };
        self.socket.async_io(Interest::READABLE, take).await
    }

    /// Sends an answer back the way that the question came.
    pub(super) async fn answer(&self, datagram: &[u8], path: Path) -> io::Result<()> {
        let Some(from) = path.to else {
            return self.socket.send_to(datagram, path.client).await.map(drop);
        };
        let give = || {
            let parts = [IoSlice::new(datagram)];
            let client = SockaddrStorage::from(path.client);
            let send = |control| {
                let descriptor = self.socket.as_raw_fd();
                sendmsg(descriptor, &parts, &[control], MsgFlags::empty(), Some(&client))
            };
            let sent = match from.address {
                IpAddr::V4(address) if !self.ipv6 => {
                    send(ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                        ipi_ifindex: 0,
                        ipi_spec_dst: libc::in_addr {
                            s_addr: u32::from(address).to_be(),
                        },
                        ipi_addr: libc::in_addr { s_addr: 0 },
                    }))
                }
                address => send(ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: ipv6(address).octets(),
                    },
                    ipi6_ifindex: from.interface,
                })),
            };
            Ok(sent?)
        };
        self.socket.async_io(Interest::WRITABLE, give).await.map(drop)
    }
}

fn ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        AddressFamily::Inet => address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into())),
        AddressFamily::Inet6 => address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())),
        _ => None,
    }
}

fn local(message: ControlMessageOwned) -> Option<Local> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local {
            address: IpAddr::V4(u32::from_be(info.ipi_spec_dst.s_addr).into()),
            interface: 0,
        }),
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let interface = if address.is_unicast_link_local() {
                info.ipi6_ifindex
            } else {
                0
            };
            Some(Local {
                address: IpAddr::V6(address),
                interface,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::listener::socket::bind_datagrams;

    /// Asks `to` and demands the answer from there: a connected socket takes none
    /// from elsewhere.
    async fn ask(port: &Port, to: IpAddr, number: u16) {
        let from: IpAddr = match to {
            IpAddr::V4(_) => [127, 0, 0, 1].into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let client = UdpSocket::bind((from, 0)).await.unwrap();
        client.connect((to, number)).await.unwrap();
        client.send(b"where?").await.unwrap();
        let mut inbox = Inbox::new();
        let (length, path) = port.receive(&mut inbox).await.unwrap();
        assert_eq!(inbox.datagram(length), b"where?");
        assert_eq!(path.to.map(|local| local.address.to_canonical()), Some(to));
        port.answer(b"here", path).await.unwrap();
        let mut answer = [0; 16];
        let received = tokio::time::timeout(Duration::from_secs(10), client.recv(&mut answer)).await;
        let length = received
            .expect("an answer from the address that was asked")
            .unwrap();
        assert_eq!(&answer[..length], b"here");
    }

    #[tokio::test]
    async fn answers_come_from_the_address_that_was_asked() {
        let second: IpAddr = [127, 0, 0, 2].into();
        for wildcard in ["0.0.0.0:0", "[::]:0"] {
            let socket = bind_datagrams(wildcard.parse().unwrap()).unwrap();
            let local = socket.local_addr().unwrap();
            let port = Port::new(socket).unwrap();
            ask(&port, second, local.port()).await;
            if local.is_ipv6() {
                ask(&port, Ipv6Addr::LOCALHOST.into(), local.port()).await;
            }
        }
    }

    #[tokio::test]
    async fn one_address_needs_no_choice() {
        let socket = bind_datagrams("127.0.0.1:0".parse().unwrap()).unwrap();
        let number = socket.local_addr().unwrap().port();
        let port = Port::new(socket).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(b"a", ("127.0.0.1", number)).await.unwrap();
        let mut inbox = Inbox::new();
        let (length, path) = port.receive(&mut inbox).await.unwrap();
        assert_eq!((inbox.datagram(length), path.to), (&b"a"[..], None));
        assert_eq!(path.client, client.local_addr().unwrap());
        port.answer(b"b", path).await.unwrap();
        let mut answer = [0; 4];
        assert_eq!(client.recv_from(&mut answer).await.unwrap().0, 1);
    }
}
