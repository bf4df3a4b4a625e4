//! The life of one Pod, from its assignment to a node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt};
use local_cluster::{Folder, Process};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::image::Image;
use super::probe::Probing;
use super::sandbox::{self, Start};
use super::status::PodState;
use super::volumes;
use crate::network::API_SERVER;

/// The interval at which a container is polled.
const POLL: Duration = Duration::from_millis(100);

/// Runs a Pod until it is deleted, or until its restart policy ends it.
pub(super) async fn live(shared: Arc<Shared>, receiver: watch::Receiver<Pod>) {
    let pod = receiver.borrow().clone();
    let (network, address) = shared.next_address();
    let name = pod.name_any();
    let mut life = Life {
        pods: Api::namespaced(shared.client.clone(), &pod.namespace().unwrap()),
        folder: Folder::new("pod").unwrap(),
        state: PodState { address, phase: "Pending", ..PodState::default() },
        shared,
        receiver,
        pod,
        network,
        volumes: Vec::new(),
    };
    life.run().await;
    life.shared.running.lock().unwrap().remove(&name);
    sandbox::drop_network(network);
}

struct Life {
    shared: Arc<Shared>,
    receiver: watch::Receiver<Pod>,
    pods: Api<Pod>,
    pod: Pod,
    folder: Folder,
    network: u16,
    volumes: Vec<(String, PathBuf)>,
    state: PodState,
}

/// The end of a container's run.
enum Ended {
    /// The Pod is deleted.
    Deleted,
    /// It exited, or its liveness probe failed.
    Exited(i32),
}

impl Life {
    async fn run(&mut self) {
        let spec = self.pod.spec.clone().unwrap();
        let [container] = spec.containers.as_slice() else { panic!("Pods of one container are known here") };
        assert!(spec.init_containers.is_none(), "init containers are not supported");
        while let Err(why) = self.prepare().await {
            if self.is_deleted() {
                return self.gone().await;
            }
            self.report(|state| state.waiting = Some(why.clone())).await;
            sleep(POLL * 5).await;
        }
        loop {
            let process = match self.start(container).await {
                Ok(process) => Arc::new(process),
                Err(why) => panic!("{} can't be started: {why}", container.name),
            };
            let name = self.pod.name_any();
            self.shared.running.lock().unwrap().insert(name.clone(), Arc::clone(&process));
            match self.watch_over(container, &process).await {
                Ended::Deleted => {
                    let grace = self.receiver.borrow().metadata.deletion_grace_period_seconds.unwrap_or(30);
                    let grace = Duration::from_secs(u64::try_from(grace).unwrap());
                    if process.is_running() && timeout(grace, process.stop()).await.is_err() {
                        process.end();
                    }
                    return self.gone().await;
                }
                Ended::Exited(code) if spec.restart_policy.as_deref() == Some("Never") => {
                    let phase = if code == 0 { "Succeeded" } else { "Failed" };
                    self.report(|state| {
                        (state.phase, state.ended, state.ready) = (phase, Some(code), false);
                    })
                    .await;
                    while !self.is_deleted() && self.receiver.changed().await.is_ok() {}
                    return self.gone().await;
                }
                Ended::Exited(_) => {
                    self.report(|state| {
                        (state.restarts, state.started, state.ready) = (state.restarts + 1, false, false);
                    })
                    .await;
                    sleep(POLL * 10).await;
                }
            }
        }
    }

    fn is_deleted(&self) -> bool {
        // A closed channel means that the Pod no longer exists.
        self.receiver.has_changed().is_err() || self.receiver.borrow().metadata.deletion_timestamp.is_some()
    }

    async fn prepare(&mut self) -> Result<(), String> {
        let spec = self.pod.spec.clone().unwrap();
        self.volumes.clear();
        for volume in spec.volumes.iter().flatten() {
            let path =
                volumes::write(&self.shared.client, &self.pod, volume, &self.folder.file("volumes")).await?;
            self.volumes.push((volume.name.clone(), path));
        }
        if !std::path::Path::new(&format!("/run/netns/pod{}", self.network)).exists() {
            sandbox::network(self.network, &self.state.address)?;
        }
        Ok(())
    }

