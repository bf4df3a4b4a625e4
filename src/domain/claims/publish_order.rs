//! The order in which tenants that pass DIDs to each other must be published, so that no DID is unmapped in between.

use std::collections::{BTreeSet, HashMap};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::Claims;
use crate::domain::Uid;

impl Claims {
    /// The owners, by record, of what `uid` holds now. They yield it to `uid`.
    #[must_use]
    pub fn yielding_owners(&self, uid: &Uid) -> BTreeSet<Uid> {
        let Some(claim) = self.get(uid) else { return BTreeSet::new() };
        let tenant = self.published.owner_of_tenant(&claim.tenant);
        let tenant = tenant.filter(|_| self.tenant_holder(&claim.tenant) == Some(uid));
        let dids = claim.dids.iter().filter(|did| self.holder(did) == Some(uid));
        let owners = dids.filter_map(|did| self.published.owner_of_did(did)).chain(tenant);
        owners.filter(|owner| *owner != uid).cloned().collect()
    }

    /// The tenants that now hold what is published for `uid` by its record. They take it from `uid`.
    #[must_use]
    pub fn taking_owners(&self, uid: &Uid) -> BTreeSet<Uid> {
        let Some(published) = self.published.get(uid) else { return BTreeSet::new() };
        let tenant = self.tenant_holder(&published.tenant);
        let holders = published.dids.iter().filter_map(|did| self.holder(did)).chain(tenant);
        holders.filter(|holder| *holder != uid).cloned().collect()
    }

    /// The order in which to publish `uid` and all tenants that take something from it: a tenant that takes a DID comes
    /// before the one that releases it. Tenants that exchange DIDs form one group, which is published in one operation.
    /// The last group contains `uid`, nearly always alone.
    #[must_use]
    pub fn publish_order(&self, uid: &Uid) -> Vec<Vec<Uid>> {
        // 999 calls of 1,000 end here: no tenant takes anything from this one.
        if self.taking_owners(uid).is_empty() {
            return vec![vec![uid.clone()]];
        }
        let mut graph = DiGraph::<Uid, ()>::new();
        let mut nodes = HashMap::from([(uid.clone(), graph.add_node(uid.clone()))]);
        let mut open = vec![uid.clone()];
        while let Some(releasing) = open.pop() {
            for taking in self.taking_owners(&releasing) {
                let node = *nodes.entry(taking.clone()).or_insert_with(|| {
                    open.push(taking.clone());
                    graph.add_node(taking)
                });
                graph.add_edge(nodes[&releasing], node, ());
            }
        }
        // Tarjan's algorithm yields a component after all components that are reachable from it: takers first.
        let groups = tarjan_scc(&graph).into_iter();
        groups.map(|group| group.into_iter().map(|node| graph[node].clone()).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Claims;
    use super::super::tests::{claim, did, held, publish, published, uid};

    #[test]
    fn the_next_claimant_is_promoted_when_the_holder_releases_a_did() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1, 2]));
        publish(&mut claims, "a");
        claims.upsert(claim("b", 2, "b", &[1]));
        let affected = claims.upsert(claim("a", 1, "a", &[2]));
        assert!(affected.contains(&uid("b")));
        assert_eq!(held(&claims, "b"), [did(1)]);
        assert_eq!(claims.yielding_owners(&uid("b")), BTreeSet::from([uid("a")]));
        assert_eq!(claims.publish_order(&uid("a")), [vec![uid("b")], vec![uid("a")]]);
        assert_eq!(claims.publish_order(&uid("b")), [vec![uid("b")]]);
    }

    #[test]
    fn tenants_that_exchange_dids_are_published_in_one_group() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1]));
        claims.upsert(claim("b", 2, "b", &[2]));
        publish(&mut claims, "a");
        publish(&mut claims, "b");
        claims.upsert(claim("a", 1, "a", &[2]));
        claims.upsert(claim("b", 2, "b", &[1]));
        let groups = claims.publish_order(&uid("a"));
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].iter().cloned().collect::<BTreeSet<_>>(), BTreeSet::from([uid("a"), uid("b")]));
    }

    #[test]
    fn a_record_without_a_resource_yields_to_any_claimant() {
        let mut claims = Claims::default();
        claims.set_published(&uid("gone"), Some(published("a", &[1])));
        assert_eq!(claims.published_without_claim().count(), 1);
        claims.upsert(claim("b", 2, "b", &[1]));
        assert_eq!(claims.yielding_owners(&uid("b")), BTreeSet::from([uid("gone")]));
    }
}
