//! An upgrade from an older state of this repository, of which `UPGRADE_FROM` names the folder with the chart and the built program, and the
//! way back, with live traffic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::api::{Patch, PatchParams};
use local_cluster::{ClusterOptions, Launch, Process, tools};
use serde_json::json;

use crate::caller::Callers;
use crate::pages::{Reader, chart};
use crate::site::Site;

const NAMESPACE: &str = "voice-system";
/// The tag of the older program's image.
pub const TAG: &str = "previous";
/// Published before the upgrade, and live from then on.
const STEADY: usize = 20;
/// A tenant whose `extensions` have a member that is a field of the newer spec.
const EXTENDED: (&str, &str) = ("+15550300099", "extended");

/// Returns the folder of the older state.
pub fn older() -> Option<PathBuf> {
    std::env::var_os("UPGRADE_FROM").map(PathBuf::from)
}

fn did(number: usize) -> String {
    format!("+1555030{number:04}")
}

fn name(number: usize) -> String {
    format!("steady-{number}")
}

pub async fn story() {
    let older = older().expect("UPGRADE_FROM names the older repository, with its program in target/release");
    let site = Site::start(ClusterOptions::default()).await;
    let reader = Reader::new(&site, site.cluster.kubeconfig(), "reader", "helm");
    for namespace in [NAMESPACE, "shop"] {
        site.namespace(namespace).await;
    }
    site.secret(NAMESPACE, "redis", json!({ "url": "redis://redis.data.svc:6379/0", "password": "hunter2" }))
        .await;

    reader.checks_out(&older.join("charts/runtime-operator"));
    let values = "--set redis.existingSecret.name=redis,redis.existingSecret.urlKey=url,redis.existingSecret.passwordKey=password";
    reader.runs(&format!("helm install runtime-operator charts/runtime-operator -n {NAMESPACE} {values} --set image.tag={TAG} --wait --timeout 2m")).await;
    for number in 0..STEADY {
        site.apply("shop", &name(number), &did(number)).await;
    }
    site.apply("shop", EXTENDED.1, EXTENDED.0).await;
    let extensions = json!({ "spec": { "extensions": { "usageLimits": { "planName": "Professional" } } } });
    let extended = Patch::Merge(extensions);
    site.tenants("shop").patch(EXTENDED.1, &PatchParams::default(), &extended).await.unwrap();
    for number in 0..STEADY {
        site.wait_reason("shop", &name(number), "Published").await;
    }
    site.wait_reason("shop", EXTENDED.1, "Published").await;

    let monitor = Monitor::start(&site).await;
    let numbers: Vec<_> = (0..STEADY).map(|number| (did(number), name(number))).collect();
    let mut steady: Vec<_> = numbers.iter().map(|(did, tenant)| (did.as_str(), tenant.as_str())).collect();
    steady.push(EXTENDED);
    let callers = Callers::of(&site.redis, &steady);

    reader.checks_out(&chart());
    // The tag of the older image must not stay.
    let upgrade = format!(
        "helm upgrade runtime-operator charts/runtime-operator -n {NAMESPACE} {values} --reset-values --wait --timeout 3m"
    );
    tokio::join!(reader.runs(&upgrade), edits(&site, "upgrade"));
    published(&site, "upgrade").await;
    site.wait_reason("shop", EXTENDED.1, "InvalidSpec").await;
    for number in 0..STEADY {
        site.wait_reason("shop", &name(number), "Published").await;
    }

    let back = format!("helm rollback runtime-operator -n {NAMESPACE} --wait --timeout 3m");
    tokio::join!(reader.runs(&back), edits(&site, "back"));
    published(&site, "back").await;
    site.wait_reason("shop", EXTENDED.1, "Published").await;

    println!("{} calls, none lost", callers.check());
    let writes = monitor.writes();
    println!("{} writes, with the epochs {:?}", writes.len(), epochs(&writes));
    assert!(epochs(&writes).len() > 2, "each version wrote");
}

/// Creates tenants, and rotates the Secrets of others, while versions change.
async fn edits(site: &Site, when: &str) {
    for number in 0..STEADY {
        site.apply("shop", &format!("{when}-{number}"), &new_did(when, number)).await;
        site.secret("shop", &name(number), json!({ "webhookSecret": format!("whsec-{when}-{number}") }))
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

async fn published(site: &Site, when: &str) {
    for number in 0..STEADY {
        site.wait_live(&new_did(when, number), Some(&format!("{when}-{number}"))).await;
    }
}

fn new_did(when: &str, number: usize) -> String {
    format!("+1555{}{number:04}", if when == "back" { "032" } else { "031" })
}

/// What Redis executes.
struct Monitor {
    process: Process,
    log: PathBuf,
}

impl Monitor {
    async fn start(site: &Site) -> Self {
        let log = site.folder.file("monitor.log");
        let program = tools::find("redis-cli").unwrap();
        let port = site.redis.port().to_string();
        let password = site.redis.password().unwrap();
        let launch =
            Launch::new("monitor", program, log.clone()).args(["-p", &port, "-a", password, "monitor"]);
        let process = Process::start(launch).await.unwrap();
        site.wait("Redis reports its commands", || async {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("OK") { Ok(()) } else { Err(text) }
        })
        .await;
        Self { process, log }
    }

    /// Returns the epoch of each script that wrote a key of the contract, and checks that it was the one acquired last.
    fn writes(self) -> Vec<u64> {
        self.process.end();
        let text = std::fs::read_to_string(&self.log).unwrap();
        let (mut acquired, mut caller, mut writes) = (BTreeMap::new(), String::new(), Vec::new());
        for line in text.lines() {
            let words = words(line);
            let word = |index: usize| words.get(index).map_or("", String::as_str);
            match word(0).to_lowercase().as_str() {
                "evalsha" | "eval" => {
                    let keys: usize = word(2).parse().unwrap_or(0);
                    caller = if word(3) == "runtime-operator:epoch" {
                        word(3 + keys).to_owned()
                    } else {
                        String::new()
                    };
                }
                "hset" if word(1) == "runtime-operator:epochs" => {
                    drop(acquired.insert(word(2).to_owned(), word(3).to_owned()));
                }
                // A rehearsal of the permissions writes nothing.
                "set" | "mset" | "del"
                    if word(1).starts_with("tenant")
                        && line.contains(" lua]")
                        && !line.contains("rehearsal") =>
                {
                    // The first epoch was acquired before the report began.
                    assert!(
                        acquired.is_empty() || acquired.values().any(|epoch| *epoch == caller),
                        "{caller} wrote, not {acquired:?}: {line:.300}"
                    );
                    writes.push(
                        caller
                            .split('/')
                            .next()
                            .unwrap()
                            .parse()
                            .unwrap_or_else(|_| panic!("{caller:?}: {line:.300}")),
                    );
                }
                _ => {}
            }
        }
        assert!(writes.is_sorted(), "a replaced leader wrote after its successor: {writes:?}");
        writes
    }
}

fn epochs(writes: &[u64]) -> Vec<u64> {
    let mut epochs = writes.to_vec();
    epochs.dedup();
    epochs
}

/// Splits a line of MONITOR, `time [database address] "command" "argument" …`, into command and arguments.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('"') {
        let mut word = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next() {
                Some((_, '\\')) => word.extend(letters.next().map(|(_, letter)| letter)),
                Some((at, '"')) => break at + 1,
                Some((_, letter)) => word.push(letter),
                None => break after.len(),
            }
        };
        words.push(word);
        rest = &after[end..];
    }
    words
}
