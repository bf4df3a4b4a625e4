//! Serves HTTP to clients that can't be trusted: the accept loop that the admin routes and the probes share.
//!
//! [`Listener`] binds an address. [`serve`] accepts its connections within [`ConnectionLimits`]; [`slots`] decides which
//! connection has to go when there are too many. [`ByteBudget`] limits what all bodies or all answers hold in memory.

mod address;
mod budget;
mod connection;
pub mod limits;
mod peer;
mod server;
mod slots;
mod timed_io;

pub use address::{InvalidAddress, ListenAddress, Listener};
pub use budget::{ByteBudget, Reservation};
pub use limits::ConnectionLimits;
pub use peer::Peer;
pub use server::serve;
