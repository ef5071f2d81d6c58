//! A server's share as a source of blocks.

use image_format::store::{BlockPlace, Source, StoreError};

use super::{Client, ClientError, Patience};
use crate::routes;

/// Blocks over HTTPS, as the bearer of a run's token. An outage is waited
/// out; a refusal is not.
#[derive(Debug, Clone)]
pub struct HttpSource {
    client: Client,
    patience: Patience,
}

impl HttpSource {
    /// Fetches with `client`, waiting with `patience`.
    pub fn new(client: Client, patience: Patience) -> Self {
        Self { client, patience }
    }

    fn fetch(&self, place: &BlockPlace) -> Result<Vec<u8>, ClientError> {
        let path = routes::fill(routes::BLOCK, &[&place.pack, &place.offset, &place.stored]);
        let bytes = self.client.bytes(&path, u64::from(place.stored))?;
        if bytes.len() as u64 == u64::from(place.stored) {
            return Ok(bytes);
        }
        // A connection that ends early looks like a short answer.
        Err(ClientError::Unreachable {
            server: self.client.server().to_owned(),
            reason: format!("{place}: got {} of {} bytes", bytes.len(), place.stored),
        })
    }
}

impl Source for HttpSource {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.patience
            .call(|| self.fetch(place))
            .map_err(|error| StoreError::Remote {
                doing: format!("fetching {place} from {}", self.client.server()),
                retry: error.is_transient(),
                source: Box::new(error),
            })
    }
}
