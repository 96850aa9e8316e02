// SPDX-License-Identifier: AGPL-3.0-or-later
//! Finished tiles on disk, one file for each font.
//!
//! A file is: 8 bytes `HGLYPHS1`; 32 bytes BLAKE3 of font, parameters and version of the algorithm; `u32`
//! count; that many tiles; 32 bytes BLAKE3 of all before. A tile is: 16 bytes of what it shows; `u8` kind
//! (0 nothing, 1 distances, 2 colour); `u8` correction (0 none, 1 texels, 2 single) and `u16` how many
//! texels; `u16` width, `u16` height; four `f32` bounds; and its texels, three bytes each for distances,
//! four for colour. Numbers are little-endian. A file that is not exactly so is ignored and made anew:
//! nothing else reads it, and nothing is lost with it.

use crate::{Bounds, Correction, Glyph, Kind, RANGE_TEXELS, TEXELS_PER_EM, TILE_MAX};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// Raise it with every change of how tiles are made.
const ALGORITHM: u32 = 1;
const MAGIC: &[u8; 8] = b"HGLYPHS1";
/// Longest file. Beyond it, tiles are made but not kept.
const FILE_BYTES_MAX: usize = 24 << 20;
/// Most files of the folder; the oldest is removed.
const FILES_MAX: usize = 32;
/// Most fonts whose tiles are kept in memory for the file; those of others are not kept.
const FONTS_MAX: usize = 16;
/// Ending of the files' names.
const EXTENSION: &str = "glyphs";
/// Bytes of a tile besides its texels.
const TILE_HEAD: usize = 16 + 1 + 1 + 2 + 2 + 2 + 16;

type Recipe = [u8; 16];

/// Tiles by font. Without a folder it keeps nothing.
#[derive(Default)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    fonts: Mutex<HashMap<[u8; 32], Tiles>>,
}

#[derive(Default)]
struct Tiles {
    tiles: BTreeMap<Recipe, Glyph>,
    bytes: usize,
    is_changed: bool,
    /// Nobody needs them any more: when they are written they go.
    is_done: bool,
}

impl Cache {
    pub(crate) fn new(folder: PathBuf) -> Cache {
        Cache { folder: Some(folder), fonts: Mutex::default() }
    }

    pub(crate) fn get(&self, font: &blake3::Hash, recipe: &Recipe) -> Option<Glyph> {
        self.with(font, |tiles| tiles.tiles.get(recipe).cloned())?
    }

    pub(crate) fn put(&self, font: &blake3::Hash, recipe: &Recipe, glyph: &Glyph) {
        self.with(font, |tiles| {
            let bytes = TILE_HEAD + glyph.texels.len();
            // What is clipped or faint is drawn, not taken from a font, and never comes here.
            if tiles.bytes + bytes < FILE_BYTES_MAX && !glyph.clipped {
                tiles.tiles.insert(*recipe, glyph.clone());
                tiles.bytes += bytes;
                tiles.is_changed = true;
            }
        });
    }

    fn with<T>(&self, font: &blake3::Hash, use_it: impl FnOnce(&mut Tiles) -> T) -> Option<T> {
        let folder = self.folder.as_ref()?;
        let key = key(font);
        let mut fonts = self.fonts.lock();
        if !fonts.contains_key(&key) {
            if fonts.len() >= FONTS_MAX {
                return None;
            }
            let tiles = read(&path(folder, &key)).and_then(|bytes| decode(&bytes, &key)).unwrap_or_default();
            fonts.insert(key, tiles);
        }
        let tiles = fonts.get_mut(&key)?;
        tiles.is_done = false;
        Some(use_it(tiles))
    }

    /// The tiles of this font are kept in memory no longer than to the next [`Cache::flush`].
    pub(crate) fn let_go(&self, font: &blake3::Hash) {
        if let Some(tiles) = self.fonts.lock().get_mut(&key(font)) {
            tiles.is_done = true;
        }
    }

    /// Writes what has changed. A file that cannot be written is told to the log, and left.
    pub(crate) fn flush(&self) {
        let Some(folder) = &self.folder else { return };
        let changed: Vec<([u8; 32], Vec<u8>)> = {
            let mut fonts = self.fonts.lock();
            let mut changed = Vec::new();
            for (key, tiles) in fonts.iter_mut().filter(|(_, tiles)| tiles.is_changed) {
                tiles.is_changed = false;
                changed.push((*key, encode(key, &tiles.tiles)));
            }
            fonts.retain(|_, tiles| !tiles.is_done);
            changed
        };
        for (key, bytes) in changed {
            if let Err(error) = write(folder, &path(folder, &key), &bytes) {
                tracing::warn!(%error, folder = %folder.display(), "glyphs could not be kept on disk");
            }
        }
    }
}

fn key(font: &blake3::Hash) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("hearth glyph tiles");
    hasher.update(font.as_bytes());
    hasher.update(&ALGORITHM.to_le_bytes());
    hasher.update(&TEXELS_PER_EM.to_le_bytes());
    hasher.update(&RANGE_TEXELS.to_le_bytes());
    *hasher.finalize().as_bytes()
}

