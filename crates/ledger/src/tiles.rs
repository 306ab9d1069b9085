//! Tiles as they lie on a shelf.

use std::collections::BTreeMap;

use crate::proof::bundle::{self, BundleError};
use crate::proof::tile::{HASHES, TileSource, bundle_path};
use crate::proof::{Hash, ProofError, Tile, TileId};
use crate::shelf::{Object, Shelf, ShelfError};

/// Reads tiles from a shelf, or from objects that are about to be put on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShelfTiles<'s> {
    pub(crate) shelf: &'s dyn Shelf,
    pub(crate) fresh: Option<&'s BTreeMap<String, Vec<u8>>>,
}

impl<'s> ShelfTiles<'s> {
    pub(crate) const fn of(shelf: &'s dyn Shelf) -> Self {
        Self { shelf, fresh: None }
    }

    fn read(&self, id: TileId) -> Result<Option<Vec<Hash>>, ProofError> {
        let path = id.path();
        let bytes = match self.fresh.and_then(|fresh| fresh.get(&path)) {
            Some(bytes) => Some(bytes.clone()),
            None => self.shelf.get(&path).map_err(|error| unread(&path, error.to_string()))?,
        };
        bytes.map(|bytes| Tile::decode(id, &bytes).map(|tile| tile.hashes)).transpose()
    }
}

impl TileSource for ShelfTiles<'_> {
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError> {
        let id = TileId { level, index, width };
        if let Some(hashes) = self.read(id)? {
            return Ok(hashes);
        }
        // A partial tile is removed once the full one is there.
        let full = if width < HASHES { self.read(TileId { width: HASHES, ..id })? } else { None };
        let mut hashes = full.ok_or_else(|| unread(&id.path(), "it is missing".to_owned()))?;
        hashes.truncate(usize::from(width));
        Ok(hashes)
    }
}

fn unread(path: &str, cause: String) -> ProofError {
    ProofError::Tile { path: path.to_owned(), cause }
}

/// The object of a tile.
pub(crate) fn object(tile: &Tile) -> Object {
    Object { path: tile.id.path(), bytes: tile.encode() }
}

/// The first `width` leaves of a bundle. `Ok(None)` if it is not there, an inner error if it is not one.
pub(crate) fn leaves(shelf: &dyn Shelf, index: u64, width: u16) -> Result<Option<Leaves>, ShelfError> {
    // As with tiles: a partial bundle is removed once the full one is there.
    for held in [width, HASHES] {
        if let Some(bytes) = shelf.get(&bundle_path(index, held))? {
            let leaves = bundle::decode(&bytes, held);
            let own = |leaves: Vec<&[u8]>| leaves.into_iter().take(usize::from(width)).map(<[u8]>::to_vec).collect();
            return Ok(Some(leaves.map(own)));
        }
    }
    Ok(None)
}

/// The leaves of a bundle, or why it is none.
pub(crate) type Leaves = Result<Vec<Vec<u8>>, BundleError>;
