//! Namespaces of Linux for each story: its network, mounts and processes are invisible outside and end with it.

use std::future::Future;
use std::process::Command;

use local_cluster::Folder;

/// The variable that is set inside the namespaces.
const INSIDE: &str = "RUNTIME_OPERATOR_E2E_INSIDE";

/// The bridge to which Pods are connected, and this process's address on it. Its hardware address is fixed: otherwise it is the
/// lowest of the connected ones, and changes with each Pod, so that the others can't reach it for half a minute.
const NETWORK: &str = "
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip link add pods address 02:00:0a:58:00:01 type bridge
ip address add 10.88.0.1/16 dev pods
ip link set pods up
";

/// Runs a story in its own namespaces, by starting the test of that name again inside them.
pub fn isolated<F: Future<Output = ()>>(test: &str, story: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let made = Command::new("sh").args(["-c", NETWORK]).output().unwrap();
        assert!(made.status.success(), "no network: {}", String::from_utf8_lossy(&made.stderr));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(story());
    }
    // The inner processes can't clean up after themselves: they are killed with the first one.
    let folder = Folder::new("e2e").unwrap();
    let mut command = Command::new("unshare");
    if !is_root() {
        // Needs subordinate ids (newuidmap), since Pods run as other users.
        command.args(["--user", "--map-root-user", "--map-auto"]);
    }
    let output = command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("TMPDIR", folder.path())
        .output()
        .expect("unshare (util-linux) runs");
    for line in [output.stdout, output.stderr].concat().split(|byte| *byte == b'\n') {
        println!("| {}", String::from_utf8_lossy(line));
    }
    assert!(output.status.success(), "the story failed: see the lines that begin with a bar");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}
