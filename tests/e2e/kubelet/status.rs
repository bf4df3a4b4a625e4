//! The reported state of a Pod.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// The state of a Pod's container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PodState {
    pub(super) address: String,
    pub(super) phase: &'static str,
    pub(super) started: bool,
    pub(super) ready: bool,
    pub(super) restarts: i32,
    /// The reason for waiting.
    pub(super) waiting: Option<String>,
    /// The exit code of a container that will not be restarted.
    pub(super) ended: Option<i32>,
}

impl PodState {
    /// Writes the state into the Pod's status.
    pub(super) async fn report(&self, pods: &Api<Pod>, pod: &Pod) -> kube::Result<()> {
        let now = Timestamp::now().to_string();
        let spec = pod.spec.as_ref().unwrap();
        let container = &spec.containers[0];
        let state = if let Some(code) = self.ended {
            let reason = if code == 0 { "Completed" } else { "Error" };
            json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now } })
        } else if let Some(why) = &self.waiting {
            json!({ "waiting": { "reason": "ContainerCreating", "message": why } })
        } else {
            json!({ "running": { "startedAt": now } })
        };
        let condition = |kind: &str, holds: bool| {
            let status = if holds { "True" } else { "False" };
            json!({ "type": kind, "status": status, "lastTransitionTime": now, "observedGeneration": pod.metadata.generation })
        };
        let patch: Value = json!({ "metadata": { "uid": pod.uid() }, "status": {
            "phase": self.phase,
            "podIP": self.address,
            "podIPs": [{ "ip": self.address }],
            "hostIP": "10.88.0.1",
            "startTime": pod.metadata.creation_timestamp,
            "conditions": [
                condition("Initialized", true),
                condition("ContainersReady", self.ready),
                condition("Ready", self.ready),
            ],
            "containerStatuses": [{
                "name": container.name,
                "image": container.image,
                "imageID": container.image,
                "ready": self.ready,
                "started": self.started,
                "restartCount": self.restarts,
                "state": state,
            }],
        }});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await.map(drop)
    }
}
