//! Tiles: how the tree's hashes lie in files, as c2sp.org/tlog-tiles has it.
//!
//! A tile holds up to 256 consecutive hashes of one level; a hash of level `l + 1` is the root of a full tile of level
//! `l`. A tile that is not full is another file (`….p/<width>`), so that no published file ever changes.

use std::fmt;
use std::str::FromStr;

use super::{Hash, ProofError};

/// The hashes of a full tile, and the entries of a full bundle.
pub const HASHES: u16 = 256;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level 0 holds hashes of leaves. At most 63.
    pub level: u8,
    /// The how manieth of its level, from 0.
    pub index: u64,
    /// How many hashes it has: 1 to [`HASHES`].
    pub width: u16,
}

/// A tile with its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which.
    pub id: TileId,
    /// As many hashes as `id.width` says.
    pub hashes: Vec<Hash>,
}

/// Where tiles come from: a folder, a bucket, memory.
pub trait TileSource {
    /// The first `width` hashes of the tile `index` of `level`. A partial tile may be gone once a wider one exists
    /// (c2sp.org/tlog-tiles, "Partial Tiles"): then the wider one's beginning is the answer.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError>;
}

impl<S: TileSource + ?Sized> TileSource for &S {
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError> {
        (**self).tile(level, index, width)
    }
}

impl TileId {
    /// Where it lies below the ledger's folder: `tile/<level>/<index>[.p/<width>]`.
    #[must_use]
    pub fn path(&self) -> String {
        numbered(&format!("tile/{}/", self.level), self.index, self.width)
    }
}

impl Tile {
    /// Its file: the hashes one after the other.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Reads the file of the tile `id`.
    ///
    /// # Errors
    /// [`ProofError::Width`] unless it holds exactly as many hashes as `id.width` says.
    pub fn decode(id: TileId, bytes: &[u8]) -> Result<Self, ProofError> {
        let (hashes, rest) = bytes.as_chunks();
        if !rest.is_empty() || hashes.len() != usize::from(id.width) {
            let found = bytes.len() / Hash::BYTES;
            return Err(ProofError::Width { path: id.path(), found, expected: id.width });
        }
        Ok(Self { id, hashes: hashes.iter().copied().map(Hash).collect() })
    }
}

/// Where the bundle of entries with this index and width lies: `tile/entries/<index>[.p/<width>]`.
#[must_use]
pub fn bundle_path(index: u64, width: u16) -> String {
    numbered("tile/entries/", index, width)
}

/// Reads what [`bundle_path`] wrote: index and width.
///
/// # Errors
/// When it is not written in exactly that way.
pub fn parse_bundle_path(path: &str) -> Result<(u64, u16), PathError> {
    let refused = || PathError(path.to_owned());
    let (index, width) = path.strip_prefix("tile/entries/").and_then(parse_numbered).ok_or_else(refused)?;
    if bundle_path(index, width) == path { Ok((index, width)) } else { Err(refused()) }
}

/// The tiles to write when a log grows from `old` to `new` entries, lowest level first: every full tile that was
/// not full before, and the partial tile at the right end of each level that gained a hash.
///
/// As many as the growth takes: 1/255 of the new entries and two for each level. `new` below `old` gives none.
pub fn tiles_for(old: u64, new: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS).flat_map(move |level| {
        let (had, has) = (hashes_at(old, level), hashes_at(new, level));
        let full = u64::from(HASHES);
        let end = if has > had { has.div_ceil(full) } else { had / full };
        (had / full..end).filter_map(move |index| tile_of(new, level, index))
    })
}

/// The tile `index` of `level` in a log of `size` entries; none if it has no hash yet.
#[must_use]
pub fn tile_of(size: u64, level: u8, index: u64) -> Option<TileId> {
    let beyond = hashes_at(size, level).checked_sub(index.checked_mul(u64::from(HASHES))?)?;
    let width = u16::try_from(beyond).unwrap_or(HASHES).min(HASHES);
    (width > 0).then_some(TileId { level, index, width })
}

/// How many hashes `level` has in a log of `size` entries.
#[must_use]
pub fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * HEIGHT).unwrap_or(0)
}

/// A path is not written as c2sp.org/tlog-tiles wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the path of a tile or bundle")]
pub struct PathError(String);

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl FromStr for TileId {
    type Err = PathError;

    /// Reads what [`TileId::path`] wrote, and nothing that is written otherwise.
    fn from_str(path: &str) -> Result<Self, PathError> {
        let refused = || PathError(path.to_owned());
        let (level, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(refused)?;
        let level = level.parse().ok().filter(|level| *level <= LEVEL_MAX).ok_or_else(refused)?;
        let (index, width) = parse_numbered(rest).ok_or_else(refused)?;
        let id = Self { level, index, width };
        // What prints differently was written in a second way: with a sign, with more zeroes, with a width of 256.
        if id.path() == path { Ok(id) } else { Err(refused()) }
    }
}

/// `<prefix>x001/x234/067[.p/<width>]`.
fn numbered(prefix: &str, index: u64, width: u16) -> String {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let suffix = if width < HASHES { format!(".p/{width}") } else { String::new() };
    format!("{prefix}{}{suffix}", groups.join("/"))
}

/// Reads loosely; the caller prints the result and compares.
fn parse_numbered(text: &str) -> Option<(u64, u16)> {
    let (index, width) = match text.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..HASHES).contains(width))?),
        None => (text, HASHES),
    };
    let mut number = 0_u64;
    for group in index.split('/') {
        let group: u64 = group.trim_start_matches('x').parse().ok().filter(|group| *group < 1000)?;
        number = number.checked_mul(1000)?.checked_add(group)?;
    }
    Some((number, width))
}

