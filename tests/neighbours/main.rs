//! One tenant in trouble, or one broken path to the API server, holds up nothing else, and is tried again when it is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod refusals;
mod takers;
mod vanishing;

use std::ops::Deref;

use kube::ResourceExt;
use test_support::proxy::{FaultInjector, KubeProxy};
use test_support::{Operator, World};

pub const ONE: &str = "+15550000001";
pub const TWO: &str = "+15550000002";
pub const THREE: &str = "+15550000003";

/// A world with a proxy between the operator and the API server.
pub struct Proxied {
    pub world: World,
    pub proxy: KubeProxy,
    pub operator: Operator,
}

impl Proxied {
    pub async fn start() -> Self {
        let world = World::new().await;
        let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
        let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
        let operator = world.operator().kubeconfig(&kubeconfig).start().await;
        Self { world, proxy, operator }
    }

    /// Waits until this many more requests have met a fault.
    pub async fn wait_failed(&self, more: u64) {
        let most = self.proxy.failed() + more;
        self.world
            .wait("requests meet the fault", || async {
                let failed = self.proxy.failed();
                if failed >= most { Ok(()) } else { Err(format!("{failed} of {most}")) }
            })
            .await;
    }
}

impl Deref for Proxied {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// True when the operator's finalizer guards a resource.
async fn is_guarded(world: &World, name: &str) -> bool {
    world.get(name).await.unwrap().finalizers().iter().any(|finalizer| finalizer.contains("veralux"))
}

/// Waits until a resource is guarded.
pub async fn wait_guarded(world: &World, name: &str) {
    world
        .wait(&format!("{name} has the finalizer"), || async {
            if is_guarded(world, name).await { Ok(()) } else { Err("it has not".to_owned()) }
        })
        .await;
}
