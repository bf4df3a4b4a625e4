//! Telling what came of a look: status, then finalizer, then events. After the publish and never before it, in a queue of
//! its own, so that no publish waits for a status; one write a turn, so that no status waits for another's finalizer.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde_json::{Map, Value, json};
use tracing::{Instrument, debug, trace_span, warn};

use super::context::Context;
use super::error::Error;
use super::events::{self, About, Told};
use super::kept::KeptStatus;
use super::state::{Note, Outcome};
use super::tenant::{Shown, Tenant};
use super::turns::Action;
use crate::api::{FINALIZER, RuntimeTenantStatus};
use crate::domain::assessment::{Assessment, NotPublished};
use crate::domain::reason::Reason;
use crate::domain::status::{self, DIDS_CLAIMED, READY};
use crate::telemetry::{Queue, TRACES};

const FIELD_MANAGER: &str = "runtime-operator";

/// Writes what is to be told of one resource, where it is not told yet.
pub async fn tell(tenant: Arc<Tenant>, ctx: Arc<Context>) -> Result<Action, Error> {
    let uid = tenant.uid();
    let since = ctx.state().entry(&uid).and_then(|entry| entry.waits_since[Queue::Status as usize]);
    let _turn = ctx.rush.after_publishes(since.unwrap_or_else(Instant::now)).await;
    let change = ctx.turn(Queue::Status, &uid);
    // What is written is held against the newest version: it may have had to wait.
    let Some(tenant) = ctx.tenant(&uid, &tenant.name()) else { return Ok(Action::await_change()) };
    let span = trace_span!(target: TRACES, parent: &change, "status");
    tell_in(tenant, &ctx).instrument(span).await
}

async fn tell_in(tenant: Arc<Tenant>, ctx: &Context) -> Result<Action, Error> {
    let uid = tenant.uid();
    let (outcome, notes, wrote, failing) = {
        let mut state = ctx.state();
        let outcome = state.outcome(&uid);
        let Some(entry) = state.entry_mut(&uid) else { return Ok(Action::await_change()) };
        // Our own last write is not back from the watch; when it is, this is looked at again.
        if entry.is_behind() {
            return Ok(Action::await_change());
        }
        (outcome, std::mem::take(&mut entry.notes), entry.wrote, entry.failures > 0)
    };
    let teller = Teller { ctx, api: Api::namespaced(ctx.client.clone(), &tenant.name().namespace), tenant };
    teller.publish_notes(notes);
    match outcome {
        Some(Outcome::FinalizerRemovable) => teller.release().await?,
        Some(Outcome::Assessed(assessment)) => teller.tell(&assessment, wrote).await?,
        None if failing => teller.first_sight().await?,
        None => {}
    }
    Ok(Action::await_change())
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// The watch will show it.
    News,
    /// What was there already: there is no new version, and no watch tells of it.
    TheSame,
    /// The resource has changed in between, and is looked at again; or the API server refuses it.
    Nothing,
}

struct Teller<'a> {
    ctx: &'a Context,
    api: Api<Shown>,
    tenant: Arc<Tenant>,
}

