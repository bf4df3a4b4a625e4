//! A world in which a gate stands between the operator and each of its two sides.

use std::ops::Deref;
use std::path::PathBuf;

use tokio::task::JoinHandle;

use crate::gate::{Fuse, KubeGate, RedisGate};
use crate::support::{Operator, OperatorBuilder, World};

/// A world whose operator goes through gates; the test itself and the reader do not.
pub struct Gated {
    pub world: World,
    pub fuse: Fuse,
    pub kube: KubeGate,
    redis: RedisGate,
    kubeconfig: PathBuf,
}

impl Gated {
    /// Gates in front of this world's API server and Redis.
    pub async fn new(world: World) -> Self {
        let fuse = Fuse::default();
        RedisGate::teach(world.redis()).await;
        let redis = RedisGate::start(&world.redis().address(), fuse.clone()).await;
        let kube = KubeGate::start(world.kubeconfig(), fuse.clone()).await;
        let kubeconfig = world.write_file("gate.kubeconfig", &kube.kubeconfig(world.namespace()));
        Self { world, fuse, kube, redis, kubeconfig }
    }

    /// Starts an operator behind the gates and waits until it is ready.
    pub async fn start(&self) -> Operator {
        let operator = self.spawn().await;
        operator.wait_ready().await.unwrap();
        operator
    }

    /// Starts an operator behind the gates and waits for nothing.
    pub async fn spawn(&self) -> Operator {
        self.operator().spawn().await
    }

    /// An operator behind the gates, to be set up and started.
    pub fn operator(&self) -> OperatorBuilder<'_> {
        self.world.operator().kubeconfig(&self.kubeconfig).env("REDIS_URL", self.redis.url())
    }

    /// Kills the operator when the fuse says so, and starts it again, as a kubelet would; until the task is aborted.
    pub fn attend(&self, operator: &Operator) -> Attendant {
        let (fuse, operator) = (self.fuse.clone(), operator.clone());
        Attendant(tokio::spawn(async move {
            loop {
                fuse.doomed().await;
                operator.kill().await.unwrap();
                fuse.killed();
                operator.restart().await.unwrap();
            }
        }))
    }
}

impl Deref for Gated {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Whoever starts the operator again; ends on drop.
pub struct Attendant(JoinHandle<()>);

impl Drop for Attendant {
    fn drop(&mut self) {
        self.0.abort();
    }
}
