//! Invalid settings, with their flag and variable.

/// All invalid settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid settings:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
pub struct InvalidSettings(pub Vec<SettingError>);

/// An invalid setting. The message names the flag and the variable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{flag} ({}): {problem}", variable(.flag))]
pub struct SettingError {
    /// The setting's flag.
    pub flag: &'static str,
    /// The rule that the setting violates.
    pub problem: String,
}

/// The environment variable of a flag.
fn variable(flag: &str) -> String {
    flag.trim_start_matches('-').replace('-', "_").to_uppercase()
}