/// A tile spans so many levels of the binary tree.
pub(super) const HEIGHT: u32 = 8;

/// As many levels of tiles as 64 bits of size can fill.
pub(super) const LEVELS: u8 = 8;

/// The greatest level that a path may name.
const LEVEL_MAX: u8 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: TileId, path: &str) {
        assert_eq!(id.path(), path);
        assert_eq!(path.parse(), Ok(id));
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        check(TileId { level: 0, index: 0, width: 256 }, "tile/0/000");
        check(TileId { level: 0, index: 273, width: 112 }, "tile/0/273.p/112");
        check(TileId { level: 1, index: 1_234_067, width: 256 }, "tile/1/x001/x234/067");
        check(TileId { level: 63, index: 1000, width: 1 }, "tile/63/x001/000.p/1");
        check(TileId { level: 5, index: u64::MAX, width: 255 }, "tile/5/x018/x446/x744/x073/x709/x551/615.p/255");
        assert_eq!(bundle_path(1_234_067, 8), "tile/entries/x001/x234/067.p/8");
        assert_eq!(parse_bundle_path("tile/entries/x001/x234/067.p/8"), Ok((1_234_067, 8)));
    }

    #[test]
    fn a_path_is_read_in_one_way_only() {
        for wrong in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/00/000",
            "tile/+0/000",
            "tile/64/000",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/xx01/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "tile/0/000/",
            "/tile/0/000",
            "tile/entries/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x018/x446/x744/x073/x709/x551/615",
            "tile/0/../000",
        ] {
            assert!(wrong.parse::<TileId>().is_err(), "{wrong}");
        }
        for wrong in ["tile/0/000", "tile/entries/", "tile/entries/1", "tile/entries/000.p/300"] {
            assert!(parse_bundle_path(wrong).is_err(), "{wrong}");
        }
    }

    #[track_caller]
    fn grows(old: u64, new: u64, expected: &[&str]) {
        assert_eq!(tiles_for(old, new).map(|id| id.path()).collect::<Vec<_>>(), expected, "from {old} to {new}");
    }

    #[test]
    fn growth_writes_what_changed_and_nothing_else() {
        grows(0, 0, &[]);
        grows(0, 1, &["tile/0/000.p/1"]);
        grows(254, 255, &["tile/0/000.p/255"]);
        grows(255, 256, &["tile/0/000", "tile/1/000.p/1"]);
        grows(256, 256, &[]);
        grows(256, 257, &["tile/0/001.p/1"]);
        grows(100, 600, &["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]);
        grows(65_535, 65_536, &["tile/0/255", "tile/1/000", "tile/2/000.p/1"]);
        grows(69_999, 70_000, &["tile/0/273.p/112"]);
        grows(5, 3, &[]);
        grows(u64::MAX, u64::MAX, &[]);
    }

    #[test]
    fn the_tiles_of_a_log_are_those_of_the_specification() {
        let ids: Vec<TileId> = tiles_for(0, 70_000).collect();
        let count =
            |level: u8, full: bool| ids.iter().filter(|id| id.level == level && (id.width == 256) == full).count();
        assert_eq!((count(0, true), count(0, false)), (273, 1));
        assert_eq!((count(1, true), count(1, false)), (1, 1));
        assert_eq!((count(2, true), count(2, false)), (0, 1));
        assert_eq!(ids.last().map(TileId::path).as_deref(), Some("tile/2/000.p/1"));
        assert_eq!(tile_of(70_000, 1, 1).map(|id| id.width), Some(17));
        assert_eq!(tile_of(70_000, 0, 274), None);
        assert_eq!(tile_of(u64::MAX, 7, 0).map(|id| id.width), Some(255));
        assert_eq!(tile_of(u64::MAX, 8, 0), None);
    }

    #[test]
    fn a_file_of_another_length_is_no_tile() {
        let id = TileId { level: 0, index: 0, width: 2 };
        let tile = Tile { id, hashes: vec![Hash([1; 32]), Hash([2; 32])] };
        let bytes = tile.encode();
        assert_eq!(Tile::decode(id, &bytes), Ok(tile));
        for length in [0, 32, 63] {
            assert!(Tile::decode(id, &bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(Tile::decode(id, &[0; 96]).is_err());
    }
}
