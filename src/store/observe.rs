//! Who wants to know how Redis is reached: the store itself counts nothing.

use std::time::Duration;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Reads and writes.
    Commands,
    /// Being told of what others write.
    Tracking,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Commands, Self::Tracking];

    /// As a label has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Tracking => "tracking",
        }
    }
}

/// Is told how Redis is reached. Called often: must be quick.
pub trait Observer: Send + Sync {
    /// Redis answered within this time: one command, a script, or a pipeline of them.
    fn answered(&self, took: Duration);
    /// A connection was opened, or could not be.
    fn connected(&self, purpose: Purpose, ok: bool);
}
