//! The notes of the writers: who writes for which namespaces. They change nothing that a script decides.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::client::Store;
use super::connection::StoreError;
use super::keys::{EPOCHS_KEY, WRITERS_KEY};
use crate::domain::ClusterId;

/// A writer's note about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterNote {
    /// The scope of its epochs.
    pub scope: String,
    /// The cluster that its ownership records name.
    pub cluster: ClusterId,
    /// Its Lease, as `<namespace>/<name>`.
    pub lease: String,
    /// The namespaces that it watches; empty: all.
    pub namespaces: Vec<String>,
    /// Increases while another writer must see that it is alive.
    pub heartbeat: u64,
}

impl WriterNote {
    /// True where both write for the same namespace of the same cluster, with epochs of their own.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let all = self.namespaces.is_empty() || other.namespaces.is_empty();
        let shared = || self.namespaces.iter().any(|namespace| other.namespaces.contains(namespace));
        self.scope != other.scope && self.cluster == other.cluster && (all || shared())
    }
}

impl Store {
    /// The scope of this writer's epochs, which the replicas of one Lease share.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.writer
    }

    /// Returns the process that acquired the latest epoch of this scope, if that was another than this one.
    pub async fn epoch_of_another(&self) -> Result<Option<String>, StoreError> {
        let mark: Option<Vec<u8>> = self.query(redis::cmd("HGET").arg(EPOCHS_KEY).arg(&*self.writer)).await?;
        let mark = mark.map(|mark| String::from_utf8_lossy(&mark).into_owned());
        let process = mark.as_deref().and_then(|mark| Some(mark.split_once('/')?.1.to_owned()));
        Ok(process.filter(|process| **process != *self.process_id))
    }

    /// Returns `true`, once, if Redis knew no epoch of this writer when this process acquired one: it was lost, or it is the
    /// first.
    #[must_use]
    pub fn epochs_were_lost(&self) -> bool {
        self.seen.take_lost()
    }

    /// Returns those of these clusters whose operator Redis knows: it has an epoch, or records.
    pub async fn present_clusters(
        &self,
        clusters: &BTreeSet<ClusterId>,
    ) -> Result<Vec<ClusterId>, StoreError> {
        if clusters.is_empty() {
            return Ok(Vec::new());
        }
        let mut notes = self.noted_writers().await?;
        notes.retain(|note| clusters.contains(&note.cluster));
        let mut present = BTreeSet::new();
        if !notes.is_empty() {
            let mut read = redis::cmd("HMGET");
            read.arg(EPOCHS_KEY);
            for note in &notes {
                read.arg(&note.scope);
            }
            let epochs: Vec<Option<Vec<u8>>> = match self.query(&read).await {
                // A hash of another type is lost.
                Err(StoreError::WrongType { .. }) => Vec::new(),
                epochs => epochs?,
            };
            let acquired = notes.into_iter().zip(epochs).filter(|(_, epoch)| epoch.is_some());
            present.extend(acquired.map(|(note, _)| note.cluster));
        }
        // An operator that stopped has removed its note; its records are there.
        for cluster in clusters {
            if !present.contains(cluster) && !self.tenants(cluster).await?.is_empty() {
                present.insert(cluster.clone());
            }
        }
        Ok(present.into_iter().collect())
    }

    /// Writes this writer's note. Where another client has stored a value of another type, it is replaced.
    pub async fn note_writer(&self, note: &WriterNote) -> Result<(), StoreError> {
        let text = serde_json::to_string(note).map_err(|error| StoreError::Unexpected(error.to_string()))?;
        let mut write = redis::cmd("HSET");
        write.arg(WRITERS_KEY).arg(&note.scope).arg(text);
        match self.query(&write).await {
            Err(StoreError::WrongType { .. }) => {
                let () = self.query(redis::cmd("DEL").arg(WRITERS_KEY)).await?;
                self.query(&write).await
            }
            written => written,
        }
    }

    /// Removes the note of a scope.
    pub async fn forget_writer(&self, scope: &str) -> Result<(), StoreError> {
        self.query(redis::cmd("HDEL").arg(WRITERS_KEY).arg(scope)).await
    }

    /// Returns the notes of all writers. One that can't be read is left out.
    pub async fn noted_writers(&self) -> Result<Vec<WriterNote>, StoreError> {
        let notes: Vec<Vec<u8>> = match self.query(redis::cmd("HVALS").arg(WRITERS_KEY)).await {
            Err(StoreError::WrongType { .. }) => Vec::new(),
            notes => notes?,
        };
        Ok(notes.iter().filter_map(|note| serde_json::from_slice(note).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(scope: &str, cluster: &str, namespaces: &[&str]) -> WriterNote {
        WriterNote {
            scope: scope.to_owned(),
            cluster: ClusterId::new(cluster),
            lease: scope.to_owned(),
            namespaces: namespaces.iter().map(|namespace| (*namespace).to_owned()).collect(),
            heartbeat: 1,
        }
    }

    #[test]
    fn writers_overlap_that_share_a_namespace_of_a_cluster() {
        let own = note("here/one", "here", &["a", "b"]);
        assert!(own.overlaps(&note("here/two", "here", &["b", "c"])));
        assert!(own.overlaps(&note("here/two", "here", &[])), "all namespaces");
        assert!(!own.overlaps(&note("here/two", "here", &["c"])));
        assert!(!own.overlaps(&note("there/two", "there", &["a"])));
        assert!(!own.overlaps(&own.clone()));
    }
}
