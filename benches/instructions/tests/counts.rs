//! The pure rooms take as many instructions as `benches/instructions/counts.md` says, within 3 %, and one event takes no
//! more among ten thousand tenants than among a hundred.
//!
//! The counts don't depend on the machine's load. They do depend on the compiler and on the processor's family: with
//! another compiler than the noted one, only the growth is checked. `make instructions` writes new counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The numbers of tenants among which each event is counted.
const TENANTS: [usize; 2] = [100, 10_000];
/// The number of events for which each part is done (`EVENTS` in `src/parts.rs`).
const EVENTS: u64 = 100;
/// The largest difference between a count and the noted one.
const TOLERANCE: f64 = 0.03;
/// The largest growth of the cost of one event: the number of tenants to this power.
const MOST_GROWTH: f64 = 0.1;
/// Settings of glibc that make the same work take the same instructions. glibc chooses the functions that copy memory by
/// the processor: these settings choose those that every x86-64 has. And glibc merges freed memory from time to time, in
/// whichever part is being counted: these settings keep it in the caches.
const PLAIN: &str = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX,-ERMS,-FSRM,-Fast_Unaligned_Copy:\
                     glibc.malloc.mxfast=0:glibc.malloc.tcache_count=65535";

/// The instructions that one event of a part takes, among each of [`TENANTS`].
struct Row {
    part: String,
    counts: [u64; 2],
}

impl Row {
    /// The power of the number of tenants with which the count grows.
    fn growth(&self) -> f64 {
        let [few, many] = self.counts.map(|count| count as f64);
        (many / few).ln() / (TENANTS[1] as f64 / TENANTS[0] as f64).ln()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn noted_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.md")
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The compiler and its target, on which the counts depend.
fn compiler() -> String {
    let output = output(Command::new("rustc").arg("-vV"));
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    format!("rustc {}, {}", field("release:"), field("host:"))
}

/// Counts every part among this many tenants, in instructions for one event.
fn count(tenants: usize) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counts");
    // The script looks for the rest of valgrind beside itself, so the link must be resolved.
    let valgrind = fs::canonicalize(root().join("tools/bin/valgrind")).expect("tools/install.sh links it");
    let output = output(
        Command::new(valgrind)
            .args(["--tool=callgrind", "--collect-atstart=no"])
            .args(["--toggle-collect=*::counted", "--dump-after=*::counted"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(env!("CARGO_BIN_EXE_instructions"))
            .arg(tenants.to_string())
            .env("GLIBC_TUNABLES", PLAIN),
    );
    let parts = String::from_utf8(output.stdout).unwrap();
    // Callgrind writes a file each time that the counted function returns, numbered from one.
    let total = |place: usize| {
        let dump = fs::read_to_string(format!("{}.{place}", file.display())).unwrap();
        dump.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap().parse::<u64>().unwrap()
    };
    parts.lines().zip(1..).map(|(part, place)| (part.to_owned(), total(place) / EVENTS)).collect()
}

fn counted() -> Vec<Row> {
    let few = std::thread::spawn(|| count(TENANTS[0]));
    let many = count(TENANTS[1]);
    let rows = few.join().unwrap().into_iter().zip(many);
    rows.map(|((part, few), (_, many))| Row { part, counts: [few, many] }).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "# Instructions of the pure rooms\n\n\
         <!-- `make instructions` writes it; what each part does is in src/parts.rs. -->\n\n\
         Instructions that one event takes, counted by callgrind ({}); the growth is the power of the number of tenants.\n\n\
         | part | among {} tenants | among {} | growth |\n| --- | ---: | ---: | ---: |\n",
        compiler(),
        TENANTS[0],
        TENANTS[1]
    );
    for row in rows {
        let [few, many] = row.counts;
        writeln!(text, "| {} | {few} | {many} | {:.2} |", row.part, row.growth()).unwrap();
    }
    text
}

fn noted(text: &str) -> Vec<Row> {
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        Row { part: cells[0].to_owned(), counts: [cells[1].parse().unwrap(), cells[2].parse().unwrap()] }
    })
    .collect()
}

#[test]
fn each_part_takes_the_noted_instructions_among_any_number_of_tenants() {
    let rows = counted();
    let text = table(&rows);
    println!("{text}");
    for row in &rows {
        assert!(row.growth() <= MOST_GROWTH, "{} grows with the number of tenants:\n{text}", row.part);
    }
    if std::env::var_os("UPDATE").is_some() {
        return fs::write(noted_in(), text).unwrap();
    }
    let before = fs::read_to_string(noted_in()).unwrap();
    if !before.contains(&compiler()) {
        println!("not compared with counts.md, which is of another compiler than {}", compiler());
        return;
    }
    let noted = noted(&before);
    let parts = |rows: &[Row]| rows.iter().map(|row| row.part.clone()).collect::<Vec<_>>();
    assert_eq!(parts(&noted), parts(&rows), "the parts have changed: run `make instructions`");
    let mut changed = String::new();
    for (before, now) in noted.iter().zip(&rows) {
        for (place, tenants) in TENANTS.into_iter().enumerate() {
            let (was, is) = (before.counts[place], now.counts[place]);
            let change = is as f64 / was as f64 - 1.0;
            if change.abs() > TOLERANCE {
                let percent = change * 100.0;
                writeln!(changed, "{} among {tenants}: {was} -> {is} ({percent:+.1} %)", now.part).unwrap();
            }
        }
    }
    assert!(
        changed.is_empty(),
        "instructions of an event (`make instructions` writes new counts):\n{changed}"
    );
}
