//! `docs/limits.md` is generated from the constants of the code.

use std::fmt::Write;
use std::time::Duration;

use runtime_operator::admin::limits as admin;
use runtime_operator::controller::limits as controller;
use runtime_operator::domain::claims::NOTIFIED;
use runtime_operator::domain::compile::MAX_SPEC_BYTES;
use runtime_operator::domain::index::{MAX_HELD_SPEC, MAX_HELD_SPECS};
use runtime_operator::http::limits as http;
use runtime_operator::probes::limits as probes;

const HEADER: &str = "\
# Limits

<!-- Generated from the constants of the code: `UPDATE=1 cargo test --test pages limits` writes it. -->

These limits bound the work and the memory that a user with the right to create resources, or a client of a port, can cause. The last
column says what happens beyond each. None of them can be raised but the two with a flag. `make bench-attack` measures the memory that hostile input takes
([results](performance.md)).

The number of resources has no limit here: ten thousand tenants of 2 kB take about 64 MB. Where people create resources who don't
trust each other, give each namespace a ResourceQuota:

```yaml
apiVersion: v1
kind: ResourceQuota
metadata:
  name: runtime-tenants
spec:
  hard:
    count/runtimetenants.runtime.veralux.io: \"100\"
    count/secrets: \"200\"
```
";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/limits.md");

/// A limit: what, how much, and what happens beyond it.
type Row = (&'static str, String, &'static str);

fn bytes(bytes: usize) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", time.as_secs())
    }
}

fn specs() -> Vec<Row> {
    let large = bytes(controller::LARGE_SPECS_IN_FLIGHT);
    vec![
        (
            "bytes of a spec, as the API server sends it (`--max-tenant-bytes`: 64Ki to 1Mi)",
            bytes(MAX_SPEC_BYTES),
            "`InvalidSpec` with its size; it is not decoded, and what is live stays. etcd takes 1.5 MB, so that a status and a \
             finalizer have room",
        ),
        ("numbers of a tenant", "500".to_owned(), "the API server refuses the resource"),
        (
            "bytes of a spec that is held",
            bytes(MAX_HELD_SPEC),
            "read from the API server when it is reconciled; published only if it is the version on which the claims were decided",
        ),
        (
            "bytes of all specs that are held (`--max-held-spec-bytes`)",
            bytes(MAX_HELD_SPECS),
            "the same; a resource that is added later is not held",
        ),
        (
            "bytes of specs above 32 KiB that are read and compiled at the same time",
            large,
            "they wait for each other",
        ),
        (
            "bytes of the specs of tenants that exchange numbers in one script call",
            bytes(controller::MAX_GROUP_BYTES),
            "they are published one after the other: each number is unmapped for the moments between the tenant that releases \
             it and the one that takes it",
        ),
        (
            "bytes of a status that is decoded",
            bytes(controller::MAX_STATUS),
            "written again, as if there were none",
        ),
        (
            "claimants of one number, or of one tenant id, that an event notifies",
            NOTIFIED.to_string(),
            "the status of further ones says `another resource` in place of a name, and does not change with the holder",
        ),
    ]
}

fn work() -> Vec<Row> {
    let (reconciles, statuses) = (controller::RECONCILE_CONCURRENCY, controller::STATUS_CONCURRENCY);
    vec![
        (
            "reconciles that run concurrently",
            format!(
                "{}, and {} more of each namespace; {} in all",
                reconciles.shared, reconciles.own, reconciles.most
            ),
            "they wait in the work queue, which serves namespaces round robin",
        ),
        (
            "status writes that run concurrently",
            format!(
                "{}, and {} more of each namespace; {} in all",
                statuses.shared, statuses.own, statuses.most
            ),
            "the same",
        ),
        (
            "status writes while much is published",
            format!(
                "one at a time, with a pause of {} times its duration, from {} publishes in {} on",
                controller::PAUSE_FACTOR,
                controller::SATURATION_THRESHOLD,
                time(controller::SATURATION_WINDOW)
            ),
            "they wait; one that has waited for 30 s is written without a pause",
        ),
        (
            "statuses that wait, up to which a new resource gets its finalizer before its first status",
            controller::STATUS_BACKLOG.to_string(),
            "all statuses are written before the finalizers",
        ),
        (
            "events that wait to be written",
            controller::EVENT_QUEUE.to_string(),
            "dropped. Equal events of one resource are one event with a count",
        ),
        (
            "events that are written concurrently",
            format!("{}; one while a status is written", controller::EVENT_CONCURRENCY),
            "they wait",
        ),
    ]
}

fn responses() -> Vec<Row> {
    vec![
        (
            "bytes of a page of a list",
            format!("about {}, {} at most", bytes(controller::PAGE_BYTES), bytes(controller::MAX_BODY)),
            "counted while it is read, cut off, and asked for again with a quarter of the objects",
        ),
        (
            "objects of a list that are decoded ahead, for each watch",
            controller::READ_AHEAD.to_string(),
            "the next page waits. A spec above 32 KiB is not among them",
        ),
        (
            "bytes of a Secret, or of another object, that is read",
            bytes(controller::MAX_BODY),
            "the read fails. The API server takes no object of this size",
        ),
        (
            "responses above 64 KiB that are read at the same time",
            controller::LARGE_BODIES.to_string(),
            "they wait for each other",
        ),
        (
            "bytes of a Secret's values that are held from a list until its tenants are reconciled",
            bytes(controller::MAX_HELD_VALUES),
            "read when its tenant is reconciled",
        ),
    ]
}

