//! Starting and stopping.

use local_cluster::Error;
use test_support::World;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Admin, open, read_all};

const DID: &str = "+15551234567";

#[tokio::test]
async fn a_stop_completes_requests_in_flight_and_accepts_no_more() {
    let world = World::new().await;
    world.exempt([DID]);
    let operator = open(&world).start().await;
    let admin = Admin::of(&operator);
    let body = format!(r#"{{"didE164":"{DID}","tenantId":"acme"}}"#);
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(admin.address()).await.unwrap();
    let head = format!(
        "POST /api/admin/runtime/dids/map HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A response on a second connection shows that the first one was accepted.
    admin.get("/health").await.ok();

    let stop = operator.stop();
    let finish = async {
        world
            .wait("no connection is accepted any more", || async {
                match TcpStream::connect(admin.address()).await {
                    Ok(_) => Err("one was".to_owned()),
                    Err(_) => Ok(()),
                }
            })
            .await;
        assert!(operator.is_running());
        stream.write_all(rest.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    };
    let (stopped, response) = tokio::join!(stop, finish);

    assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("connection: close"), "{response}");
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    assert!(stopped.is_ok(), "{stopped:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_failed_start_names_the_invalid_setting() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let missing = world.write_file("empty.pem", "");
    let missing = missing.to_str().unwrap();
    let starts = [
        (open(&world).arg("--admin-addr").arg(&address), "--admin-addr 127.0.0.1"),
        (
            open(&world).env("ADMIN_TLS_CERT_FILE", missing).env("ADMIN_TLS_KEY_FILE", missing),
            "--admin-tls-cert-file",
        ),
        (open(&world).without("REDIS_URL"), "REDIS_URL"),
    ];
    for (builder, named) in starts {
        let Err(error) = builder.try_start().await else { panic!("started without a good {named}") };
        assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    world.finish().await;
}
