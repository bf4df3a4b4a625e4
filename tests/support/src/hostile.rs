//! Clients that mean no good: peers that send half a request, and peers that read nothing.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// Opens connections to `127.0.0.1:<port>`, sends the beginning of a request on each, and sends no more.
pub async fn send_half(address: &str, count: usize, half: &str) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that has had enough may have closed it.
        let _ = stream.write_all(half.as_bytes()).await;
        streams.push(stream);
    }
    streams
}

/// Sends a request with a small receive buffer, waits for the first byte of the response, and reads nothing.
pub async fn ask_and_read_nothing(address: &str, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    stream
}

/// Connects from another address of this host than `127.0.0.1`: to the limits it is another peer.
pub async fn connect_from(source: [u8; 4], address: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(address.parse().unwrap()).await
}

/// Returns how many of the connections the server has not closed.
pub async fn still_open(streams: &[TcpStream]) -> usize {
    let mut open = 0;
    for stream in streams {
        let mut byte = [0];
        let peeked = tokio::time::timeout(std::time::Duration::from_millis(1), stream.peek(&mut byte)).await;
        open += usize::from(!matches!(peeked, Ok(Ok(0) | Err(_))));
    }
    open
}
