//! The lines of the condition `Warnings`: those about the spec, the webhook secret and the annotations.

use crate::api::{RuntimeTenantStatus, TAKE_OVER};
use crate::domain::assessment::Assessment;
use crate::domain::status::WARNINGS;

/// The path with which lines about the webhook secret begin.
const SECRET: &str = "spec.webhookSecretRef: ";
/// The fields of the spec before `webhookSecretRef`.
const BEFORE_SECRET: [&str; 2] = ["spec.tenantId", "spec.dids"];

/// All warnings about a resource.
pub struct Warnings<'a> {
    /// The warnings about the spec, in its order.
    pub spec: &'a [Box<str>],
    /// The warnings about the webhook secret; none where this process has not read it.
    pub secret: Option<&'a [Box<str>]>,
    /// True while the annotation `take-over` is set.
    pub take_over: bool,
}

impl Warnings<'_> {
    /// Returns the lines in the order of the spec, then the one about the annotation. Lines about a Secret that was not read
    /// stay as the status has them.
    pub fn lines(
        &self,
        previous: Option<&RuntimeTenantStatus>,
        assessment: Option<&Assessment>,
    ) -> Vec<String> {
        let owned = |lines: &[Box<str>]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        let secret = self.secret.map_or_else(|| reported(previous), owned);
        let is_before = |line: &str| BEFORE_SECRET.iter().any(|path| line.starts_with(path));
        let split = self.spec.iter().take_while(|line| is_before(line)).count();
        let (before, after) = self.spec.split_at(split);
        let mut lines = [owned(before), secret, owned(after)].concat();
        let is_done =
            |assessment: &Assessment| assessment.not_published.is_none() && assessment.unavailable.is_empty();
        if self.take_over && assessment.is_some_and(is_done) {
            lines.push(format!("metadata.annotations[{TAKE_OVER}]: has done its work: remove it"));
        }
        lines
    }
}

/// The lines about the webhook secret that the status has.
fn reported(previous: Option<&RuntimeTenantStatus>) -> Vec<String> {
    let conditions = previous.map_or(&[][..], |status| &status.conditions);
    let warnings = conditions.iter().find(|condition| condition.type_ == WARNINGS);
    let lines = warnings.map_or("", |condition| &condition.message).lines();
    lines.filter(|line| line.starts_with(SECRET)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::assessment::PublishedConfig;
    use crate::domain::status::{self, StatusDetails};

    fn boxed(lines: &[&str]) -> Vec<Box<str>> {
        lines.iter().map(|line| Box::from(*line)).collect()
    }

    #[test]
    fn lines_are_in_the_order_of_the_spec_and_survive_a_restart() {
        let spec = boxed(&["spec.dids[0]: odd", "spec.tts: odd"]);
        let secret = boxed(&["spec.webhookSecretRef: the Secret's value contains a line break"]);
        let config = PublishedConfig { dids: Vec::new(), hash: "h".to_owned() };
        let assessment = Assessment::published(1, config);
        let warnings = Warnings { spec: &spec, secret: Some(&secret), take_over: true };
        let lines = warnings.lines(None, Some(&assessment));
        let paths: Vec<_> = lines.iter().map(|line| line.split_once(": ").unwrap().0).collect();
        let annotation = "metadata.annotations[runtime.veralux.io/take-over]";
        assert_eq!(paths, ["spec.dids[0]", "spec.webhookSecretRef", "spec.tts", annotation]);

        let details = StatusDetails { warnings: lines.clone(), ..StatusDetails::read(true) };
        let status = status::next(None, &assessment, &details, jiff::Timestamp::UNIX_EPOCH);
        let unread = Warnings { secret: None, ..warnings };
        assert_eq!(unread.lines(Some(&status), Some(&assessment)), lines);
        let corrected = Warnings { secret: Some(&[]), take_over: false, ..unread };
        assert_eq!(corrected.lines(Some(&status), Some(&assessment)), ["spec.dids[0]: odd", "spec.tts: odd"]);
    }
}
