//! A container's sandbox: the network of its Pod, its own root file system with the image's programs, and nothing of this
//! process's environment.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::{Container, Pod};
use local_cluster::{Launch, Process};

use super::image::Image;

/// Creates a network with the address, connected to the bridge.
pub(super) fn network(number: u16, address: &str) -> Result<(), String> {
    let script = format!(
        "set -e
ip netns add pod{number}
ip link add veth{number} type veth peer name eth0 netns pod{number}
ip link set veth{number} master pods up
ip -n pod{number} -batch - <<'END'
link set lo up
address add {address}/16 dev eth0
link set eth0 up
route add default via 10.88.0.1
END"
    );
    let output = Command::new("sh").args(["-c", &script]).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Removes the network, after the Pod's processes have ended.
pub(super) fn drop_network(number: u16) {
    let _ = Command::new("ip").args(["netns", "delete", &format!("pod{number}")]).output();
}

/// The parameters of a container's start.
pub(super) struct Start<'a> {
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) image: &'a Image,
    pub(super) env: &'a [(String, String)],
    /// Folders of this machine, by the names of volumes.
    pub(super) volumes: &'a [(String, PathBuf)],
    pub(super) hosts: &'a Path,
    pub(super) network: u16,
    /// The folder of this container, for its root.
    pub(super) folder: &'a Path,
    pub(super) log: PathBuf,
}

impl Start<'_> {
    /// Starts the container, and returns its own process.
    pub(super) async fn run(&self) -> Result<Process, String> {
        let user = self.user()?;
        let script = self.folder.join("root.sh");
        std::fs::write(&script, self.root_script()).map_err(|error| error.to_string())?;
        let mut line = self.container.command.clone().unwrap_or_else(|| self.image.entrypoint.clone());
        line.extend(self.container.args.clone().unwrap_or_default());
        let mut args: Vec<String> = vec![
            format!("--net=/run/netns/pod{}", self.network),
            "--".into(),
            "unshare".into(),
            "--mount".into(),
            "--".into(),
            "sh".into(),
            script.display().to_string(),
            "/usr/bin/env".into(),
            "-i".into(),
        ];
        args.extend(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        args.extend(["/usr/sbin/chroot".into(), self.root().display().to_string(), "/.init/setpriv".into()]);
        args.extend(user);
        // The kernel resets it whenever a process changes its user, so it is set again.
        args.extend(["--pdeathsig", "KILL", "--"].map(Into::into));
        args.extend(line);
        let launch =
            Launch::new(self.container.name.clone(), "/usr/bin/nsenter", self.log.clone()).args(args);
        Process::spawn(launch).await.map_err(|error| error.to_string())
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Returns the user, the groups and the capabilities of the security contexts.
    fn user(&self) -> Result<Vec<String>, String> {
        let of_pod =
            self.pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
        let own = self.container.security_context.clone().unwrap_or_default();
        let user = own.run_as_user.or(of_pod.run_as_user).unwrap_or(0);
        let group = own.run_as_group.or(of_pod.run_as_group).unwrap_or(0);
        if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) && user == 0 {
            return Err("the container is to run as another user than root, and names none".into());
        }
        let mut options = vec![format!("--reuid={user}"), format!("--regid={group}")];
        options.push(of_pod.fs_group.map_or("--clear-groups".into(), |group| format!("--groups={group}")));
        let dropped = own.capabilities.and_then(|is| is.drop).unwrap_or_default();
        if dropped.iter().any(|name| name == "ALL") {
            options.extend(["--bounding-set=-all".into(), "--inh-caps=-all".into()]);
        }
        if own.allow_privilege_escalation == Some(false) {
            options.push("--no-new-privs".into());
        }
        Ok(options)
    }

    /// Returns the script that mounts the root file system and then runs its own arguments.
    fn root_script(&self) -> String {
        let root = self.root().display().to_string();
        let mut script =
            format!("set -e\nmkdir -p {root}\nmount -t tmpfs -o mode=755 tmpfs {root}\ncd {root}\n");
        script += "mkdir -p usr/bin usr/local/bin usr/lib lib lib64 etc proc dev tmp .init\n";
        for library in ["usr/lib", "lib", "lib64"] {
            writeln!(script, "mount --rbind -o ro /{library} {library}").unwrap();
        }
        script += "mount -t proc proc proc\n";
        script += "for device in null zero random urandom; do : >dev/$device; mount --bind /dev/$device dev/$device; done\n";
        script += "echo 'hosts: files' >etc/nsswitch.conf\n: >etc/resolv.conf\n";
        script += "[ ! -e /etc/ssl ] || { mkdir -p etc/ssl; mount --rbind -o ro /etc/ssl etc/ssl; }\n";
        let mut files: Vec<(PathBuf, &str)> =
            vec![("/usr/bin/setpriv".into(), "/.init/setpriv"), (self.hosts.to_owned(), "/etc/hosts")];
        files.extend(self.image.programs.iter().map(|(from, to)| (from.clone(), to.as_str())));
        for (from, to) in files {
            writeln!(script, ": >.{to}\nmount --bind {} .{to}", from.display()).unwrap();
        }
        for mount in self.container.volume_mounts.iter().flatten() {
            let (_, from) = self.volumes.iter().find(|(name, _)| *name == mount.name).unwrap();
            let (to, from) = (&mount.mount_path, from.display());
            writeln!(script, "mkdir -p .{to}\nmount --bind {from} .{to}").unwrap();
            if mount.read_only == Some(true) {
                writeln!(script, "mount -o remount,bind,ro .{to}").unwrap();
            }
        }
        let own = self.container.security_context.as_ref();
        if own.and_then(|own| own.read_only_root_filesystem) == Some(true) {
            script += "mount -o remount,ro .\n";
        }
        script + "cd /\nexec \"$@\"\n"
    }
}
