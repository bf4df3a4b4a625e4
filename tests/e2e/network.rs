//! The network of a node: connects the addresses of Services to ready Pods, and resolves their names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The address of the Service `kubernetes`.
pub const API_SERVER: &str = "10.96.0.1";

/// The network, which runs until it is dropped.
pub struct Network {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Network {
    /// Starts it; `api_server` is an address on loopback, `hosts` a file that Pods see as /etc/hosts.
    pub async fn start(client: &Client, api_server: String, hosts: PathBuf) -> Self {
        let (slices, writer) = reflector::store::<EndpointSlice>();
        let stream = watcher(Api::<EndpointSlice>::all(client.clone()), watcher::Config::default());
        let slices_task =
            tokio::spawn(stream.default_backoff().reflect(writer).applied_objects().for_each(|_| async {}));
        address(API_SERVER);
        let listener = TcpListener::bind((API_SERVER, 443)).await.unwrap();
        let api_task = tokio::spawn(serve(listener, move || Some(api_server.clone())));
        std::fs::write(&hosts, hosts_file(&[])).unwrap();
        // Pods run as other users.
        std::fs::set_permissions(&hosts, Permissions::from_mode(0o644)).unwrap();
        let services_task = tokio::spawn(services(client.clone(), slices, hosts));
        Self { tasks: vec![slices_task, api_task, services_task] }
    }
}

/// Maintains a listener for each port of each Service.
async fn services(client: Client, slices: Store<EndpointSlice>, hosts: PathBuf) {
    let mut listeners: BTreeMap<String, Vec<JoinHandle<()>>> = BTreeMap::new();
    let mut known: BTreeMap<String, Service> = BTreeMap::new();
    let mut events =
        watcher(Api::<Service>::all(client), watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(service) | watcher::Event::InitApply(service)) => {
                let key = key(&service);
                if key != "default/kubernetes" {
                    let tasks = listen(&service, &slices);
                    listeners.insert(key.clone(), tasks).into_iter().flatten().for_each(|task| task.abort());
                    known.insert(key, service);
                }
            }
            Ok(watcher::Event::Delete(service)) => {
                known.remove(&key(&service));
                listeners.remove(&key(&service)).into_iter().flatten().for_each(|task| task.abort());
            }
            Ok(_) | Err(_) => {}
        }
        // Written in place, since Pods have mounted the file itself.
        std::fs::write(&hosts, hosts_file(&known.values().collect::<Vec<_>>())).unwrap();
    }
}

fn key(service: &Service) -> String {
    format!("{}/{}", service.namespace().unwrap_or_default(), service.name_any())
}

/// Opens the listeners of a Service; a Service that had its address before releases the ports a moment later.
fn listen(service: &Service, slices: &Store<EndpointSlice>) -> Vec<JoinHandle<()>> {
    let spec = service.spec.as_ref().unwrap();
    let Some(ip) = spec.cluster_ip.as_ref().filter(|ip| *ip != "None") else { return Vec::new() };
    address(ip);
    let mut tasks = Vec::new();
    for port in spec.ports.iter().flatten() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(format!("{ip}:{}", port.port).parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let (slices, name) = (slices.clone(), port.name.clone().unwrap_or_default());
        let (namespace, service) = (service.namespace().unwrap(), service.name_any());
        let next = Arc::new(Mutex::new(0_usize));
        tasks.push(tokio::spawn(serve(listener, move || {
            let ready = endpoints(&slices, &namespace, &service, &name);
            let mut next = next.lock().unwrap();
            *next += 1;
            (!ready.is_empty()).then(|| ready[*next % ready.len()].clone())
        })));
    }
    tasks
}

/// Returns the ready addresses behind a port of a Service.
fn endpoints(slices: &Store<EndpointSlice>, namespace: &str, service: &str, port: &str) -> Vec<String> {
    let mut found = Vec::new();
    for slice in slices.state() {
        let of = slice.labels().get("kubernetes.io/service-name").map(String::as_str);
        if slice.namespace().as_deref() != Some(namespace) || of != Some(service) {
            continue;
        }
        let ports = slice.ports.iter().flatten();
        let number = ports.filter(|is| is.name.as_deref().unwrap_or_default() == port).find_map(|is| is.port);
        let ready = slice
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.conditions.as_ref().and_then(|is| is.ready) != Some(false));
        let addresses = ready.flat_map(|endpoint| &endpoint.addresses);
        found.extend(addresses.filter_map(|ip| Some(format!("{ip}:{}", number?))));
    }
    found
}

/// Forwards each connection to the address from `backend`; refuses it if there is none.
async fn serve(listener: TcpListener, backend: impl Fn() -> Option<String>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let Some(backend) = backend() else { continue };
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(backend).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

/// Adds an address to this machine, unless it has it already.
fn address(ip: &str) {
    let output = Command::new("ip").args(["address", "replace", &format!("{ip}/32"), "dev", "lo"]).output();
    assert!(output.unwrap().status.success(), "{ip}");
}

/// Returns the lines of /etc/hosts that stand for the cluster's DNS.
fn hosts_file(services: &[&Service]) -> String {
    let mut text = format!("127.0.0.1 localhost\n{API_SERVER} kubernetes.default.svc\n");
    for service in services {
        let Some(ip) = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_ref()) else { continue };
        let (name, namespace) = (service.name_any(), service.namespace().unwrap_or_default());
        // In a cluster the short name works in the Service's own namespace; here it must be unique.
        writeln!(text, "{ip} {name}.{namespace}.svc {name}.{namespace} {name}").unwrap();
    }
    text
}
