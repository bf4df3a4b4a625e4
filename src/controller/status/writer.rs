//! Writes one tenant's status and finalizers.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde_json::json;
use tracing::{debug, info, warn};

use super::super::context::Context;
use super::super::error::Error;
use super::super::queue::Action;
use super::super::refusal::Refusal;
use super::super::watch::WrittenTenant;
use super::events::{PendingEvent, Regarding};
use super::patch::{merge_patch, without_published};
use super::transitions::transition_events;
use super::warnings::Warnings;
use crate::api::{FINALIZER, RuntimeTenantStatus};
use crate::domain::ResourceName;
use crate::domain::assessment::{Assessment, NotPublished};
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::index::{CachedStatus, CachedTenant, PendingStatus, PublishDelay};
use crate::domain::plan::Outcome;
use crate::domain::reason::Reason;
use crate::domain::status::{self, READY, StatusDetails};
use crate::telemetry::api_server_cause;

const FIELD_MANAGER: &str = "runtime-operator";

/// The result of a write.
#[derive(Clone, PartialEq, Eq)]
pub enum WriteResult {
    /// The API server stored this new version, which the watch will show.
    Changed(Option<String>),
    /// The API server had the same content already: there is no new version, and the watch shows nothing.
    Unchanged,
    /// The resource has changed in the meantime, and is reconciled again; or this replica may not write any more.
    Skipped,
    /// The API server rejects the write until the resource is changed.
    Rejected,
}

/// Writes the status and the finalizer of one tenant, and enqueues its events.
pub struct StatusWriter<'a> {
    ctx: &'a Context,
    api: Api<WrittenTenant>,
    object: Arc<CachedTenant>,
}

impl<'a> StatusWriter<'a> {
    /// A writer for this version of a resource.
    pub fn new(ctx: &'a Context, object: Arc<CachedTenant>) -> Self {
        let api = Api::namespaced(ctx.client.clone(), &object.name().namespace);
        Self { ctx, api, object }
    }

    /// Enqueues the events, and writes the finalizers and the status where they differ.
    pub async fn write(&self, mut pending: PendingStatus) -> Result<Action, Error> {
        self.record_events(std::mem::take(&mut pending.events));
        if let Some(delay) = &pending.delay
            && let Some(assessment) = delay.assess(&self.object)
        {
            return self.write_delay(&pending, delay, &assessment).await;
        }
        match &pending.outcome {
            Some(Outcome::FinalizerRemovable) => self.remove_finalizer().await?,
            Some(Outcome::Assessed(assessment)) => {
                let details = self.details(&pending, true);
                self.write_guarded(assessment, &details).await?;
            }
            None => {}
        }
        Ok(Action::await_change())
    }

    /// Writes that a change of the resource can't be published yet, once. Another reason is written when it persists.
    async fn write_delay(
        &self,
        pending: &PendingStatus,
        delay: &PublishDelay,
        assessment: &Assessment,
    ) -> Result<Action, Error> {
        let uid = self.object.uid();
        if let Some(reason) = assessment.failure_reason() {
            match self.object.reported_failure() {
                Some(reported) if reported.is_same_outage(reason) => {
                    self.ctx.note(|index| index.keep_reason(&uid));
                    return Ok(Action::await_change());
                }
                None if delay.is_change => {}
                _ => {
                    let wait = self.ctx.note(|index| index.confirm_reason(&uid, reason, Instant::now()));
                    if !wait.is_zero() {
                        return Ok(Action::requeue(wait));
                    }
                }
            }
            let event = self.ctx.note(|index| index.report_delay(&uid, &delay.failure));
            self.record_events(event.into_iter().collect());
        }
        let details = self.details(pending, delay.redis_read);
        self.write_assessment(assessment, &details, self.object.resource_version()).await?;
        Ok(Action::await_change())
    }

