//! Reserves ports across all test processes for as long as their owner lives: a process that is stopped and restarted finds
//! its port free.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Error, Result};

/// The range of reserved ports: below the ephemeral range of Linux (32768 and up), so that no outgoing connection uses one.
pub const RANGE: Range<u16> = 20_000..32_000;

const COUNT: u16 = RANGE.end - RANGE.start;

/// The offset at which the next search begins; each process begins elsewhere, so that searches rarely collide.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A reserved TCP port on loopback; released on drop.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// The lock is an abstract socket: it has one holder among all processes, and the kernel releases it when the holder ends.
    /// It belongs to the same network namespace as the port, and leaves no file behind.
    _lock: UnixListener,
}

impl Port {
    /// Reserves a port that has no other holder and on which nothing listens.
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

    /// Returns the port as an integer.
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
