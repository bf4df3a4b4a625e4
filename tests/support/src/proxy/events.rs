//! Filters the events of a watch, line by line: drops one, or ends the watch as expired.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// The API server's last event of a watch whose resourceVersion is no longer available.
const TOO_OLD: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}"#;
/// The time from a dropped event to the end of the watch.
const RELIST_AFTER: Duration = Duration::from_millis(300);

#[derive(Default)]
struct State {
    seen: usize,
    too_old: usize,
    lose: Option<usize>,
    lost: Option<String>,
}

/// Counts the events of all watches of a proxy.
pub struct Events {
    state: Mutex<State>,
    expired: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self { state: Mutex::default(), expired: watch::Sender::new(0) }
    }
}

impl Events {
    /// Resets the count, and drops the `n`-th event from now on, the first being 1.
    pub fn lose(&self, n: Option<usize>) {
        *self.state.lock().unwrap() = State { lose: n, ..State::default() };
    }

    /// Returns the event that was dropped, if one was.
    pub fn lost(&self) -> Option<String> {
        self.state.lock().unwrap().lost.clone()
    }

    /// Returns the number of events so far.
    pub fn seen(&self) -> usize {
        self.state.lock().unwrap().seen
    }

    /// Returns the number of watches that the API server itself has ended as expired.
    pub fn too_old(&self) -> usize {
        self.state.lock().unwrap().too_old
    }

    /// Ends every open watch as expired: the client lists again.
    pub fn expire(&self) {
        self.expired.send_modify(|times| *times += 1);
    }

    /// Returns the lines of a watch without the dropped ones.
    pub fn filter<S>(self: Arc<Self>, chunks: S) -> Lines
    where
        S: Stream<Item = Result<Bytes, String>> + Send + 'static,
    {
        let expired = self.expired.subscribe();
        let state = (self, chunks.boxed(), Vec::new(), expired, false);
        stream::unfold(state, |(events, mut chunks, mut rest, mut expired, over)| async move {
            if over {
                return None;
            }
            tokio::select! {
                biased;
                _ = expired.changed() => {
                    let line = Bytes::from(format!("{TOO_OLD}\n"));
                    Some((Ok(line), (events, chunks, rest, expired, true)))
                }
                chunk = chunks.next() => match chunk? {
                    Ok(chunk) => {
                        rest.extend_from_slice(&chunk);
                        let lines = events.forwarded(&mut rest);
                        Some((Ok(Bytes::from(lines)), (events, chunks, rest, expired, false)))
                    }
                    Err(error) => Some((Err(error), (events, chunks, rest, expired, true))),
                },
            }
        })
        .boxed()
    }

    /// Removes the whole lines from `bytes`; returns those that are not dropped.
    fn forwarded(self: &Arc<Self>, bytes: &mut Vec<u8>) -> Vec<u8> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = bytes.drain(..whole).collect();
        lines
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| !self.is_lost(line))
            .flatten()
            .copied()
            .collect()
    }

    fn is_lost(self: &Arc<Self>, line: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { return false };
        let what = event["type"].as_str().unwrap_or_default();
        if what == "ERROR" && event["object"]["code"] == 410 {
            self.state.lock().unwrap().too_old += 1;
        }
        if !["ADDED", "MODIFIED", "DELETED"].contains(&what) {
            return false;
        }
        let mut state = self.state.lock().unwrap();
        state.seen += 1;
        if state.lose != Some(state.seen) {
            return false;
        }
        let object = &event["object"];
        let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
        state.lost = Some(format!("{what} {kind} {name}"));
        let events = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(RELIST_AFTER).await;
            events.expire();
        });
        true
    }
}

/// The lines of a watch, in pieces.
pub type Lines = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;