    fn details(&self, pending: &PendingStatus, redis_read: bool) -> StatusDetails {
        let previous = self.object.status().map(CachedStatus::status);
        let warnings = Warnings {
            spec: &pending.warnings,
            secret: pending.secret_warnings.as_deref(),
            take_over: pending.take_over.is_some(),
        };
        let assessment = match &pending.outcome {
            Some(Outcome::Assessed(assessment)) => Some(assessment),
            _ => None,
        };
        StatusDetails {
            published_now: pending.published,
            redis_read,
            warnings: warnings.lines(previous.as_ref(), assessment),
            take_over: pending.take_over.clone(),
        }
    }

    /// Adds the finalizer and writes the status, in the order that fits.
    async fn write_guarded(&self, assessment: &Assessment, details: &StatusDetails) -> Result<(), Error> {
        let is_readable = !matches!(assessment.not_published, Some(NotPublished::Unreadable(_)));
        let needs_finalizer = is_readable && !self.object.is_deleting() && !self.object.has_finalizer();
        // At rest, no status says Ready before its finalizer is there.
        let finalizer_first = needs_finalizer && !self.ctx.priority.statuses_first(Instant::now());
        // A finalizer that is refused or rejected does not keep the status from being true.
        let added = if finalizer_first { self.add_finalizer().await } else { Ok(WriteResult::Unchanged) };
        let version = match &added {
            Ok(WriteResult::Skipped) => return Ok(()),
            Ok(WriteResult::Changed(Some(version))) => version,
            _ => self.object.resource_version(),
        };
        let written = self.write_assessment(assessment, details, version).await?;
        added?;
        // Otherwise the next pass adds it, when the watch shows the status. Until then the watch or the sweep cleans up after a
        // deletion, and a clean stop adds it.
        if needs_finalizer && !finalizer_first && written == WriteResult::Unchanged {
            self.add_finalizer().await?;
        }
        Ok(())
    }

    /// Writes the status that follows from an assessment, if it differs, to this version of the resource.
    async fn write_assessment(
        &self,
        assessment: &Assessment,
        details: &StatusDetails,
        version: &str,
    ) -> Result<WriteResult, Error> {
        // The API server would reject whatever is written to an object that it can't decode either, for good.
        if let Some(NotPublished::Unreadable(why)) = &assessment.not_published {
            self.ctx.metrics.unreadable_resources.inc();
            self.report_unreadable(why, assessment.message());
            return Ok(WriteResult::Skipped);
        }
        let previous = self.object.status().map(CachedStatus::status);
        let previous = previous.as_ref();
        let next = status::next(previous, assessment, details, Timestamp::now());
        let changed = previous != Some(&next);
        let written =
            if changed { self.write_status(previous, &next, version).await? } else { WriteResult::Unchanged };
        if written == WriteResult::Skipped {
            return Ok(written);
        }
        // Where the API server rejects the status, the log and the events alone report it.
        if changed {
            self.log_ready(previous, &next);
            self.record_events(transition_events(previous, &next, assessment));
        }
        if written == WriteResult::Rejected {
            return Ok(written);
        }
        if details.published_now {
            self.ctx.note(|index| index.status_written(&self.object.uid()));
        }
        Ok(written)
    }

    /// Says that `Ready` has changed, or why it is what it is.
    fn log_ready(&self, previous: Option<&RuntimeTenantStatus>, next: &RuntimeTenantStatus) {
        let ready = |status: &RuntimeTenantStatus| {
            status.conditions.iter().find(|condition| condition.type_ == READY).cloned()
        };
        let (before, Some(after)) = (previous.and_then(ready), ready(next)) else { return };
        let same = |before: &Condition| before.status == after.status && before.reason == after.reason;
        if !before.as_ref().is_some_and(same) {
            let ResourceName { namespace, name } = self.object.name();
            let Condition { status, reason, message, .. } = after;
            // `message` is the field of the line itself.
            info!(%namespace, %name, ready = status, reason, cause = message, "Ready changed");
        }
    }

    /// Reports each way in which the spec can't be decoded once: no status remembers it.
    fn report_unreadable(&self, why: &str, message: String) {
        if self.ctx.note(|index| index.report_unreadable(&self.object.uid(), why)) {
            let resource = self.object.name();
            warn!(%resource, why, "spec can't be decoded; no finalizer or status will be written");
            let reason = EventReason::Condition(Reason::Unreadable);
            self.record_events(vec![EventDraft::new(reason, message)]);
        }
    }

