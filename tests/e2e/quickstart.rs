//! The commands of the quickstart, from the installation on: kind is replaced by the test's own cluster.

use local_cluster::ClusterOptions;

use crate::pages::{Reader, blocks};
use crate::site::Site;

pub async fn story() {
    let site = Site::start(ClusterOptions::default()).await;
    let reader = Reader::new(&site, site.cluster.kubeconfig(), "reader", "helm");
    let [install, tenant] = &blocks("quickstart", "# Quickstart with kind")[..] else { panic!("two blocks") };
    reader.runs(install).await;
    let shown = reader.runs(tenant).await;
    let row =
        shown.lines().find(|line| line.starts_with("corner-bakery ")).unwrap_or_else(|| panic!("{shown}"));
    assert!(row.contains("1/1") && row.contains("True"), "{row}");
}
