//! The hidden command `inspect`, by `pods/exec`.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::answer::{clause, decode};
use super::operator::Operator;
use crate::cli::common::{Access, escaped};
use crate::store::{Facts, FactsQuery};

/// The most bytes of an answer that are read.
const MAX_ANSWER: u64 = 32 << 20;
/// The most bytes of an error that are read.
const MAX_ERROR: u64 = 4 << 10;

/// Runs the command in the operator's container. The error is a clause.
pub(super) async fn inspect(
    access: &Access,
    operator: &Operator,
    pod: &str,
    query: &FactsQuery,
) -> Result<Facts, String> {
    let pods: Api<Pod> = Api::namespaced(access.client.clone(), &operator.namespace);
    let container = operator.container().map(|container| container.name.clone()).unwrap_or_default();
    let params = AttachParams::default().container(container).stdin(false).stdout(true).stderr(true);
    let mut process = pods.exec(pod, command(query), &params).await.map_err(|error| clause(&error))?;
    let status = process.take_status();
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let (answer, errors) = tokio::join!(read(stdout, MAX_ANSWER), read(stderr, MAX_ERROR));
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    if status.as_ref().and_then(|status| status.status.as_deref()) == Some("Success") {
        return decode(&answer);
    }
    let message = status.and_then(|status| status.message).unwrap_or_default();
    let errors = format!("{}\n{message}", String::from_utf8_lossy(&errors));
    let first =
        errors.lines().find(|line| !line.trim().is_empty()).unwrap_or("the command failed without a word");
    Err(escaped(first.trim_start_matches("runtime-operator: ")).into_owned())
}

fn command(query: &FactsQuery) -> Vec<String> {
    let mut command = vec!["runtime-operator".to_owned(), "inspect".to_owned()];
    command.extend(query.dids.iter().map(|did| format!("--did={did}")));
    command.extend(query.tenants.iter().map(|tenant| format!("--tenant={tenant}")));
    for (flag, wanted) in
        [("--documents", query.documents), ("--server", query.server), ("--rehearse", query.rehearse)]
    {
        command.extend(wanted.then(|| flag.to_owned()));
    }
    command
}

async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before an error is all that there is.
        let _ = from.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}
