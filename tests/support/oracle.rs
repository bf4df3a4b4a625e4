//! The reader: polls Redis as the voice runtime reads it, for the life of a test, and notes each number that maps to a
//! tenant without a valid config that lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Client, Commands, Connection, RedisResult, Script};
use serde_json::Value;

/// Mapping and config of each number, as they are at one instant.
const READ_AT_ONCE: &str = include_str!("read_at_once.lua");

/// Enough to see what went wrong.
const MOST_VIOLATIONS: usize = 20;

/// What a number maps to, and the config of that tenant.
type Reading = (Option<String>, Option<String>);

/// A thread of its own, so that it reads whatever the test does meanwhile.
pub struct Oracle {
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

/// The numbers that are read, and those that a test breaks on purpose; the same for all readers of a test.
#[derive(Default)]
pub struct Watched {
    known: Mutex<BTreeSet<String>>,
    exempt: Mutex<BTreeSet<String>>,
    all_exempt: AtomicBool,
}

impl Watched {
    /// Reads these from now on, mapped or not.
    pub fn know(&self, dids: impl IntoIterator<Item = String>) {
        self.known.lock().unwrap().extend(dids);
    }

    /// Notes no violation of these, or of any number, until [`Watched::heed_all`].
    pub fn exempt(&self, did: Option<&str>) {
        match did {
            Some(did) => drop(self.exempt.lock().unwrap().insert(did.into())),
            None => self.all_exempt.store(true, Ordering::SeqCst),
        }
    }

    /// Nothing is exempt any more.
    pub fn heed_all(&self) {
        self.exempt.lock().unwrap().clear();
        self.all_exempt.store(false, Ordering::SeqCst);
    }

    fn is_exempt(&self, did: &str) -> bool {
        self.all_exempt.load(Ordering::SeqCst) || self.exempt.lock().unwrap().contains(did)
    }
}

impl Oracle {
    /// Begins to read.
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

    /// How often all numbers have been read.
    pub fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::SeqCst)
    }

    /// What was seen so far.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().iter().map(|noted| noted.text.clone()).collect()
    }

    /// Reads once more, ends, and says what was seen.
    pub fn finish(&mut self) -> Vec<String> {
        self.shared.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader did not panic");
        }
        self.violations()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    /// A Redis that does not answer shows no number to anybody: that is no violation, and it is asked again.
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

    /// Reads until the end; the last round begins after the end was asked for.
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

    /// Numbers that the test never named, such as one mapped by mistake.
    fn discover(&self, connection: &mut Connection) -> RedisResult<()> {
        let keys: Vec<String> = connection.scan_match("tenantmap:did:*")?.collect::<RedisResult<_>>()?;
        self.watched.know(keys.iter().filter_map(|key| Some(key.strip_prefix("tenantmap:did:")?.to_owned())));
        Ok(())
    }

    /// First number by number as the runtime reads, then all of them at one instant.
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
        readings.extend(read_at_once(connection, &dids)?);
        for (did, reading) in dids.iter().cycle().zip(readings) {
            if let Some(why) = checked(did, &reading, good) {
                self.note(did, &reading, &why, begin);
            }
        }
        Ok(())
    }

    /// A number that stays broken in the same way is noted once.
    fn note(&self, did: &str, reading: &Reading, why: &str, begin: Instant) {
        let mut violations = self.violations.lock().unwrap();
        let known = violations.iter().any(|noted| noted.did == did && noted.reading == *reading);
        if known || self.watched.is_exempt(did) || violations.len() >= MOST_VIOLATIONS {
            return;
        }
        let (tenant, at) = (reading.0.as_deref().unwrap_or_default(), begin.elapsed());
        let config: String = reading.1.iter().flat_map(|config| config.chars().take(300)).collect();
        let text = format!("after {at:?}: {did} maps to {tenant:?}, whose config {why}: {config}");
        violations.push(Violation { did: did.into(), reading: reading.clone(), text });
    }
}

/// Two reads, the mapping first. A number that moves in between would look broken and is not, so the second read, in
/// the same transaction, asks for the mapping again: once it has changed, the reading says nothing.
fn read_as_a_caller(connection: &mut Connection, did: &str) -> RedisResult<Reading> {
    let mapping = format!("tenantmap:did:{did}");
    let Some(tenant) = connection.get::<_, Option<String>>(&mapping)? else { return Ok((None, None)) };
    let mut both = redis::pipe();
    both.atomic().get(&mapping).get(format!("tenantcfg:{tenant}"));
    let (still, config): Reading = both.query(connection)?;
    Ok(if still.as_ref() == Some(&tenant) { (still, config) } else { (None, None) })
}

/// Lua's `false` is nil in the answer.
fn read_at_once(connection: &mut Connection, dids: &[String]) -> RedisResult<Vec<Reading>> {
    let script = Script::new(READ_AT_ONCE);
    let mut call = script.prepare_invoke();
    for did in dids {
        call.arg(did);
    }
    call.invoke(connection)
}

/// What is wrong with a reading; one that was good a moment ago is not parsed again.
fn checked(did: &str, reading: &Reading, good: &mut BTreeMap<String, Reading>) -> Option<String> {
    if good.get(did) == Some(reading) {
        return None;
    }
    let (tenant, config) = reading;
    let why = tenant.as_deref().and_then(|tenant| fault(did, tenant, config.as_deref()));
    if why.is_none() {
        good.insert(did.into(), reading.clone());
    }
    why
}

/// Why a caller of this number, which maps to this tenant, would hear that it is not fully configured.
pub fn fault(did: &str, tenant: &str, config: Option<&str>) -> Option<String> {
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