fn path(folder: &Path, key: &[u8; 32]) -> PathBuf {
    let name = blake3::Hash::from_bytes(*key).to_hex();
    folder.join(&name[..32]).with_extension(EXTENSION)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= FILE_BYTES_MAX).then_some(bytes)
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()?;
    // Fonts come and go with the machine's packages.
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == EXTENSION))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(FILES_MAX);
    for (_, path) in &files[..surplus] {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn encode(key: &[u8; 32], tiles: &BTreeMap<Recipe, Glyph>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(key);
    out.extend_from_slice(&(tiles.len() as u32).to_le_bytes());
    for (recipe, glyph) in tiles {
        out.extend_from_slice(recipe);
        out.push(match glyph.kind {
            Kind::Empty => 0,
            Kind::Distance => 1,
            Kind::Color => 2,
        });
        let (correction, count) = match glyph.correction {
            Correction::None => (0, 0),
            Correction::Texels(count) => (1, count),
            Correction::Single => (2, 0),
        };
        out.push(correction);
        for number in [count, glyph.width, glyph.height] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let Bounds { left, bottom, right, top } = glyph.bounds;
        for edge in [left, bottom, right, top] {
            out.extend_from_slice(&edge.to_le_bytes());
        }
        let used = if glyph.kind == Kind::Distance { 3 } else { 4 };
        out.extend(glyph.texels.chunks_exact(4).flat_map(|texel| texel[..used].iter().copied()));
    }
    let sum = blake3::hash(&out);
    out.extend_from_slice(sum.as_bytes());
    out
}

fn decode(bytes: &[u8], key: &[u8; 32]) -> Option<Tiles> {
    let (body, sum) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(body) != blake3::Hash::from_bytes(*sum) {
        return None;
    }
    let rest = &mut body.strip_prefix(MAGIC)?.strip_prefix(key)?;
    let count = u32::from_le_bytes(take(rest)?);
    let mut tiles = Tiles::default();
    for _ in 0..count {
        let recipe: Recipe = take(rest)?;
        let [kind, correction] = take(rest)?;
        let [texels, width, height] = [take(rest)?, take(rest)?, take(rest)?].map(u16::from_le_bytes);
        let edges = [take(rest)?, take(rest)?, take(rest)?, take(rest)?].map(f32::from_le_bytes);
        if u32::from(width.max(height)) > TILE_MAX || edges.iter().any(|edge| !edge.is_finite()) {
            return None;
        }
        let area = usize::from(width) * usize::from(height);
        let (kind, texel_bytes) = match kind {
            0 if area == 0 => (Kind::Empty, 4),
            1 => (Kind::Distance, 3),
            2 => (Kind::Color, 4),
            _ => return None,
        };
        let (data, after) = rest.split_at_checked(area * texel_bytes)?;
        *rest = after;
        let glyph = Glyph {
            kind,
            width,
            height,
            texels: if texel_bytes == 4 {
                data.to_vec()
            } else {
                data.chunks_exact(3).flat_map(|t| [t[0], t[1], t[2], 255]).collect()
            },
            bounds: Bounds { left: edges[0], bottom: edges[1], right: edges[2], top: edges[3] },
            correction: match correction {
                0 => Correction::None,
                1 => Correction::Texels(texels),
                2 => Correction::Single,
                _ => return None,
            },
            ..Glyph::EMPTY
        };
        tiles.bytes += TILE_HEAD + glyph.texels.len();
        tiles.tiles.insert(recipe, glyph);
    }
    rest.is_empty().then_some(tiles)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (found, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glyph(character: char) -> Glyph {
        crate::Bundled::MonoRegular.make(character).unwrap()
    }

    #[test]
    fn what_was_put_is_read_back_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let font = blake3::hash(b"a font");
        let cache = Cache::new(folder.path().join("glyphs"));
        for (recipe, character) in [([1; 16], 'a'), ([2; 16], '@')] {
            cache.put(&font, &recipe, &glyph(character));
        }
        cache.flush();
        let again = Cache::new(folder.path().join("glyphs"));
        assert_eq!(again.get(&font, &[1; 16]).unwrap(), glyph('a'));
        assert_eq!(again.get(&font, &[2; 16]).unwrap(), glyph('@'));
        assert!(again.get(&font, &[3; 16]).is_none());
        // For another font, another file.
        assert!(again.get(&blake3::hash(b"another"), &[1; 16]).is_none());
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let font = blake3::hash(b"a font");
        let cache = Cache::new(folder.path().to_owned());
        cache.put(&font, &[1; 16], &glyph('a'));
        cache.flush();
        let file = path(folder.path(), &key(&font));
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let again = Cache::new(folder.path().to_owned());
        assert!(again.get(&font, &[1; 16]).is_none());
        again.put(&font, &[1; 16], &glyph('a'));
        again.flush();
        assert!(Cache::new(folder.path().to_owned()).get(&font, &[1; 16]).is_some());
    }

    #[test]
    fn old_files_make_room() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..FILES_MAX as u32 + 5 {
            let cache = Cache::new(folder.path().to_owned());
            cache.put(&blake3::hash(&number.to_le_bytes()), &[1; 16], &Glyph::EMPTY);
            cache.flush();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), FILES_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), signed in any::<bool>()) {
            let key = [7; 32];
            if signed {
                // Past the first checks.
                let mut whole = MAGIC.to_vec();
                whole.extend(key);
                whole.append(&mut bytes);
                let sum = blake3::hash(&whole);
                whole.extend(sum.as_bytes());
                bytes = whole;
            }
            if let Some(tiles) = decode(&bytes, &key) {
                prop_assert!(tiles.bytes <= 4 * bytes.len());
            }
        }
    }
}
