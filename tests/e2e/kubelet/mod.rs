//! A small kubelet for all nodes: runs each Pod that is bound to a node as its spec and its image say, with its own network, root
//! file system and token, probes it, and reports its status. The processes are real; the additions of a container runtime
//! (cgroups, seccomp) are missing.

mod image;
mod pod;
mod probe;
mod sandbox;
mod status;
mod volumes;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use local_cluster::{Folder, Process};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The kubelet, which runs until it is dropped; the Pods' processes end with it.
pub struct Kubelet {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// The parts that all Pods share.
struct Shared {
    client: Client,
    hosts: PathBuf,
    folder: Folder,
    addresses: AtomicU16,
    running: Mutex<BTreeMap<String, Arc<Process>>>,
}

impl Kubelet {
    pub fn start(client: Client, hosts: PathBuf) -> Self {
        let folder = Folder::new("kubelet").unwrap();
        let shared =
            Shared { client, hosts, folder, addresses: AtomicU16::new(1), running: Mutex::default() };
        let shared = Arc::new(shared);
        let task = tokio::spawn(keep(Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Returns the process of a Pod's container, by the Pod's name.
    pub fn process(&self, pod: &str) -> Option<Arc<Process>> {
        self.shared.running.lock().unwrap().get(pod).cloned()
    }

    /// Returns the end of the log of every Pod that ran.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.shared.folder.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(15)..].join("\n");
                writeln!(text, "--- {}\n{tail}", entry.file_name().to_string_lossy()).unwrap();
            }
        }
        text
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
        let running = std::mem::take(&mut *self.shared.running.lock().unwrap());
        for process in running.values() {
            process.end();
        }
    }
}

impl Shared {
    /// Returns a free address, and the index of its network.
    fn next_address(&self) -> (u16, String) {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        (number, format!("10.88.{}.{}", number / 250, number % 250 + 2))
    }
}

/// Starts a task for each Pod that has a node, and sends it every change of the Pod.
async fn keep(shared: Arc<Shared>) {
    let mut pods: BTreeMap<String, watch::Sender<Pod>> = BTreeMap::new();
    let api: Api<Pod> = Api::all(shared.client.clone());
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                let uid = pod.uid().unwrap();
                if let Some(known) = pods.get(&uid) {
                    known.send_replace(pod);
                } else if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
                    let (sender, receiver) = watch::channel(pod);
                    pods.insert(uid, sender);
                    tokio::spawn(pod::live(Arc::clone(&shared), receiver));
                }
            }
            Ok(watcher::Event::Delete(pod)) => {
                pods.remove(&pod.uid().unwrap());
            }
            Ok(_) | Err(_) => {}
        }
    }
}
