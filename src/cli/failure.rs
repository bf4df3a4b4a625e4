//! The error type of subcommands.

/// The error of a subcommand, for people: one line, or several of which the second and later ones are indented.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
