//! The life of one Pod, from the moment that it has a node.

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
use super::status::Told;
use super::volumes;
use crate::network::API_SERVER;

/// How often a container is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a Pod until it is deleted, or for as long as its restart policy says.
pub(super) async fn live(shared: Arc<Shared>, receiver: watch::Receiver<Pod>) {
    let pod = receiver.borrow().clone();
    let (network, address) = shared.next_address();
    let name = pod.name_any();
    let mut life = Life {
        pods: Api::namespaced(shared.client.clone(), &pod.namespace().unwrap()),
        folder: Folder::new("pod").unwrap(),
        told: Told { address, phase: "Pending", ..Told::default() },
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
    told: Told,
}

/// How a container's run ended.
enum Ended {
    /// The Pod is deleted.
    Deleted,
    /// By itself, or because its liveness probe failed.
    Exited(i32),
}

impl Life {
    async fn run(&mut self) {
        let spec = self.pod.spec.clone().unwrap();
        let [container] = spec.containers.as_slice() else { panic!("Pods of one container are known here") };
        assert!(spec.init_containers.is_none(), "init containers are not known here");
        while let Err(why) = self.prepare().await {
            if self.is_deleted() {
                return self.gone().await;
            }
            self.tell(|told| told.waiting = Some(why.clone())).await;
            sleep(LOOK * 5).await;
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
                    self.tell(|told| {
                        (told.phase, told.ended, told.ready) = (phase, Some(code), false);
                    })
                    .await;
                    while !self.is_deleted() && self.receiver.changed().await.is_ok() {}
                    return self.gone().await;
                }
                Ended::Exited(_) => {
                    self.tell(|told| {
                        (told.restarts, told.started, told.ready) = (told.restarts + 1, false, false);
                    })
                    .await;
                    sleep(LOOK * 10).await;
                }
            }
        }
    }

    fn is_deleted(&self) -> bool {
        // A channel that is closed is a Pod that is gone.
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
            sandbox::network(self.network, &self.told.address)?;
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

    /// What the container's spec gives, and what every container gets.
    async fn environment(&self, container: &Container) -> Result<Vec<(String, String)>, String> {
        assert!(container.env_from.is_none(), "envFrom is not known here");
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
                volumes::field(&self.pod, &field.field_path, &self.told.address)?
            } else if let Some(key) = from.secret_key_ref {
                let members = volumes::secret(&self.shared.client, &namespace, &key.name).await?;
                let found = members.into_iter().find(|(name, _)| *name == key.key);
                String::from_utf8(found.ok_or_else(|| format!("no key {}", key.key))?.1).unwrap()
            } else {
                variable.value.clone().unwrap_or_default()
            };
            assert!(!value.contains("$("), "references between variables are not known here");
            env.push((variable.name.clone(), value));
        }
        Ok(env)
    }

    /// Probes a running container until it ends or is to end.
    async fn watch_over(&mut self, container: &Container, process: &Process) -> Ended {
        let mut startup = Probing::new(container.startup_probe.as_ref());
        let mut liveness = Probing::new(container.liveness_probe.as_ref());
        let mut readiness = Probing::new(container.readiness_probe.as_ref());
        let address = self.told.address.clone();
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
            self.tell(|told| {
                (told.phase, told.waiting) = ("Running", None);
                (told.started, told.ready) = (started, ready);
            })
            .await;
            // A change, such as a deletion, is seen at once.
            let _ = timeout(LOOK, self.receiver.changed()).await;
        }
    }

    /// Tells a change; the API server may be asked again by the next one.
    async fn tell(&mut self, change: impl FnOnce(&mut Told)) {
        let mut told = self.told.clone();
        change(&mut told);
        if told != self.told && told.tell(&self.pods, &self.pod).await.is_ok() {
            self.told = told;
        }
    }

    /// Lets the API server forget the Pod.
    async fn gone(&mut self) {
        let preconditions = Preconditions { uid: self.pod.uid(), resource_version: None };
        let now = DeleteParams::default().grace_period(0).preconditions(preconditions);
        let _ = self.pods.delete(&self.pod.name_any(), &now).await;
    }
}
