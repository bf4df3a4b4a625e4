//! Reports about the operator as a whole: events on its Lease, and a metric.

use k8s_openapi::Resource;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::context::Context;
use super::status::{PendingEvent, Regarding};
use crate::domain::Uid;
use crate::domain::event::{EventDraft, EventReason};
use crate::leader::Notices;

/// Reports a second install, each time that one appears. Never ends.
pub async fn report(ctx: &Context) {
    let mut notices = ctx.writer.notices();
    let mut before = Notices::default();
    loop {
        let now = notices.borrow_and_update().clone();
        let installs = |notices: &Notices| [notices.contested.clone(), notices.second_install.clone()];
        ctx.metrics.second_install.set(i64::from(installs(&now).iter().any(Option::is_some)));
        ctx.metrics.clock_skew_seconds.set(now.clock_skew);
        for (before, now) in installs(&before).into_iter().zip(installs(&now)) {
            if let Some(text) = now.filter(|text| before.as_ref() != Some(text)) {
                on_lease(ctx, "Elect", EventDraft::new(EventReason::SecondInstall, text)).await;
            }
        }
        before = now;
        if notices.changed().await.is_err() {
            return;
        }
    }
}

/// Enqueues an event on the Lease, which stands for the operator as a whole.
pub async fn on_lease(ctx: &Context, action: &'static str, draft: EventDraft) {
    let leases: Api<Lease> = Api::namespaced(ctx.client.clone(), &ctx.lease.namespace);
    // Without an election there may be none; an event may regard an object that does not exist.
    let lease = leases.get_opt(&ctx.lease.name).await.ok().flatten();
    let regarding = Regarding {
        api_version: Lease::API_VERSION.into(),
        kind: Lease::KIND.into(),
        name: ctx.lease.clone(),
        uid: lease.and_then(|lease| lease.metadata.uid).map(Uid::from),
        resource_version: None,
    };
    ctx.events.enqueue(PendingEvent::now(regarding, action, draft));
}
