//! The optional commands: what each is for, and which of them Redis' ACL denies this user.

use std::sync::{Mutex, PoisonError};

/// The commands without which the operator goes on, each with what it then leaves out. A user that was set up for an
/// earlier version may lack them.
const OPTIONAL: [(&str, &str); 3] = [
    ("PTTL", "the expiry of keys is not checked"),
    ("PERSIST", "an expiry is not removed from every key"),
    ("GETRANGE", "values of other clients are read whole, however large they are"),
];

/// The names of the optional commands, in capitals.
pub const OPTIONAL_COMMANDS: [&str; 3] = [OPTIONAL[0].0, OPTIONAL[1].0, OPTIONAL[2].0];

/// The optional commands that Redis denied when a script needed them last.
#[derive(Debug, Default)]
pub(super) struct DeniedCommands(Mutex<Vec<&'static str>>);

impl DeniedCommands {
    /// Records the names that a script has returned, separated by spaces. `complete`: it has tried every command.
    /// Returns all that are denied now, if that is news.
    pub(super) fn note(&self, names: &str, complete: bool) -> Option<Vec<&'static str>> {
        let mut denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_named = |command: &str| names.split(' ').any(|name| name == command);
        let now: Vec<&'static str> = OPTIONAL_COMMANDS
            .into_iter()
            .filter(|command| is_named(command) || (!complete && denied.contains(command)))
            .collect();
        if now == *denied {
            return None;
        }
        denied.clone_from(&now);
        Some(now)
    }

    /// Says what is denied and left out; none: nothing is.
    pub(super) fn describe(&self) -> Option<String> {
        let denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out: Vec<String> = OPTIONAL
            .into_iter()
            .filter(|(command, _)| denied.contains(command))
            .map(|(command, left_out)| format!("{command} (grant +{}): {left_out}", command.to_lowercase()))
            .collect();
        (!left_out.is_empty()).then(|| format!("Redis denies {}", left_out.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_command_is_reported_until_it_is_granted() {
        let denied = DeniedCommands::default();
        assert_eq!((denied.note("", true), denied.describe()), (None, None));
        assert_eq!(denied.note("PTTL", false), Some(vec!["PTTL"]));
        assert_eq!(denied.note("PERSIST PTTL", false), Some(vec!["PTTL", "PERSIST"]));
        assert_eq!(denied.note("PTTL", false), None, "the other was not tried");
        let text = denied.describe().unwrap();
        assert!(
            text.starts_with("Redis denies PTTL (grant +pttl): the expiry of keys is not checked; PERSIST"),
            "{text}"
        );
        assert_eq!(denied.note("", true), Some(vec![]));
        assert_eq!(denied.describe(), None);
    }
}
