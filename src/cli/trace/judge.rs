//! Decides what the facts mean: a pure function from facts to the steps, the answer and the advice.

use super::advice::{self, Subject};
use super::document::{Mapping, SecretState, Step, Trace, TraceConfig};
use super::facts::{ClaimantFacts, ClusterFacts, Query, SecretFacts, TraceFacts};
use super::shapes::{claimant, fault_text, first_fault, is_version, mapping, owner, record};
use crate::cli::common::{Mark, age, ago, escaped};
use crate::contract::{TenantId, config_key, did_key};
use crate::domain::reason::Reason;
use crate::domain::status::{READY, WARNINGS};
use crate::store::TenantFacts;

/// The claimants beside the first that are shown.
const SHOWN_CLAIMANTS: usize = 5;
/// The numbers without a mapping that are shown.
const SHOWN_NUMBERS: usize = 5;

/// Returns the trace that follows from the facts.
#[must_use]
pub fn judge(facts: &TraceFacts) -> Trace {
    let mut judge = Judge { facts, trace: empty(&facts.query), faulty: false, unsure: false };
    judge.numbers();
    judge.config();
    judge.owner();
    judge.secret();
    judge.claimants();
    judge.sum();
    judge.trace
}

fn empty(query: &Query) -> Trace {
    Trace {
        query: query.text(),
        number: query.number().map(ToString::to_string),
        mapping: None,
        numbers: Vec::new(),
        config: None,
        owner: None,
        secret: None,
        claimants: Vec::new(),
        record: None,
        answered_by: None,
        as_resources_say: None,
        steps: Vec::new(),
        not_read: Vec::new(),
        advice: Vec::new(),
    }
}

struct Judge<'a> {
    facts: &'a TraceFacts,
    trace: Trace,
    /// Something is not as it should be.
    faulty: bool,
    /// Something that the answer needs was not read.
    unsure: bool,
}

impl<'a> Judge<'a> {
    fn step(&mut self, mark: Mark, subject: &str, text: impl Into<String>) {
        self.faulty |= mark == Mark::Fault;
        self.unsure |= mark == Mark::Unknown;
        self.trace.steps.push(Step::new(mark, subject, text));
    }