impl Teller<'_> {
    async fn tell(&self, assessment: &Assessment, wrote: bool) -> Result<(), Error> {
        // The API server would refuse whatever is written to an object that it can't read either, for good.
        if let Some(NotPublished::Unreadable(why)) = &assessment.not_published {
            self.ctx.metrics.unreadable.inc();
            self.tell_unreadable(why, assessment.message());
            return Ok(());
        }
        let previous = self.tenant.status().map(KeptStatus::status);
        let previous = previous.as_ref();
        let next = status::next(previous, assessment, wrote, Timestamp::now());
        let changed = previous != Some(&next);
        let wrote = if changed { self.write_status(previous, &next).await? } else { Wrote::TheSame };
        if wrote == Wrote::Nothing {
            return Ok(());
        }
        if changed {
            self.publish_notes(changes(previous, &next, assessment));
        }
        self.has_told();
        // The finalizer's turn comes when the watch shows the status, after everybody's. Until then a deletion is caught by
        // the watch, or by the orphan sweep.
        if wrote == Wrote::News || self.tenant.is_deleting() || self.tenant.has_finalizer() {
            return Ok(());
        }
        self.add_finalizer().await
    }

    fn has_told(&self) {
        if let Some(entry) = self.ctx.state().entry_mut(&self.tenant.uid()) {
            entry.wrote = false;
        }
    }

    /// Once for each way in which it can't be read: there is no status that would remember it.
    fn tell_unreadable(&self, why: &str, message: String) {
        let news = match self.ctx.state().entry_mut(&self.tenant.uid()) {
            Some(entry) => entry.unreadable.replace(why.into()).is_none_or(|before| *before != *why),
            None => false,
        };
        if news {
            warn!(resource = %self.tenant.name(), why, "can't be read: it gets neither finalizer nor status");
            self.publish_notes(vec![Note::warning(Reason::Unreadable.as_str(), message)]);
        }
    }

    /// A resource that never had a status and can't be dealt with yet says so: one without would pass for done.
    async fn first_sight(&self) -> Result<(), Error> {
        let known = self.tenant.status().is_some_and(|status| status.phrases().next().is_some());
        if known || self.tenant.is_deleting() {
            return Ok(());
        }
        let why = NotPublished::Redis("it is tried again until it works".to_owned());
        let next = status::pending_status(self.tenant.generation(), why, Timestamp::now());
        let previous = self.tenant.status().map(KeptStatus::status);
        self.write_status(previous.as_ref(), &next).await.map(drop)
    }

    async fn add_finalizer(&self) -> Result<(), Error> {
        let others = self.tenant.others_finalizers();
        self.write_finalizers(&others.chain([FINALIZER]).collect::<Vec<_>>()).await
    }

    async fn release(&self) -> Result<(), Error> {
        if self.tenant.has_finalizer() {
            self.write_finalizers(&self.tenant.others_finalizers().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// With uid and resourceVersion tested: never on another object of the same name, never over somebody's change.
    async fn write_finalizers(&self, finalizers: &[&str]) -> Result<(), Error> {
        let patch = json!({"metadata": {
            "uid": self.tenant.uid(),
            "resourceVersion": self.tenant.version(),
            "finalizers": finalizers,
        }});
        let name = self.tenant.name().name;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.wrote(self.api.patch(&name, &params, &Patch::Merge(patch)).await, "a finalizer").map(drop)
    }

    async fn write_status(
        &self,
        previous: Option<&RuntimeTenantStatus>,
        next: &RuntimeTenantStatus,
    ) -> Result<Wrote, Error> {
        let patch = json!({
            "metadata": { "uid": self.tenant.uid(), "resourceVersion": self.tenant.version() },
            "status": replacing(previous, next),
        });
        let name = self.tenant.name().name;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.ctx.metrics.status_writes.inc();
        self.wrote(self.api.patch_status(&name, &params, &Patch::Merge(patch)).await, "the status")
    }

    /// Remembers our own write until the watch shows it. A conflict or a missing object is no error: the watch will
    /// show, or has shown, what is there instead.
    fn wrote(&self, answer: Result<Shown, kube::Error>, what: &'static str) -> Result<Wrote, Error> {
        match answer {
            Ok(written) => {
                let version = written.meta().resource_version.as_ref();
                if let Some(entry) = self.ctx.state().entry_mut(&self.tenant.uid()) {
                    entry.wrote_version(version.and_then(|version| version.parse().ok()));
                }
                let same = version.is_some_and(|version| *version == self.tenant.version());
                Ok(if same { Wrote::TheSame } else { Wrote::News })
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                debug!(resource = %self.tenant.name(), code = status.code, what, "not written: it has changed");
                Ok(Wrote::Nothing)
            }
            Err(kube::Error::Api(status)) if status.code == 422 => {
                warn!(resource = %self.tenant.name(), what, message = status.message, "the API server refuses it");
                Ok(Wrote::Nothing)
            }
            Err(error) => Err(Error::Write(what, error)),
        }
    }

    fn publish_notes(&self, notes: Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        let about = About {
            api_version: Shown::api_version(&()),
            kind: Shown::kind(&()),
            name: self.tenant.name(),
            uid: Some(self.tenant.uid()),
            version: Some(self.tenant.version().into()),
        };
        for note in notes {
            events::write_later(self.ctx, Told::now(about.clone(), "Reconcile", note));
        }
    }
}

/// A merge patch that makes a status exactly `next`: what it no longer has is set to null.
fn replacing(previous: Option<&RuntimeTenantStatus>, next: &RuntimeTenantStatus) -> Value {
    let object = |status: &RuntimeTenantStatus| match serde_json::to_value(status) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut patch = object(next);
    for name in previous.map(object).unwrap_or_default().into_iter().map(|(name, _)| name) {
        patch.entry(name).or_insert(Value::Null);
    }
    Value::Object(patch)
}

/// What has changed from one status to the next that a person would want to know.
fn changes(
    previous: Option<&RuntimeTenantStatus>,
    next: &RuntimeTenantStatus,
    assessment: &Assessment,
) -> Vec<Note> {
    let of = |status: Option<&RuntimeTenantStatus>, type_: &str| {
        status?.conditions.iter().find(|condition| condition.type_ == type_).cloned()
    };
    let (before, after) = (of(previous, READY), of(Some(next), READY));
    let mut notes = Vec::new();
    let reason = assessment.reason();
    let same = before.as_ref().zip(after.as_ref()).is_some_and(|(before, after)| {
        before.reason == after.reason && (reason == Reason::Suspended || before.message == after.message)
    });
    match reason {
        Reason::Published => {}
        Reason::Suspended if !same => notes.push(Note::normal(reason.as_str(), assessment.message())),
        _ if !same => notes.push(Note::warning(reason.as_str(), assessment.message())),
        _ => {}
    }
    if before.is_some_and(|before| before.reason == Reason::Suspended.as_str()) && reason != Reason::Suspended
    {
        notes.push(Note::normal("Resumed", "spec.suspend is false: Redis follows the spec again"));
    }
    let waited = of(previous, DIDS_CLAIMED).is_some_and(|condition| {
        condition.status == "False"
            && [Reason::DidConflict.as_str(), Reason::TenantIdConflict.as_str()]
                .contains(&condition.reason.as_str())
    });
    let had = previous.map(|status| &status.published_dids[..]).unwrap_or_default();
    let gained: Vec<&str> =
        next.published_dids.iter().filter(|did| !had.contains(did)).map(String::as_str).collect();
    if waited && !gained.is_empty() {
        notes.push(Note::normal("Promoted", format!("holds what another let go of: {}", gained.join(", "))));
    }
    notes
}
