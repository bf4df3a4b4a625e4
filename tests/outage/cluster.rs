//! The cluster that a command finds: it is reached through a proxy as kubectl reaches it, and a failure is a sentence.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use test_support::{World, operator_binary, tenant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::DID;

/// Starts an HTTP proxy that connects everything to one server (`CONNECT`); returns its URL and the count of connections.
async fn http_proxy(to: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connected = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&connected);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, count) = (to.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if client.read_line(&mut head).await.unwrap_or_default() == 0 {
                        return;
                    }
                }
                assert!(head.starts_with("CONNECT apiserver.invalid:6443 "), "{head}");
                count.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(to).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, connected)
}

#[tokio::test]
async fn an_https_proxy_of_the_environment_is_used_except_for_loopback() {
    let world = World::new().await;
    let server = world.cluster().api_server().url();
    let (proxy, connected) = http_proxy(server.strip_prefix("https://").unwrap().to_owned()).await;

    // kubectl reaches a loopback address directly.
    let direct = world.operator().env("HTTPS_PROXY", &proxy).start().await;
    direct.stop().await.unwrap();
    assert_eq!(connected.load(Ordering::SeqCst), 0);

    let text = std::fs::read_to_string(world.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = "https://apiserver.invalid:6443".into();
    config["clusters"][0]["cluster"]["tls-server-name"] = "localhost".into();
    let kubeconfig = world.write_file("kubeconfig-behind-a-proxy", &config.to_string());
    let _operator = world.operator().kubeconfig(kubeconfig).env("HTTPS_PROXY", &proxy).start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    assert!(connected.load(Ordering::SeqCst) > 0);
    world.finish().await;
}

#[tokio::test]
async fn a_smoke_test_without_its_namespace_or_cluster_says_a_sentence() {
    let world = World::new().await;
    let smoke = |kubeconfig: &str, namespace: &str| {
        let mut command = Command::new(operator_binary());
        command.args(["smoke", "--namespace", namespace]).env("KUBECONFIG", kubeconfig);
        let output = command.env_remove("HTTPS_PROXY").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = smoke(world.kubeconfig().to_str().unwrap(), "nope");
    assert_eq!(
        said,
        "runtime-operator: there is no namespace nope: create it, or choose another with --namespace\n"
    );
    let said = smoke("/nonexistent", world.namespace());
    assert!(said.contains("no cluster found") && !said.contains('{'), "{said}");
    let forbidden = world.cluster().user_kubeconfig("without-rights", None).unwrap();
    let said = smoke(forbidden.to_str().unwrap(), world.namespace());
    assert!(
        said.contains("forbidden") && !said.contains("ErrorResponse") && !said.contains("Status {"),
        "{said}"
    );
    world.finish().await;
}
