//! The reader: polls Redis as the voice runtime does during a whole test, and records each DID that maps to a tenant without a
//! valid config that lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Client, Commands, Connection, RedisResult, Script};
use serde_json::Value;

/// Reads mapping and config of each DID at one instant.
const READ_ATOMICALLY: &str = include_str!("read_atomically.lua");

/// The most violations that are recorded.
const MOST_VIOLATIONS: usize = 20;

/// The tenant to which a DID maps, and that tenant's config.
type Reading = (Option<String>, Option<String>);

/// Reads on a thread of its own, independently of the test.
pub struct RuntimeReader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: Client,
    watched: Arc<Watched>,
    violations: Mutex<Vec<Violation>>,
    rounds: AtomicU64,
    done: AtomicBool,
}

struct Violation {
    did: String,
    reading: Reading,
    text: String,
}

/// The DIDs that are read, and those that a test breaks on purpose. All readers of a test share it.
#[derive(Default)]
pub struct Watched {
    known: Mutex<BTreeSet<String>>,
    exempt: Mutex<BTreeSet<String>>,
    all_exempt: AtomicBool,
}

impl Watched {
    /// Adds DIDs to those that are read, mapped or not.
    pub fn know(&self, dids: impl IntoIterator<Item = String>) {
        self.known.lock().unwrap().extend(dids);
    }

    /// Ignores violations of a DID, or of all of them, until [`Watched::resume_checks`].
    pub fn exempt(&self, did: Option<&str>) {
        match did {
            Some(did) => drop(self.exempt.lock().unwrap().insert(did.into())),
            None => self.all_exempt.store(true, Ordering::SeqCst),
        }
    }

    /// Ends all exemptions.
    pub fn resume_checks(&self) {
        self.exempt.lock().unwrap().clear();
        self.all_exempt.store(false, Ordering::SeqCst);
    }

    fn is_exempt(&self, did: &str) -> bool {
        self.all_exempt.load(Ordering::SeqCst) || self.exempt.lock().unwrap().contains(did)
    }
}

impl RuntimeReader {
    /// Starts reading.
    pub fn start(client: Client, watched: Arc<Watched>) -> Self {
        let shared = Arc::new(Shared {
            client,
            watched,
            violations: Mutex::default(),
            rounds: AtomicU64::default(),
            done: AtomicBool::default(),
        });
        let reader = Arc::clone(&shared);
        Self { shared, thread: Some(std::thread::spawn(move || reader.read_on())) }
    }

    /// Returns how often all DIDs have been read.
    pub fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::SeqCst)
    }

    /// Returns the violations so far.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().iter().map(|violation| violation.text.clone()).collect()
    }

    /// Reads once more, ends, and returns the violations.
    pub fn finish(&mut self) -> Vec<String> {
        self.shared.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader did not panic");
        }
        self.violations()
    }
}

