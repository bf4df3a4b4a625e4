//! Runs a local cluster and a Redis until Ctrl-C.
#![allow(clippy::print_stdout, reason = "what it prints is for a shell to take over")]

use std::process::ExitCode;

use local_cluster::{Cluster, ClusterOptions, Redis, RedisOptions, Result};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
Keeps etcd, kube-apiserver, kube-controller-manager and Redis on loopback until Ctrl-C.

Usage: local-cluster [--without-controllers] [FILE]...

--without-controllers starts no kube-controller-manager, which RuntimeTenants don't need. FILE are YAML files to apply once the cluster is up. When all is ready, two lines on standard output set
KUBECONFIG and REDIS_URL in a shell. Programs are taken from tools/bin: run `make tools` first.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut files: Vec<_> = std::env::args().skip(1).collect();
    if files.iter().any(|file| file == "--help" || file == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut options = ClusterOptions::default();
    if let Some(flag) = files.iter().position(|file| file == "--without-controllers") {
        files.remove(flag);
        options = options.without_controllers();
    }
    match run(options, &files).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: ClusterOptions, files: &[String]) -> Result<()> {
    let ended = |source| local_cluster::Error::System { what: "listen for signals".into(), source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ended)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ended)?;
    tokio::select! {
        // The processes that were started end with their values.
        result = keep(options, files) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn keep(options: ClusterOptions, files: &[String]) -> Result<()> {
    eprintln!("local-cluster: starting ...");
    let (cluster, redis) = tokio::try_join!(Cluster::with(options), Redis::start(RedisOptions::default()))?;
    for file in files {
        cluster.apply_file(file).await?;
        eprintln!("local-cluster: applied {file}");
    }
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("export REDIS_URL={}", redis.url());
    eprintln!("local-cluster: ready; Ctrl-C stops it");
    std::future::pending().await
}
