//! Writes one tenant's status and finalizers.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde_json::json;
use tracing::{debug, warn};

use super::super::context::Context;
use super::super::error::Error;
use super::super::watch::WatchedTenant;
use super::events::{PendingEvent, Regarding};
use super::patch::merge_patch;
use super::transitions::transition_events;
use crate::api::{FINALIZER, RuntimeTenantStatus};
use crate::domain::assessment::{Assessment, NotPublished};
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::index::{CachedStatus, CachedTenant, Failure, PendingStatus};
use crate::domain::plan::Outcome;
use crate::domain::reason::Reason;
use crate::domain::status;

const FIELD_MANAGER: &str = "runtime-operator";

/// The result of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteResult {
    /// The API server stored a new version, which the watch will show.
    Changed,
    /// The API server had the same content already: there is no new version, and the watch shows nothing.
    Unchanged,
    /// The resource has changed in the meantime, and is reconciled again; or the API server rejects the write.
    Skipped,
}

/// Writes the status and the finalizer of one tenant, and enqueues its events.
pub struct StatusWriter<'a> {
    ctx: &'a Context,
    api: Api<WatchedTenant>,
    object: Arc<CachedTenant>,
}

impl<'a> StatusWriter<'a> {
    /// A writer for this version of a resource.
    pub fn new(ctx: &'a Context, object: Arc<CachedTenant>) -> Self {
        let api = Api::namespaced(ctx.client.clone(), &object.name().namespace);
        Self { ctx, api, object }
    }

    /// Enqueues the events, and writes the status or the finalizers if they differ: one write at most.
    pub async fn write(&self, pending: PendingStatus) -> Result<(), Error> {
        self.record_events(pending.events);
        match (pending.outcome, pending.failure) {
            (Some(Outcome::FinalizerRemovable), _) => self.remove_finalizer().await,
            (Some(Outcome::Assessed(assessment)), _) => {
                self.write_assessment(&assessment, pending.published).await
            }
            (None, Some(failure)) => self.write_first_status(&failure).await,
            (None, None) => Ok(()),
        }
    }

    async fn write_assessment(&self, assessment: &Assessment, published: bool) -> Result<(), Error> {
        // The API server would reject whatever is written to an object that it can't decode either, for good.
        if let Some(NotPublished::Unreadable(why)) = &assessment.not_published {
            self.ctx.metrics.unreadable_resources.inc();
            self.report_unreadable(why, assessment.message());
            return Ok(());
        }
        let previous = self.object.status().map(CachedStatus::status);
        let previous = previous.as_ref();
        let next = status::next(previous, assessment, published, Timestamp::now());
        let changed = previous != Some(&next);
        let written =
            if changed { self.write_status(previous, &next).await? } else { WriteResult::Unchanged };
        if written == WriteResult::Skipped {
            return Ok(());
        }
        if changed {
            self.record_events(transition_events(previous, &next, assessment));
        }
        if published {
            self.ctx.note(|index| index.status_written(&self.object.uid()));
        }
        // The finalizer is added when the watch shows the status, after the statuses of all tenants. Until then a deletion
        // is noticed by the watch, or by the orphan sweep.
        if written == WriteResult::Changed || self.object.is_deleting() || self.object.has_finalizer() {
            return Ok(());
        }
        self.add_finalizer().await
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

    /// Writes that a resource without a status could not be reconciled yet: without one it would pass for done.
    async fn write_first_status(&self, failure: &Failure) -> Result<(), Error> {
        let has_status = self.object.status().is_some_and(|status| status.conditions().next().is_some());
        if has_status || self.object.is_deleting() {
            return Ok(());
        }
        let message = format!("{}; retrying", failure.message);
        let next = status::pending(self.object.generation(), failure.reason, &message, Timestamp::now());
        let previous = self.object.status().map(CachedStatus::status);
        self.write_status(previous.as_ref(), &next).await.map(drop)
    }

    async fn add_finalizer(&self) -> Result<(), Error> {
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
    async fn write_finalizers(&self, finalizers: &[&str]) -> Result<(), Error> {
        let patch = json!({"metadata": {
            "uid": self.object.uid(),
            "resourceVersion": self.object.resource_version(),
            "finalizers": finalizers,
        }});
        let response = self.api.patch(&self.object.name().name, &params(), &Patch::Merge(patch)).await;
        self.written(response, "finalizers").map(drop).map_err(Error::WriteFinalizers)
    }

    async fn write_status(
        &self,
        previous: Option<&RuntimeTenantStatus>,
        next: &RuntimeTenantStatus,
    ) -> Result<WriteResult, Error> {
        let patch = json!({
            "metadata": { "uid": self.object.uid(), "resourceVersion": self.object.resource_version() },
            "status": merge_patch(previous, next),
        });
        self.ctx.metrics.status_writes.inc();
        let response = self.api.patch_status(&self.object.name().name, &params(), &Patch::Merge(patch)).await;
        self.written(response, "status").map_err(Error::WriteStatus)
    }

    /// Remembers the operator's own write until the watch shows it. A conflict or a missing object is no error: the watch
    /// will show, or has shown, what is there instead.
    fn written(
        &self,
        response: Result<WatchedTenant, kube::Error>,
        what: &'static str,
    ) -> Result<WriteResult, kube::Error> {
        let resource = self.object.name();
        match response {
            Ok(written) => {
                let version = written.meta().resource_version.as_ref();
                let number = version.and_then(|version| version.parse().ok());
                self.ctx.note(|index| index.own_write(&self.object.uid(), number));
                let same = version.is_some_and(|version| version == self.object.resource_version());
                Ok(if same { WriteResult::Unchanged } else { WriteResult::Changed })
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                debug!(%resource, code = status.code, what, "write skipped: resource has changed");
                Ok(WriteResult::Skipped)
            }
            Err(kube::Error::Api(status)) if status.code == 422 => {
                warn!(%resource, what, message = status.message, "API server rejected the write");
                Ok(WriteResult::Skipped)
            }
            Err(error) => Err(error),
        }
    }

    fn record_events(&self, events: Vec<EventDraft>) {
        if events.is_empty() {
            return;
        }
        let regarding = Regarding {
            api_version: WatchedTenant::api_version(&()),
            kind: WatchedTenant::kind(&()),
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
