//! Ports that nobody else takes, here or in another test process, for as long as their owner lives: a process that is
//! stopped and started again finds its port free.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Error, Result};

/// Where ports are taken from: below the range that Linux hands out for outgoing connections (32768 and up), so that
/// none of those ever holds one.
pub const RANGE: Range<u16> = 20_000..32_000;

const COUNT: u16 = RANGE.end - RANGE.start;

/// How far into the range the next search begins; each process begins elsewhere, so that they rarely meet.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A reserved TCP port on loopback; given back on drop.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// An abstract socket is the lock: one holder in all processes, and the kernel lets go of it when the holder
    /// dies. It is seen in the same network namespace as the port, and leaves no file behind.
    _lock: UnixListener,
}

impl Port {
    /// Takes a port that no other holder has and on which nothing listens.
    pub fn reserve() -> Result<Self> {
        let offset =
            u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap_or_default();
        for _ in RANGE {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = RANGE.start + (offset + step) % COUNT;
            if let Some(port) = Self::take(number) {
                return Ok(port);
            }
        }
        Err(Error::NoFreePort)
    }

    fn take(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("local-cluster-port-{number}")).ok()?;
        let lock = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.number)
    }
}
