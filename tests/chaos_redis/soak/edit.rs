//! Edits of the resources during a fault. An edit that the API server does not accept for that reason is skipped.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use test_support::{World, tenant};
use tokio::time::timeout;

const TENANTS: u8 = 6;
/// Fewer DIDs than the tenants claim, so that several claim one.
const NUMBERS: u8 = 10;

/// The tenants of the other cluster, with DIDs of their own.
const NEIGHBOURS: u8 = 2;

/// An edit of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Sets these DIDs; creates the resource if it does not exist.
    Numbers(u8, Vec<u8>),
    /// Changes the value of its Secret.
    Rotate(u8, u32),
    /// Deletes it.
    Delete(u8),
    /// Gives a tenant of the other cluster this DID of its own.
    Neighbour(u8, u8),
}

impl Edit {
    pub fn draw(random: &mut StdRng, deletes: bool) -> Self {
        let of = random.random_range(0..TENANTS);
        match random.random_range(0..10) {
            0 if deletes => Self::Delete(of),
            0..=2 => Self::Rotate(of, random.random()),
            3 => Self::Neighbour(of % NEIGHBOURS, random.random_range(0..NUMBERS)),
            _ => {
                let mut numbers: Vec<u8> =
                    (0..random.random_range(1..=3)).map(|_| random.random_range(0..NUMBERS)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                Self::Numbers(of, numbers)
            }
        }
    }

    /// Returns an edit for every tenant that gives it a DID of its own.
    pub fn first() -> Vec<Self> {
        let own = (0..TENANTS).flat_map(|of| [Self::Rotate(of, 0), Self::Numbers(of, vec![of])]);
        own.chain((0..NEIGHBOURS).map(|of| Self::Neighbour(of, 0))).collect()
    }

    /// Applies the edit, unless the API server does not respond.
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
            Self::Neighbour(of, number) => neighbour(world, *of, *number, &params).await,
            Self::Delete(of) => world.tenants().delete(&name(*of), &DeleteParams::default()).await.map(drop),
        };
        if let Err(error) = done {
            println!("soak: {self:?} was not done: {error}");
        }
    }
}

/// Applies a tenant of the other cluster, in the world's second namespace.
async fn neighbour(world: &World, of: u8, number: u8, params: &PatchParams) -> kube::Result<()> {
    let (name, namespace) = (format!("neighbour-{of}"), &world.namespaces()[1]);
    let did = format!("+155510{of:02}{number:04}");
    let tenant = tenant(&name).dids([did.as_str()]).resource();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("{name}-webhook") },
        "stringData": { "webhookSecret": "whsec-of-a-neighbour" },
    });
    let secrets: Api<Secret> = Api::namespaced(world.client(), namespace);
    secrets.patch(&format!("{name}-webhook"), params, &Patch::Apply(secret)).await?;
    world.tenants_in(namespace).patch(&name, params, &Patch::Apply(tenant)).await.map(drop)
}

fn name(of: u8) -> String {
    format!("t{of}")
}