    async fn start(&self, container: &Container) -> Result<Process, String> {
        let image = container.image.as_deref().and_then(Image::find);
        let image = image.ok_or_else(|| format!("no image {:?}", container.image))?;
        let env = self.environment(container).await?;
        let start = Start {
            pod: &self.pod,
            container,
            image: &image,
            env: &env,
            volumes: &self.volumes,
            hosts: &self.shared.hosts,
            network: self.network,
            folder: self.folder.path(),
            log: self.shared.folder.file(&format!("{}.log", self.pod.name_any())),
        };
        start.run().await
    }

    /// Returns the environment of the container's spec, and the variables of every container.
    async fn environment(&self, container: &Container) -> Result<Vec<(String, String)>, String> {
        assert!(container.env_from.is_none(), "envFrom is not supported");
        let namespace = self.pod.namespace().unwrap();
        let mut env: Vec<(String, String)> = [
            ("PATH", "/usr/local/bin:/usr/bin"),
            ("HOSTNAME", &self.pod.name_any()),
            ("KUBERNETES_SERVICE_HOST", API_SERVER),
            ("KUBERNETES_SERVICE_PORT", "443"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for variable in container.env.iter().flatten() {
            let from = variable.value_from.clone().unwrap_or_default();
            let value = if let Some(field) = from.field_ref {
                volumes::field(&self.pod, &field.field_path, &self.state.address)?
            } else if let Some(key) = from.secret_key_ref {
                let members = volumes::secret(&self.shared.client, &namespace, &key.name).await?;
                let found = members.into_iter().find(|(name, _)| *name == key.key);
                String::from_utf8(found.ok_or_else(|| format!("no key {}", key.key))?.1).unwrap()
            } else {
                variable.value.clone().unwrap_or_default()
            };
            assert!(!value.contains("$("), "references between variables are not supported");
            env.push((variable.name.clone(), value));
        }
        Ok(env)
    }

    /// Probes a running container until it ends or must end.
    async fn watch_over(&mut self, container: &Container, process: &Process) -> Ended {
        let mut startup = Probing::new(container.startup_probe.as_ref());
        let mut liveness = Probing::new(container.liveness_probe.as_ref());
        let mut readiness = Probing::new(container.readiness_probe.as_ref());
        let address = self.state.address.clone();
        loop {
            if self.is_deleted() {
                return Ended::Deleted;
            }
            if let Ok(Some(status)) = process.exited() {
                return Ended::Exited(status.code().unwrap_or(137));
            }
            let mut failed = false;
            if let Some(probe) = startup.as_mut().filter(|probe| !probe.good) {
                failed = probe.ask(container, &address).await;
            } else {
                if let Some(probe) = &mut liveness {
                    failed = probe.ask(container, &address).await;
                }
                if let Some(probe) = &mut readiness {
                    probe.ask(container, &address).await;
                }
            }
            if failed {
                process.end();
            }
            let started = startup.as_ref().is_none_or(|probe| probe.good);
            let ready = started && readiness.as_ref().is_none_or(|probe| probe.good);
            self.report(|state| {
                (state.phase, state.waiting) = ("Running", None);
                (state.started, state.ready) = (started, ready);
            })
            .await;
            // A change, such as a deletion, is handled immediately.
            let _ = timeout(POLL, self.receiver.changed()).await;
        }
    }

    /// Reports a change of the state; a failed report is repeated with the next one.
    async fn report(&mut self, change: impl FnOnce(&mut PodState)) {
        let mut state = self.state.clone();
        change(&mut state);
        if state != self.state && state.report(&self.pods, &self.pod).await.is_ok() {
            self.state = state;
        }
    }

    /// Removes the Pod from the API server.
    async fn gone(&mut self) {
        let preconditions = Preconditions { uid: self.pod.uid(), resource_version: None };
        let now = DeleteParams::default().grace_period(0).preconditions(preconditions);
        let _ = self.pods.delete(&self.pod.name_any(), &now).await;
    }
}
