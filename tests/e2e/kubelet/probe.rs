//! Probes, sent from the node to the Pod's address as a kubelet does.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A probe of a container, and the count of equal consecutive results.
pub(super) struct Probing {
    probe: Probe,
    due: Instant,
    failed: i32,
    /// The result, after enough equal consecutive ones.
    pub(super) good: bool,
}

impl Probing {
    /// Creates the state of a probe; a missing probe counts as successful.
    pub(super) fn new(probe: Option<&Probe>) -> Option<Self> {
        let probe = probe?.clone();
        let delay = probe.initial_delay_seconds.unwrap_or(0);
        let due = Instant::now() + Duration::from_secs(u64::try_from(delay).unwrap());
        Some(Self { probe, due, failed: 0, good: false })
    }

    /// Probes if it is due. Returns true if it has failed as often in a row as its threshold allows.
    pub(super) async fn ask(&mut self, container: &Container, address: &str) -> bool {
        if Instant::now() < self.due {
            return false;
        }
        let seconds =
            |of: Option<i32>, default: u64| of.and_then(|of| u64::try_from(of).ok()).unwrap_or(default);
        let limit = Duration::from_secs(seconds(self.probe.timeout_seconds, 1));
        let answer = timeout(limit, self.once(container, address)).await.unwrap_or(false);
        self.due = Instant::now() + Duration::from_secs(seconds(self.probe.period_seconds, 10));
        if answer {
            (self.failed, self.good) = (0, true);
            return false;
        }
        self.failed += 1;
        let too_often = self.failed >= self.probe.failure_threshold.unwrap_or(3);
        self.good &= !too_often;
        too_often
    }

    async fn once(&self, container: &Container, address: &str) -> bool {
        if let Some(get) = &self.probe.http_get {
            let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
            let path = get.path.as_deref().unwrap_or("/");
            let url = format!("{scheme}://{address}:{}{path}", port(container, &get.port));
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            return client.get(url).send().await.is_ok_and(|answer| answer.status().is_success());
        }
        let tcp = self.probe.tcp_socket.as_ref().expect("a probe of a supported kind");
        TcpStream::connect(format!("{address}:{}", port(container, &tcp.port))).await.is_ok()
    }
}

fn port(container: &Container, port: &IntOrString) -> i32 {
    match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|is| is.name.as_ref() == Some(name)).expect("the port is named").container_port
        }
    }
}
