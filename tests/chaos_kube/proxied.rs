//! A world with a proxy between the operator and the API server, and another one between the operator and Redis.

use std::ops::Deref;
use std::path::PathBuf;

use test_support::proxy::{FaultInjector, KubeProxy, RedisProxy};
use test_support::{Operator, OperatorBuilder, World};
use tokio::task::JoinHandle;

/// A world whose operator uses the proxies; the test itself and the reader do not.
pub struct Proxied {
    pub world: World,
    pub injector: FaultInjector,
    pub kube: KubeProxy,
    redis: RedisProxy,
    kubeconfig: PathBuf,
}

impl Proxied {
    /// Starts the proxies in front of this world's API server and Redis.
    pub async fn new(world: World) -> Self {
        let injector = FaultInjector::default();
        RedisProxy::load_scripts(world.redis()).await;
        let redis = RedisProxy::start(&world.redis().address(), injector.clone()).await;
        let kube = KubeProxy::start(world.kubeconfig(), injector.clone()).await;
        let kubeconfig = world.write_file("proxy.kubeconfig", &kube.kubeconfig(world.namespace()));
        Self { world, injector, kube, redis, kubeconfig }
    }

    /// Starts an operator behind the proxies and waits until it is ready.
    pub async fn start(&self) -> Operator {
        let operator = self.spawn().await;
        operator.wait_ready().await.unwrap();
        operator
    }

    /// Starts an operator behind the proxies and waits for nothing.
    pub async fn spawn(&self) -> Operator {
        self.operator().spawn().await
    }

    /// Returns a builder for an operator behind the proxies.
    pub fn operator(&self) -> OperatorBuilder<'_> {
        self.world.operator().kubeconfig(&self.kubeconfig).env("REDIS_URL", self.redis.url())
    }

    /// Kills the operator when the injector requests a crash, and restarts it, as a kubelet would; until the task is aborted.
    pub fn attend(&self, operator: &Operator) -> Attendant {
        let (injector, operator) = (self.injector.clone(), operator.clone());
        Attendant(tokio::spawn(async move {
            loop {
                injector.crash_requested().await;
                operator.kill().await.unwrap();
                injector.crashed();
                operator.restart().await.unwrap();
            }
        }))
    }
}

impl Deref for Proxied {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// The task that restarts the operator; ends on drop.
pub struct Attendant(JoinHandle<()>);

impl Drop for Attendant {
    fn drop(&mut self) {
        self.0.abort();
    }
}