impl Drop for RuntimeReader {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    /// Reads until the end. A Redis that can't be reached shows no DID to any caller, which is no violation: it reconnects.
    fn read_on(&self) {
        let begin = Instant::now();
        loop {
            let done = self.done.load(Ordering::SeqCst);
            let answered = self.connect().and_then(|connection| self.rounds(connection, begin));
            if done || answered.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(connection)
    }

    /// Reads on one connection until the end; the last round begins after the end was requested.
    fn rounds(&self, mut connection: Connection, begin: Instant) -> RedisResult<()> {
        let mut good = BTreeMap::new();
        loop {
            let done = self.done.load(Ordering::SeqCst);
            if done || self.rounds.load(Ordering::SeqCst).is_multiple_of(10) {
                self.discover(&mut connection)?;
            }
            self.round(&mut connection, &mut good, begin)?;
            self.rounds.fetch_add(1, Ordering::SeqCst);
            if done {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Finds DIDs that the test never named, such as one mapped by mistake.
    fn discover(&self, connection: &mut Connection) -> RedisResult<()> {
        let keys: Vec<String> = connection.scan_match("tenantmap:did:*")?.collect::<RedisResult<_>>()?;
        self.watched.know(keys.iter().filter_map(|key| Some(key.strip_prefix("tenantmap:did:")?.to_owned())));
        Ok(())
    }

    /// Reads DID by DID as the runtime does, then all of them at one instant.
    fn round(
        &self,
        connection: &mut Connection,
        good: &mut BTreeMap<String, Reading>,
        begin: Instant,
    ) -> RedisResult<()> {
        let dids: Vec<String> = self.watched.known.lock().unwrap().iter().cloned().collect();
        if dids.is_empty() {
            return Ok(());
        }
        let mut readings = Vec::new();
        for did in &dids {
            readings.push(read_as_a_caller(connection, did)?);
        }
        readings.extend(read_atomically(connection, &dids)?);
        for (did, reading) in dids.iter().cycle().zip(readings) {
            if let Some(why) = checked(did, &reading, good) {
                self.record(did, &reading, &why, begin);
            }
        }
        Ok(())
    }

    /// Records a violation; the same one of the same DID only once.
    fn record(&self, did: &str, reading: &Reading, why: &str, begin: Instant) {
        let mut violations = self.violations.lock().unwrap();
        let known = violations.iter().any(|other| other.did == did && other.reading == *reading);
        if known || self.watched.is_exempt(did) || violations.len() >= MOST_VIOLATIONS {
            return;
        }
        let (tenant, at) = (reading.0.as_deref().unwrap_or_default(), begin.elapsed());
        let config: String = reading.1.iter().flat_map(|config| config.chars().take(300)).collect();
        let text = format!("after {at:?}: {did} maps to {tenant:?}, whose config {why}: {config}");
        violations.push(Violation { did: did.into(), reading: reading.clone(), text });
    }
}

/// Reads the mapping, then the config. A DID that moves in between would show a violation where there is none, so the second
/// read gets the mapping again in the same transaction; if it has changed, the reading is empty.
fn read_as_a_caller(connection: &mut Connection, did: &str) -> RedisResult<Reading> {
    let mapping = format!("tenantmap:did:{did}");
    let Some(tenant) = connection.get::<_, Option<String>>(&mapping)? else { return Ok((None, None)) };
    let mut both = redis::pipe();
    both.atomic().get(&mapping).get(format!("tenantcfg:{tenant}"));
    let (still, config): Reading = both.query(connection)?;
    Ok(if still.as_ref() == Some(&tenant) { (still, config) } else { (None, None) })
}

/// Reads all DIDs at one instant. Lua's `false` is nil in the reply.
fn read_atomically(connection: &mut Connection, dids: &[String]) -> RedisResult<Vec<Reading>> {
    let script = Script::new(READ_ATOMICALLY);
    let mut call = script.prepare_invoke();
    for did in dids {
        call.arg(did);
    }
    call.invoke(connection)
}

/// Returns the violation of a reading, if any. A reading that was valid before is not parsed again.
fn checked(did: &str, reading: &Reading, good: &mut BTreeMap<String, Reading>) -> Option<String> {
    if good.get(did) == Some(reading) {
        return None;
    }
    let (tenant, config) = reading;
    let why = tenant.as_deref().and_then(|tenant| violation(did, tenant, config.as_deref()));
    if why.is_none() {
        good.insert(did.into(), reading.clone());
    }
    why
}

/// Returns the reason for which the runtime would reject a call of this DID, which maps to this tenant.
fn violation(did: &str, tenant: &str, config: Option<&str>) -> Option<String> {
    let Some(config) = config else { return Some("is not there".into()) };
    let config: Value = match serde_json::from_str(config) {
        Ok(config) => config,
        Err(error) => return Some(format!("is not JSON ({error})")),
    };
    if config["contractVersion"] != "v1" {
        return Some("is not of contract version v1".into());
    }
    if config["tenantId"] != tenant {
        return Some(format!("is that of {}", config["tenantId"]));
    }
    let lists = config["dids"].as_array().is_some_and(|dids| dids.iter().any(|listed| listed == did));
    (!lists).then(|| "does not list it".into())
}
