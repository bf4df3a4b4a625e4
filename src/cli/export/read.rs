//! The content of Redis: configs, mappings, and the tenants that an operator owns already.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use secrecy::SecretSlice;

use crate::contract::{CONFIG_PREFIX, DID_PREFIX, Did};
use crate::store::{KeyReader, RECORD_PREFIX, StoreError};

/// The configs that are read together.
const CONFIGS: usize = 20;
/// The mappings that are read together.
const MAPPINGS: usize = 500;
/// At most one SCAN is sent in this time.
const PAUSE: Duration = Duration::from_millis(5);

/// All that an export reads.
#[derive(Debug, Default)]
pub struct Keys {
    /// The keys of configs, by the bytes of the tenant id.
    pub configs: BTreeMap<Vec<u8>, Stored>,
    /// The mappings by number.
    pub mappings: BTreeMap<Did, String>,
    /// Keys below the prefix of mappings that map no number, each with the reason.
    pub odd: Vec<(String, &'static str)>,
    /// The tenant ids that have an ownership record.
    pub owned: HashSet<Vec<u8>>,
}

/// The value of a config's key.
#[derive(Debug)]
pub enum Stored {
    /// Its bytes, which may hold a secret.
    Bytes(SecretSlice<u8>),
    /// The key is of this type.
    OtherType(String),
}

/// Reads everything, with SCAN, MGET and TYPE alone.
pub async fn read(reader: &KeyReader) -> Result<Keys, StoreError> {
    let mut keys = Keys::default();
    let records = reader.keys(RECORD_PREFIX, PAUSE).await?;
    keys.owned = records.into_iter().map(|key| key[RECORD_PREFIX.len()..].to_vec()).collect();
    // Mappings before configs: a tenant that is removed meanwhile is then seen without its config, and not the other way round.
    let mappings = reader.keys(DID_PREFIX, PAUSE).await?;
    for some in mappings.chunks(MAPPINGS) {
        for (key, value) in some.iter().zip(reader.values(some).await?) {
            keys.mapping(key, value);
        }
    }
    let configs = reader.keys(CONFIG_PREFIX, PAUSE).await?;
    for some in configs.chunks(CONFIGS) {
        for (key, value) in some.iter().zip(reader.values(some).await?) {
            let tenant = key[CONFIG_PREFIX.len()..].to_vec();
            let stored = match value {
                Some(bytes) => Stored::Bytes(bytes.into()),
                None => match reader.kind(key).await?.as_str() {
                    "none" => continue,
                    kind => Stored::OtherType(kind.to_owned()),
                },
            };
            keys.configs.insert(tenant, stored);
        }
    }
    Ok(keys)
}

impl Keys {
    fn mapping(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        let name = String::from_utf8_lossy(key).into_owned();
        let number = std::str::from_utf8(&key[DID_PREFIX.len()..]).ok();
        let Some(did) = number.and_then(|number| Did::parse_exact(number).ok()) else {
            self.odd.push((name, "its end is no E.164 number, which no call looks up"));
            return;
        };
        let Some(value) = value else {
            self.odd.push((name, "it is gone, or no string"));
            return;
        };
        match String::from_utf8(value) {
            Ok(tenant) if !tenant.is_empty() => drop(self.mappings.insert(did, tenant)),
            Ok(_) => self.odd.push((name, "it is empty, which counts as not mapped")),
            Err(_) => self.odd.push((name, "it holds no UTF-8")),
        }
    }
}