    fn cluster(&self) -> Option<&'a ClusterFacts> {
        self.facts.cluster.as_ref().ok()
    }

    /// The resource that the trace is about.
    fn first(&self) -> Option<&'a ClaimantFacts> {
        self.cluster()?.claimants.first()
    }

    fn tenant(&self) -> Option<&'a TenantFacts> {
        let tenant = self.facts.tenant.as_ref()?;
        self.facts.redis.as_ref().ok()?.tenant(tenant.as_str())
    }

    /// The number, and its mapping; or all numbers of the tenant.
    fn numbers(&mut self) {
        let facts = self.facts;
        if let Some(did) = facts.query.number() {
            self.step(Mark::Ok, "number", format!("E.164; the runtime reads {}", did_key(did)));
        }
        let redis = match &facts.redis {
            Ok(redis) => redis,
            Err(why) => {
                self.trace.not_read.push(format!("Redis: {why}"));
                self.step(Mark::Unknown, "mapping", format!("Redis was not read: {why}"));
                return;
            }
        };
        let mappings: Vec<Mapping> = redis.dids.iter().map(mapping).collect();
        if facts.query.number().is_some() {
            let found = mappings.into_iter().next();
            let mapped = found.as_ref().and_then(|mapping| mapping.tenant_id.clone());
            match mapped {
                None => self.step(Mark::Fault, "mapping", "none: the caller hears \"not configured\""),
                Some(tenant) => {
                    let holder = self.first().filter(|first| first.holds);
                    let expected = holder.and_then(|holder| holder.tenant.as_ref());
                    match (expected, holder) {
                        (Some(expected), Some(holder)) if expected.as_str() != tenant => self.step(
                            Mark::Fault,
                            "mapping",
                            format!(
                                "{}, and not {expected}, the tenant of {}",
                                escaped(&tenant),
                                holder.name
                            ),
                        ),
                        _ => self.step(Mark::Ok, "mapping", escaped(&tenant).into_owned()),
                    }
                }
            }
            self.trace.mapping = found;
        } else {
            self.all_numbers(mappings);
        }
    }

    fn all_numbers(&mut self, mappings: Vec<Mapping>) {
        let id = self.facts.tenant.as_ref().map(TenantId::as_str);
        let (live, other): (Vec<&Mapping>, Vec<&Mapping>) =
            mappings.iter().partition(|mapping| mapping.tenant_id.as_deref() == id);
        if mappings.is_empty() {
            self.step(Mark::Note, "numbers", "none is known");
        } else {
            let mark = if other.is_empty() { Mark::Ok } else { Mark::Fault };
            let text =
                format!("{} of {} are mapped to {}", live.len(), mappings.len(), escaped(id.unwrap_or("it")));
            self.step(mark, "numbers", text);
        }
        for mapping in other.iter().take(SHOWN_NUMBERS) {
            let text = match &mapping.tenant_id {
                None => format!("{}: not mapped, the caller hears \"not configured\"", mapping.number),
                Some(tenant) => format!("{}: mapped to {}", mapping.number, escaped(tenant)),
            };
            self.step(Mark::Fault, "mapping", text);
        }
        if other.len() > SHOWN_NUMBERS {
            let more = format!("{} more are not mapped to it", other.len() - SHOWN_NUMBERS);
            self.step(Mark::Fault, "mapping", more);
        }
        self.trace.numbers = mappings;
    }

    /// The config of the tenant that answers.
    fn config(&mut self) {
        let (Some(tenant), Ok(_)) = (&self.facts.tenant, &self.facts.redis) else { return };
        let key = config_key(tenant);
        let key = escaped(&key);
        let Some(found) = self.tenant() else { return };
        self.trace.record = found.record.as_ref().map(record);
        let Some(config) = &found.config else {
            self.step(
                Mark::Fault,
                "config",
                format!("{key}: none, the caller hears \"not fully configured\""),
            );
            return;
        };
        let number = self.facts.query.number().map(ToString::to_string);
        let lists = number.map(|number| config.dids.contains(&number));
        self.trace.config = Some(TraceConfig {
            key: config.key.clone(),
            bytes: config.bytes,
            sha1: config.sha1.clone(),
            valid: config.valid,
            faults: config.faults.clone(),
            lists_number: lists.filter(|_| config.valid == Some(true)),
            document: config.document.clone(),
        });
        let bytes = config.bytes;
        match config.valid {
            None => self.step(Mark::Unknown, "config", format!("{key}, {bytes} bytes: too large to be read")),
            Some(false) => {
                let text = format!("{key}, {bytes} bytes: the runtime refuses it: {}", first_fault(config));
                self.step(Mark::Fault, "config", text);
            }
            Some(true) => {
                let listed = match lists {
                    Some(true) => ", lists the number",
                    Some(false) => ", does not list the number",
                    None => "",
                };
                let mark = if lists == Some(false) { Mark::Note } else { Mark::Ok };
                self.step(mark, "config", format!("{key}, {bytes} bytes, valid v1{listed}"));
                if config.tenant_id.as_deref() != Some(tenant.as_str()) {
                    let inside = config.tenant_id.as_deref().unwrap_or_default();
                    let text = format!("its tenantId is {}, another than the key's", escaped(inside));
                    self.step(Mark::Note, "config", text);
                }
            }
        }
    }

    /// The resource that holds the number or the tenant id, or claims it.
    fn owner(&mut self) {
        let cluster = match &self.facts.cluster {
            Ok(cluster) => cluster,
            Err(why) => {
                self.trace.not_read.push(format!("RuntimeTenants: {why}"));
                self.step(Mark::Unknown, "owner", format!("RuntimeTenants were not read: {why}"));
                return self.recorded_owner();
            }
        };
        for missing in &cluster.missing {
            self.trace.not_read.push(missing.clone());
            self.step(Mark::Unknown, "owner", format!("not read: {missing}"));
        }
        let Some(first) = self.first() else {
            if cluster.missing.is_empty() {
                match self.facts.query {
                    Query::Resource(ref name) => {
                        self.step(Mark::Fault, "owner", format!("there is no RuntimeTenant {name}"));
                    }
                    _ => self.step(Mark::Note, "owner", "no RuntimeTenant claims it"),
                }
            }
            return self.recorded_owner();
        };
        self.trace.owner = Some(owner(first));
        let name = &first.name;
        if let Some(did) = self.facts.query.number().filter(|did| !first.holds && !first.dids.contains(did)) {
            let text = format!("RuntimeTenant {name} has the tenant id, and does not list {did}");
            return self.step(Mark::Fault, "owner", text);
        }
        let verb = match (first.holds, self.facts.query.number()) {
            (false, Some(_)) => " claims it",
            _ => "",
        };
        let prefix = format!("RuntimeTenant {name}{verb}, generation {}", first.generation);
        let Some(ready) = first.condition(READY) else {
            let (mark, text) = if first.deleting {
                (Mark::Fault, "is being deleted")
            } else {
                (Mark::Fault, "no status yet")
            };
            return self.step(mark, "owner", format!("{prefix}: {text}"));
        };
        let since = age(ready.last_transition_time.0, self.facts.now);
        let reason = escaped(&ready.reason);
        if first.deleting {
            self.step(Mark::Fault, "owner", format!("{prefix}: is being deleted"));
        } else if first.is_behind() {
            let observed = first.status.observed_generation.unwrap_or_default();
            let text =
                format!("{prefix}; its status is about generation {observed}: {}={}", READY, ready.status);
            self.step(Mark::Fault, "owner", text);
        } else if ready.status == "True" {
            self.step(Mark::Ok, "owner", format!("{prefix}, Ready ({reason}) for {since}"));
        } else {
            let message = escaped(&ready.message);
            let text = format!(
                "RuntimeTenant {name}{verb}, Ready={} {reason}: {message} (for {since})",
                ready.status
            );
            self.step(Mark::Fault, "owner", text);
        }
        if let Some(warnings) = first.condition(WARNINGS) {
            self.step(Mark::Note, "warnings", escaped(&warnings.message.replace('\n', "; ")).into_owned());
        }
    }

    /// The owner by the record alone, where no resource is known.
    fn recorded_owner(&mut self) {
        let Some(record) = self.tenant().and_then(|tenant| tenant.record.as_ref()) else { return };
        let text = format!(
            "by its record, {} of the cluster {} owns the tenant",
            escaped(&record.owner),
            escaped(&record.cluster)
        );
        self.step(Mark::Note, "record", text);
    }

    /// The Secret of that resource.
    fn secret(&mut self) {
        let Some(first) = self.first() else { return };
        let Some(key) = &first.secret else { return };
        let mut state = SecretState {
            namespace: key.secret.namespace.to_string(),
            name: key.secret.name.to_string(),
            key: key.key.clone(),
            present: None,
            published_version: None,
            current_version: None,
        };
        let record = self.tenant().and_then(|tenant| tenant.record.as_ref());
        let record = record.filter(|record| record.uid == first.uid.as_str());
        state.published_version = record.map(|record| record.secret_version.clone());
        let (name, key) = (escaped(&key.secret.name).into_owned(), escaped(&key.key).into_owned());
        let name = format!("{}/{name}", state.namespace);
        match self.cluster().and_then(|cluster| cluster.secret.as_ref()) {
            None => {}
            Some(Err(why)) => {
                self.trace.not_read.push(format!("Secret {name}: {why}"));
                self.trace.steps.push(Step::new(
                    Mark::Unknown,
                    "secret",
                    format!("{name} was not read: {why}"),
                ));
            }
            Some(Ok(SecretFacts { version, fault })) => {
                state.present = Some(version.is_some() && fault.is_none());
                state.current_version.clone_from(version);
                match (version, fault) {
                    (None, _) => self.step(Mark::Fault, "secret", format!("{name} does not exist")),
                    (Some(_), Some(fault)) => {
                        self.step(Mark::Fault, "secret", format!("{name}, key {key}: {}", fault_text(fault)));
                    }
                    (Some(version), None) => {
                        let (mark, text) = match &state.published_version {
                            None => (Mark::Ok, ""),
                            Some(published) if is_version(published, version) => {
                                (Mark::Ok, "; the published version is the current one")
                            }
                            Some(_) => (Mark::Note, "; an earlier version is published"),
                        };
                        self.step(mark, "secret", format!("{name}, key {key}: present{text}"));
                    }
                }
            }
        }
        self.trace.secret = Some(state);
    }

    /// The other resources that claim the same.
    fn claimants(&mut self) {
        let Some(cluster) = self.cluster() else { return };
        self.trace.claimants = cluster.claimants.iter().map(claimant).collect();
        let others = cluster.claimants.iter().skip(1);
        for other in others.clone().take(SHOWN_CLAIMANTS) {
            let text = format!("also by {}, waiting for {}", other.name, age(other.since(), self.facts.now));
            self.step(Mark::Note, "claimed", text);
        }
        let more = others.count().saturating_sub(SHOWN_CLAIMANTS);
        if more > 0 {
            self.step(Mark::Note, "claimed", format!("also by {more} more"));
        }
    }

    /// The answer, and the advice.
    fn sum(&mut self) {
        let answering = self.answering();
        self.trace.answered_by.clone_from(&answering);
        // What was not read leaves it open, unless what was read is wrong already.
        self.trace.as_resources_say = match (self.faulty, self.unsure) {
            (true, _) => Some(false),
            (false, true) => None,
            (false, false) => Some(answering.is_some()),
        };
        if let Some(first) = self.first() {
            self.advise(first);
        } else if self.trace.as_resources_say == Some(false) && self.trace.answered_by.is_none() {
            self.trace.advice.push("list it in spec.dids of a RuntimeTenant to have it answered".to_owned());
        }
        if let Some(tenant) = answering {
            let first = self.first().filter(|first| first.tenant.as_ref() == self.facts.tenant.as_ref());
            let published = first.and_then(|first| first.status.last_published_time.as_ref());
            let published = published.map(|time| format!("; last published {}", ago(time.0, self.facts.now)));
            let what = if self.trace.number.is_some() { "a call is" } else { "calls are" };
            let text =
                format!("{what} answered by tenant {}{}", escaped(&tenant), published.unwrap_or_default());
            self.trace.advice.insert(0, text);
        }
    }

    /// The tenant that answers: the number is mapped to it, and its config is valid. Of a tenant: every number is.
    fn answering(&self) -> Option<String> {
        let id = self.facts.tenant.as_ref()?.as_str();
        let is_mapped = match (&self.trace.mapping, self.trace.numbers.as_slice()) {
            (Some(mapping), _) => mapping.tenant_id.as_deref() == Some(id),
            (None, numbers) => {
                !numbers.is_empty() && numbers.iter().all(|mapping| mapping.tenant_id.as_deref() == Some(id))
            }
        };
        let is_valid = self.tenant()?.config.as_ref()?.valid == Some(true);
        (is_mapped && is_valid).then(|| id.to_owned())
    }

    fn advise(&mut self, first: &ClaimantFacts) {
        let subject = Subject {
            name: &first.name,
            tenant: first.tenant.as_ref(),
            secret: first.secret.as_ref(),
            holder: first.waits_for.as_ref(),
        };
        let mut given = first.reason().map(|reason| advice::advice(reason, subject)).unwrap_or_default();
        if given.is_empty() && first.is_ready() && self.trace.as_resources_say == Some(false) {
            given.push(
                "Redis holds something else than the status says: the operator repairs that within seconds; if it stays, \
                 runtime-operator check"
                    .to_owned(),
            );
        }
        if given.is_empty() && first.condition(READY).is_none() && !first.deleting {
            given.push(
                "no operator has seen it: runtime-operator status, and check --watch-namespaces".to_owned(),
            );
        }
        if first.condition(WARNINGS).is_some() {
            given.extend(advice::advice(Reason::SpecWarnings, subject));
        }
        let suspended = first.reason() == Some(Reason::Suspended);
        let waiting = self.trace.claimants.iter().any(|claimant| !claimant.holds);
        if first.is_ready() && waiting && !suspended {
            given.extend(waiting_advice(self.cluster()));
        }
        self.trace.advice.append(&mut given);
    }
}

/// The advice for a resource that waits for what the first one holds.
fn waiting_advice(cluster: Option<&ClusterFacts>) -> Option<String> {
    let waiting = cluster?.claimants.iter().find(|claimant| !claimant.holds)?;
    Some(format!("{} gets it once no spec before it lists it: remove it from one of the two", waiting.name))
}
