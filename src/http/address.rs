//! The address of a server: one address, or every address of the host.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::limits::{ACCEPT_BACKLOG, SEND_BUFFER_BYTES};

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Exactly this address.
    One(SocketAddr),
    /// This port on every IPv4 and IPv6 address; only IPv4 where the host has no IPv6.
    Every(u16),
}

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address and a port as in 127.0.0.1:8080 or [::1]:8080, or :8080 for every address")]
pub struct InvalidAddress;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl ListenAddress {
    /// Returns true if only processes on the same host can connect.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        match self {
            Self::One(address) => address.ip().to_canonical().is_loopback(),
            Self::Every(_) => false,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(port) = text.strip_prefix(':') {
            return port.parse().map(Self::Every).map_err(|_| InvalidAddress);
        }
        text.parse().map(Self::One).map_err(|_| InvalidAddress)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => address.fmt(f),
            Self::Every(port) => write!(f, ":{port}"),
        }
    }
}

impl Listener {
    /// Binds the address. Must be called in a runtime.
    pub fn bind(address: ListenAddress) -> io::Result<Self> {
        let socket = match address {
            ListenAddress::One(address) => listen(address)?,
            ListenAddress::Every(port) => listen_everywhere(port, listen)?,
        };
        TcpListener::from_std(socket.into()).map(Self)
    }

    /// The address that was bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        // An IPv4 client is shown as one on an IPv6 socket, too.
        Ok((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())))
    }
}

fn listen_everywhere<T>(port: u16, listen: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if is_without_ipv6(&error) => listen((Ipv4Addr::UNSPECIFIED, port).into()),
        outcome => outcome,
    }
}

/// Returns true for the errors of a host whose kernel has no IPv6, or has it disabled.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EPFNOSUPPORT | libc::EPROTONOSUPPORT | libc::EADDRNOTAVAIL)
    )
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // A setting of the host may say otherwise. An explicit IPv6 address stands for itself.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_or_every_address() {
        let every: ListenAddress = ":8081".parse().unwrap();
        assert_eq!((every, every.to_string().as_str()), (ListenAddress::Every(8081), ":8081"));
        for one in ["127.0.0.1:80", "[::1]:80", "0.0.0.0:0", "[::]:8081"] {
            let address: ListenAddress = one.parse().unwrap();
            assert!(matches!(address, ListenAddress::One(_)) && address.to_string() == one);
        }
        for wrong in ["", ":", "8080", ":x", ":70000", "localhost:80", "::1:80", "*:80", "127.0.0.1", ":-1"] {
            assert_eq!(wrong.parse::<ListenAddress>(), Err(InvalidAddress), "{wrong}");
        }
    }

    #[test]
    fn only_a_loopback_address_is_one() {
        let is_loopback = |text: &str| text.parse::<ListenAddress>().unwrap().is_loopback();
        assert!(
            ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"].into_iter().all(is_loopback)
        );
        assert!(![":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1"].into_iter().any(is_loopback));
    }

    #[test]
    fn a_host_without_ipv6_listens_on_ipv4() {
        for number in [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL] {
            let error = io::Error::from_raw_os_error(number);
            let error = std::cell::Cell::new(Some(error));
            let bound = listen_everywhere(80, |address| error.take().map_or(Ok(address), Err)).unwrap();
            assert_eq!(bound.to_string(), "0.0.0.0:80");
        }
        let taken = listen_everywhere(80, |_| Err::<(), _>(io::ErrorKind::AddrInUse.into()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(listen_everywhere(80, Ok).unwrap().to_string(), "[::]:80");
    }
}
