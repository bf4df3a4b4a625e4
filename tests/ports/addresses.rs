//! The addresses on which both ports are served.

use local_cluster::{Launch, Port, Process};
use test_support::{World, operator_binary};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_port_alone_is_served_on_ipv4_and_on_ipv6() {
    let world = World::new().await;
    let [admin, telemetry] = [(); 2].map(|()| Port::reserve().unwrap());
    let port = |port: &Port| port.address().rsplit_once(':').unwrap().1.to_owned();
    let (admin, telemetry) = (port(&admin), port(&telemetry));
    let log = world.write_file("every.log", "");
    let launch = Launch::new("every-address", operator_binary(), log)
        .args(["run"])
        .env("KUBECONFIG", world.kubeconfig().to_str().unwrap())
        .env("REDIS_URL", world.redis().url())
        .env("WATCH_NAMESPACES", world.namespace())
        .env("CLUSTER_ID", "here")
        .env("LEADER_ELECT", "false")
        .env("ADMIN_ADDR", format!(":{admin}"))
        .env("TELEMETRY_ADDR", format!(":{telemetry}"));
    let process = Process::spawn(launch).await.unwrap();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let hosts = if has_ipv6 { &["127.0.0.1", "[::1]"][..] } else { &["127.0.0.1"] };
    for (host, port) in hosts.iter().flat_map(|host| [(host, &admin), (host, &telemetry)]) {
        world
            .wait(&format!("{host}:{port} is served"), || async {
                let connected = TcpStream::connect(format!("{host}:{port}")).await;
                connected.map(drop).map_err(|error| format!("{error}: {}", process.log_tail()))
            })
            .await;
    }
    process.stop().await.unwrap();
    world.finish().await;
}