fn ports() -> Vec<Row> {
    vec![
        (
            "connections to the admin port",
            format!("{}, {} of a peer", admin::ADMIN_CONNECTIONS, admin::ADMIN_CONNECTIONS_PER_PEER),
            "the one that has waited longest for a head is closed, else the new one",
        ),
        (
            "connections to the telemetry port",
            format!(
                "{}, {} of a peer",
                probes::TELEMETRY_CONNECTIONS,
                probes::TELEMETRY_CONNECTIONS_PER_PEER
            ),
            "the same",
        ),
        ("requests to the admin port at the same time", admin::MAX_REQUESTS.to_string(), "503 `overloaded`"),
        (
            "bytes of a request's head (admin, telemetry)",
            format!("{}, {}", bytes(http::MAX_HEAD_BYTES), bytes(probes::TELEMETRY_HEAD_BYTES)),
            "431",
        ),
        ("headers of a request", http::MAX_HEADERS.to_string(), "431"),
        (
            "time for a head, and of an idle connection (admin, telemetry)",
            format!("{}, {}", time(http::HEAD_TIMEOUT), time(probes::TELEMETRY_HEAD_TIMEOUT)),
            "408, and the connection is closed",
        ),
        ("time for a TLS handshake", time(http::HANDSHAKE_TIMEOUT), "the connection is closed"),
        (
            "bytes of all request bodies in memory",
            format!("{}, {} of a peer", bytes(admin::BODY_BYTES), bytes(admin::BODY_BYTES_PER_PEER)),
            "503 `overloaded`",
        ),
        ("bytes of a body of `/dids/map` and `/dids/unmap`", bytes(admin::MAX_SMALL_BODY_BYTES), "413"),
        (
            "time between two parts of a body, and for all of it",
            format!("{}, {}", time(admin::BODY_PAUSE), time(admin::BODY_TIMEOUT)),
            "408",
        ),
        (
            "memory that a posted config may need while it is checked",
            bytes(admin::MAX_DOCUMENT_MEMORY),
            "413",
        ),
        (
            "bytes of a stored config that are read",
            bytes(admin::MAX_STORED_BYTES),
            "500 `runtime_config_read_failed`",
        ),
        (
            "bytes of all responses that are not sent yet",
            format!("{}, {} of a peer", bytes(admin::ANSWER_BYTES), bytes(admin::ANSWER_BYTES_PER_PEER)),
            "503 `overloaded`",
        ),
        (
            "time for which a client may read nothing, and for the whole response (admin)",
            format!("{}, {}", time(http::ANSWER_PAUSE), time(http::ANSWER_TIMEOUT)),
            "the connection is closed",
        ),
        (
            "the same (telemetry)",
            format!("{}, {}", time(probes::TELEMETRY_ANSWER_PAUSE), time(probes::TELEMETRY_ANSWER_TIMEOUT)),
            "the connection is closed",
        ),
        ("bytes of a token or key", bytes(admin::MAX_TOKEN_BYTES), "401, without a review by the API server"),
        (
            "bytes of a tenant id or number in a path",
            bytes(admin::MAX_ARGUMENT_BYTES),
            "400, without a review",
        ),
        ("reviews by the API server at the same time", admin::MAX_REVIEWS.to_string(), "they wait"),
        (
            "bytes of reviews that are cached, for 10 s each",
            bytes(usize::try_from(admin::REVIEW_CACHE_BYTES).unwrap()),
            "the oldest are dropped",
        ),
        (
            "time for requests in flight at a stop (admin, telemetry)",
            format!("{}, {}", time(http::STOP_TIMEOUT), time(probes::TELEMETRY_STOP_TIMEOUT)),
            "the connection is closed, and the process ends",
        ),
    ]
}

fn page() -> String {
    let mut page = HEADER.to_owned();
    let tables = [
        ("Resources", specs()),
        ("Work", work()),
        ("Responses of the API server", responses()),
        ("Ports", ports()),
    ];
    for (title, rows) in tables {
        write!(page, "\n## {title}\n\n| what | limit | beyond it |\n| --- | --- | --- |\n").unwrap();
        for (what, limit, beyond) in rows {
            writeln!(page, "| {what} | {limit} | {beyond} |").unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_limits_is_generated_from_the_constants() {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, page()).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(found, page(), "UPDATE=1 cargo test --test pages limits");
    assert_eq!(admin::REVIEW_TTL, Duration::from_secs(10), "the row of cached reviews says so");
    assert_eq!(controller::MAX_STATUS_DELAY, Duration::from_secs(30), "the row of statuses says so");
}
