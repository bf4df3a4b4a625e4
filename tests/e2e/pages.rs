//! Runs the commands of the documentation verbatim.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use local_cluster::tools;
use tokio::process::Command;

use crate::site::Site;

/// A reader of the documentation with a shell in this repository.
pub struct Reader<'a> {
    site: &'a Site,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

/// The line before a block that is not run.
const NOT_HERE: &str = "<!-- needs a real cluster -->";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of this repository's chart.
pub fn chart() -> PathBuf {
    repository().join("charts/runtime-operator")
}

impl<'a> Reader<'a> {
    /// Creates a reader for whom `helm` is the program `helm` (4) or `helm3`.
    pub fn new(site: &'a Site, kubeconfig: &Path, name: &str, helm: &str) -> Self {
        let folder = site.folder.file(name);
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        symlink(tools::find(helm).unwrap(), folder.join("bin/helm")).unwrap();
        std::fs::create_dir(folder.join("charts")).unwrap();
        for part in ["examples", "crds"] {
            symlink(repository().join(part), folder.join(part)).unwrap();
        }
        let reader = Self { site, kubeconfig: kubeconfig.to_owned(), folder };
        reader.checks_out(&chart());
        reader
    }

    /// Uses this chart from now on.
    pub fn checks_out(&self, chart: &Path) {
        let link = self.folder.join("charts/runtime-operator");
        let _ = std::fs::remove_file(&link);
        symlink(chart, link).unwrap();
    }

    /// Runs the blocks of a section of a page, except those that need a real cluster.
    pub async fn follows(&self, page: &str, heading: &str) {
        for block in blocks(page, heading) {
            self.runs(&block).await;
        }
    }

    /// Runs a shell script, and returns its output.
    pub async fn runs(&self, script: &str) -> String {
        let tools = repository().join("tools/bin");
        let output = Command::new("bash")
            .args(["-ec", script])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", format!("{}/bin:{}:/usr/bin:/bin", self.folder.display(), tools.display()))
            .env("HOME", &self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let faults = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let (logs, there) = (self.site.kubelet.logs(), self.site.there());
            panic!("{logs}\n{there}\n{script}\n{text}\n{faults}");
        }
        text
    }
}

/// Returns the shell blocks to run of a section of `docs/<page>.md`.
pub fn blocks(page: &str, heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(format!("docs/{page}.md"))).unwrap();
    let mut sections = text.split("\n## ");
    let section = sections.find(|section| section.starts_with(&format!("{heading}\n"))).unwrap();
    let mut blocks = Vec::new();
    let mut rest = section;
    while let Some((before, after)) = rest.split_once("\n```sh\n") {
        let (block, after) = after.split_once("\n```").unwrap();
        if !before.ends_with(NOT_HERE) {
            blocks.push(block.to_owned());
        }
        rest = after;
    }
    assert!(!blocks.is_empty(), "{page}: {heading}");
    blocks
}
