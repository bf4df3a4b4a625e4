//! The observer of the store's connections: the store itself counts nothing.

use std::time::Duration;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests: reads and writes.
    Commands,
    /// Notifications of what other clients write.
    Tracking,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 2] = [Self::Commands, Self::Tracking];

    /// The purpose as a label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Tracking => "tracking",
        }
    }
}

/// Receives what the store's connections do. Called often: must be quick.
pub trait Observer: Send + Sync {
    /// Redis replied within this time: to one command, a script, or a pipeline of them.
    fn on_reply(&self, took: Duration);
    /// A connection was opened.
    fn on_connected(&self, purpose: Purpose);
    /// A connection could not be opened.
    fn on_connect_failed(&self, purpose: Purpose);
    /// Redis denies these optional commands from now on; none of them if it is empty.
    fn on_denied(&self, commands: &[&'static str]);
    /// Own keys that held another type were replaced.
    fn on_replaced(&self, keys: &[String]);
}