    /// Adds the finalizer, without which a deletion would leave the keys to the watch or the sweep.
    pub async fn add_finalizer(&self) -> Result<WriteResult, Error> {
        let others = self.object.other_finalizers();
        self.write_finalizers(&others.chain([FINALIZER]).collect::<Vec<_>>()).await
    }

    async fn remove_finalizer(&self) -> Result<(), Error> {
        if self.object.has_finalizer() {
            self.write_finalizers(&self.object.other_finalizers().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Patches the finalizers with uid and resourceVersion tested: never those of another object of the same name, never
    /// over the change of another client.
    async fn write_finalizers(&self, finalizers: &[&str]) -> Result<WriteResult, Error> {
        let version = self.ctx.read(|index| index.newest_version(&self.object.uid()));
        let patch = json!({"metadata": {
            "uid": self.object.uid(),
            "resourceVersion": version.as_deref().unwrap_or(self.object.resource_version()),
            "finalizers": finalizers,
        }});
        if !self.ctx.writer.may_write_kubernetes() {
            return Ok(WriteResult::Skipped);
        }
        let response = self.api.patch(&self.object.name().name, &params(), &Patch::Merge(patch)).await;
        self.written(response, "finalizers").map_err(Error::WriteFinalizers)
    }

    async fn write_status(
        &self,
        previous: Option<&RuntimeTenantStatus>,
        next: &RuntimeTenantStatus,
        version: &str,
    ) -> Result<WriteResult, Error> {
        // Without an epoch nothing is known of what Redis holds, and these members decide who is live after a loss.
        let kept = self.ctx.writer.state().epoch().is_none().then(|| without_published(previous, next));
        let patch = json!({
            "metadata": { "uid": self.object.uid(), "resourceVersion": version },
            "status": merge_patch(previous, kept.as_ref().unwrap_or(next)),
        });
        // Right before it is sent: another replica may lead by now, which writes the status itself.
        if !self.ctx.writer.may_write_kubernetes() {
            return Ok(WriteResult::Skipped);
        }
        let response = self.api.patch_status(&self.object.name().name, &params(), &Patch::Merge(patch)).await;
        let written = self.written(response, "status").map_err(Error::WriteStatus)?;
        if matches!(written, WriteResult::Changed(_)) {
            self.ctx.metrics.status_writes.inc();
        }
        Ok(written)
    }

    /// Remembers the operator's own write until the watch shows it. A conflict or a missing object is no error: the watch
    /// will show, or has shown, what is there instead.
    fn written(
        &self,
        response: Result<WrittenTenant, kube::Error>,
        what: &'static str,
    ) -> Result<WriteResult, kube::Error> {
        let resource = self.object.name();
        let error = match response {
            Ok(written) => {
                let version = written.meta().resource_version.clone();
                let number = version.as_ref().and_then(|version| version.parse().ok());
                self.ctx.note(|index| index.own_write(&self.object.uid(), number));
                let same = version.as_ref().is_some_and(|version| version == self.object.resource_version());
                return Ok(if same { WriteResult::Unchanged } else { WriteResult::Changed(version) });
            }
            Err(error) => error,
        };
        match Refusal::of(&error) {
            Refusal::Outdated => debug!(%resource, what, "write skipped: resource has changed"),
            Refusal::NeedsChange => {
                let message = api_server_cause(&error);
                warn!(%resource, what, message, "API server rejects the write until the resource is changed");
                return Ok(WriteResult::Rejected);
            }
            Refusal::Transient => return Err(error),
        }
        Ok(WriteResult::Skipped)
    }

    fn record_events(&self, events: Vec<EventDraft>) {
        if events.is_empty() {
            return;
        }
        let regarding = Regarding {
            api_version: WrittenTenant::api_version(&()),
            kind: WrittenTenant::kind(&()),
            name: self.object.name(),
            uid: Some(self.object.uid()),
            resource_version: Some(self.object.resource_version().into()),
        };
        for event in events {
            self.ctx.events.enqueue(PendingEvent::now(regarding.clone(), "Reconcile", event));
        }
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
