//! What is done to the resources while something fails. What the API server does not take for that is not done.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{World, tenant};

const TENANTS: u8 = 6;
/// Fewer than the tenants want, so that several claim one.
const NUMBERS: u8 = 10;

/// What is done to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It has these numbers from now on; where there is no such resource, it is made.
    Numbers(u8, Vec<u8>),
    /// Its Secret has another value.
    Rotate(u8, u32),
    /// It is deleted.
    Delete(u8),
}

impl Edit {
    pub fn draw(random: &mut StdRng, deletes: bool) -> Self {
        let of = random.random_range(0..TENANTS);
        match random.random_range(0..10) {
            0 if deletes => Self::Delete(of),
            0..=2 => Self::Rotate(of, random.random()),
            _ => {
                let mut numbers: Vec<u8> =
                    (0..random.random_range(1..=3)).map(|_| random.random_range(0..NUMBERS)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                Self::Numbers(of, numbers)
            }
        }
    }

    /// Every tenant, with a number of its own.
    pub fn first() -> Vec<Self> {
        (0..TENANTS).flat_map(|of| [Self::Rotate(of, 0), Self::Numbers(of, vec![of])]).collect()
    }

    /// Does it, unless the API server does not answer.
    pub async fn make(&self, world: &World) {
        if timeout(Duration::from_secs(3), self.ask(world)).await.is_err() {
            println!("soak: {self:?} was not answered");
        }
    }

    async fn ask(&self, world: &World) {
        let params = PatchParams::apply("soak").force();
        let done = match self {
            Self::Numbers(of, numbers) => {
                let dids: Vec<String> = numbers.iter().map(|number| format!("+1555000{number:04}")).collect();
                let tenant = tenant(&name(*of)).dids(dids.iter().map(String::as_str)).resource();
                world.tenants().patch(&name(*of), &params, &Patch::Apply(tenant)).await.map(drop)
            }
            Self::Rotate(of, value) => {
                let secrets: Api<Secret> = Api::namespaced(world.client(), world.namespace());
                let name = format!("{}-webhook", name(*of));
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
                    "stringData": { "webhookSecret": format!("whsec-{value}") },
                });
                secrets.patch(&name, &params, &Patch::Apply(secret)).await.map(drop)
            }
            Self::Delete(of) => world.tenants().delete(&name(*of), &DeleteParams::default()).await.map(drop),
        };
        if let Err(error) = done {
            println!("soak: {self:?} was not done: {error}");
        }
    }
}

fn name(of: u8) -> String {
    format!("t{of}")
}
