//! Who the state belongs to and which program may touch it.
//!
//! Owns the keys under `cluster/`. A newer schema is refused, never rewritten (G13).

use dockmgr_core::ids::{ClusterId, Epoch};

use super::{Error, Guard, Key, Store, Write};

/// The newest layout of the stored state that this program knows.
pub const SCHEMA_VERSION: u64 = 1;

const SCHEMA_KEY: &str = "cluster/schema";
const ID_KEY: &str = "cluster/id";

/// Refuses state of a newer schema.
pub(super) async fn check(store: &Store) -> Result<(), Error> {
    let Some(text) = read(store, SCHEMA_KEY).await? else { return Ok(()) };
    let found: u64 = text
        .parse()
        .map_err(|_| corrupt(SCHEMA_KEY, format!("'{}' is no version", text.escape_default())))?;
    if found > SCHEMA_VERSION {
        return Err(Error::NewerSchema { found, supported: SCHEMA_VERSION });
    }
    Ok(())
}

/// Reads the cluster's identity, or makes `proposed` it.
pub(super) async fn cluster_id(store: &Store, epoch: Epoch, proposed: ClusterId) -> Result<ClusterId, Error> {
    check(store).await?;
    if let Some(id) = known_id(store).await? {
        return Ok(id);
    }
    let writes = vec![
        Write::put(key(SCHEMA_KEY), SCHEMA_VERSION.to_string()),
        Write::put(key(ID_KEY), proposed.to_string()),
    ];
    store.commit(writes, Guard::leader(epoch).and_absent(key(ID_KEY))).await?;
    Ok(proposed)
}

/// The cluster's identity, if it has one.
pub(super) async fn known_id(store: &Store) -> Result<Option<ClusterId>, Error> {
    let Some(text) = read(store, ID_KEY).await? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| corrupt(ID_KEY, "it is no UUID".to_owned()))
}

async fn read(store: &Store, name: &str) -> Result<Option<String>, Error> {
    let Some(entry) = store.get(&key(name)).await? else { return Ok(None) };
    let text =
        String::from_utf8(entry.value.to_vec()).map_err(|_| corrupt(name, "it is no text".to_owned()))?;
    Ok(Some(text))
}

fn key(name: &str) -> Key {
    Key::new(name).expect("the constants of this module are keys")
}

fn corrupt(name: &str, detail: String) -> Error {
    Error::Corrupt { place: name.to_owned(), detail }
}
