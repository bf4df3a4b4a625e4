//! The exit codes of the commands for people.

use std::process::ExitCode;

use crate::cli::failure::Failure;

/// The result of a command for people: its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// 0: nothing to complain of.
    Clean,
    /// 1: something was found.
    Found,
    /// 2: it could not be determined.
    Unknown,
}

/// The failure of a command, with the code with which the process ends.
#[derive(Debug)]
pub struct Failed {
    /// The error.
    pub failure: Failure,
    /// The exit code.
    pub code: u8,
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::Unknown => 2,
        }
    }

    /// [`Outcome::Found`] where there is something to complain of.
    #[must_use]
    pub const fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Clean }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        outcome.code().into()
    }
}

impl Failed {
    /// The failure of a command that ends with 1 whenever it fails.
    #[must_use]
    pub fn plain(failure: Failure) -> Self {
        Self { failure, code: 1 }
    }

    /// The failure of a command for people: it could not determine anything.
    #[must_use]
    pub fn unknown(failure: Failure) -> Self {
        Self { failure, code: Outcome::Unknown.code() }
    }
}
