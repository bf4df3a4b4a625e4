//! Reads responses of the API server that are counted while they are read, so that no object, and no list of them, takes more
//! memory than it may.

use futures::AsyncReadExt;
use hyper::Request;
use kube::Client;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

/// The maximum number of bytes of a response.
pub const MAX_BODY: usize = 8 << 20;
/// The bytes of a response that are read without a permit.
pub const SMALL_BODY: usize = 64 << 10;
/// The number of responses above [`SMALL_BODY`] that are read at a time; each has its permit until it is decoded.
pub const LARGE_BODIES: usize = 2;

static PERMITS: Semaphore = Semaphore::const_new(LARGE_BODIES);

/// A response.
#[derive(Debug)]
pub enum Bounded<T> {
    /// It was read: its value, and its length.
    Read(T, usize),
    /// It has more than [`MAX_BODY`] bytes, and was read no further.
    TooLarge,
}

/// Sends a request, and reads and decodes the response.
pub async fn read<T: DeserializeOwned>(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<Bounded<T>, kube::Error> {
    let mut body = client.request_stream(request).await?;
    let (mut text, mut permit) = (Vec::new(), None);
    loop {
        // The semaphore is never closed.
        if text.len() > SMALL_BODY && permit.is_none() {
            permit = PERMITS.acquire().await.ok();
        }
        let mut part = (&mut body).take(SMALL_BODY as u64);
        let read = part.read_to_end(&mut text).await;
        match read.map_err(|error| kube::Error::Service(error.into()))? {
            0 => break,
            _ if text.len() > MAX_BODY => return Ok(Bounded::TooLarge),
            _ => {}
        }
    }
    let value = serde_json::from_slice(&text).map_err(kube::Error::SerdeError)?;
    Ok(Bounded::Read(value, text.len()))
}

/// The error of a single object that is too large, which no API server stores.
pub fn too_large() -> kube::Error {
    kube::Error::Service(format!("the response has more than {MAX_BODY} bytes").into())
}
