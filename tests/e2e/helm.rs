//! Helm, as users run it.

use std::path::{Path, PathBuf};

use local_cluster::tools;
use tokio::process::Command;

use crate::site::Site;

/// A release of the chart.
pub struct Release<'a> {
    pub site: &'a Site,
    /// `helm` (4) or `helm3`.
    pub program: &'a str,
    pub kubeconfig: PathBuf,
    pub namespace: &'a str,
}

/// Where this repository's chart is.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/runtime-operator")
}

impl Release<'_> {
    /// Runs Helm on the release `runtime-operator`; what comes after the name is given. Fails when it fails.
    pub async fn helm(&self, verb: &[&str], rest: &[&str]) -> String {
        let mut args = verb.to_vec();
        args.push("runtime-operator");
        args.extend(rest);
        args.extend(["--namespace", self.namespace]);
        self.run(self.program, &args).await
    }

    /// Runs kubectl.
    pub async fn kubectl(&self, args: &[&str]) -> String {
        self.run("kubectl", &[&["--namespace", self.namespace], args].concat()).await
    }

    async fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(tools::find(program).unwrap())
            .args(args)
            .env_clear()
            .env("HOME", self.site.folder.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .await
            .unwrap();
        let (told, faults) = (output.stdout, output.stderr);
        let (told, faults) =
            (String::from_utf8(told).unwrap(), String::from_utf8_lossy(&faults).into_owned());
        let logs = if output.status.success() { String::new() } else { self.site.kubelet.logs() };
        assert!(output.status.success(), "{program} {}: {faults}\n{told}\n{logs}", args.join(" "));
        told
    }
}
