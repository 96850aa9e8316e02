// SPDX-License-Identifier: AGPL-3.0-or-later
//! Fonts of this machine, for what the bundled ones have not: ideographs, emoji, other scripts.
//!
//! Looking is done once, by a worker: of each file only the list of tables and the table of characters are
//! read. Which font is taken depends on the files' names alone, not on the order in which they are found.

use crate::font::{Bytes, FONT_BYTES_MAX, FontFile};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most files that are looked at, most entries of folders, and how deep.
const FILES_MAX: usize = 4096;
const ENTRIES_MAX: usize = 65_536;
const DEPTH_MAX: usize = 6;
/// Largest table of characters that is read.
const CMAP_BYTES_MAX: u32 = 4 << 20;
/// Most fonts of one collection.
const COLLECTION_MAX: u32 = 32;
/// Most ranges of characters of a font: what has more is cut off.
const RANGES_MAX: usize = 8192;
/// Most fonts that are kept in memory; the one used longest ago is dropped.
const LOADED_MAX: usize = 6;

/// A font of this machine.
struct Entry {
    path: PathBuf,
    index: u32,
    is_color: bool,
    /// First and last characters, ascending.
    ranges: Vec<(u32, u32)>,
    /// The lower the better.
    rank: u32,
}

impl Entry {
    fn has(&self, character: char) -> bool {
        let code = u32::from(character);
        let after = self.ranges.partition_point(|(first, _)| *first <= code);
        after > 0 && self.ranges[after - 1].1 >= code
    }
}

/// What is installed.
#[derive(Default)]
pub(crate) struct System {
    entries: Vec<Entry>,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    /// The last one is the newest.
    fonts: Vec<(usize, FontFile)>,
    /// What could not be loaded, so that it is not read again for each character.
    broken: BTreeSet<usize>,
}

impl System {
    /// Looks through the usual folders.
    pub(crate) fn scan() -> System {
        let mut folders = vec![PathBuf::from("/usr/share/fonts"), PathBuf::from("/usr/local/share/fonts")];
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        folders.extend(data.or_else(|| Some(home.as_ref()?.join(".local/share"))).map(|p| p.join("fonts")));
        folders.extend(home.map(|home| home.join(".fonts")));
        System::scan_folders(&folders)
    }

    pub(crate) fn scan_folders(folders: &[PathBuf]) -> System {
        let mut files = Vec::new();
        let mut entries_left = ENTRIES_MAX;
        for folder in folders {
            walk(folder, DEPTH_MAX, &mut entries_left, &mut files);
        }
        files.sort();
        files.dedup();
        let mut entries: Vec<Entry> = files.iter().flat_map(|path| read(path).unwrap_or_default()).collect();
        entries.sort_by(|a, b| (a.rank, &a.path, a.index).cmp(&(b.rank, &b.path, b.index)));
        System { entries, loaded: Mutex::default() }
    }

    /// The best font with this character: with pictures first if they are wanted, else last.
    pub(crate) fn choose(&self, character: char, wants_color: bool) -> Option<FontFile> {
        self.first(character, wants_color).or_else(|| self.first(character, !wants_color))
    }

    /// The best font that has it as a picture.
    pub(crate) fn choose_color(&self, character: char) -> Option<FontFile> {
        self.first(character, true)
    }

    /// The first font that has it and can be loaded.
    fn first(&self, character: char, is_color: bool) -> Option<FontFile> {
        let all = self.entries.iter().enumerate();
        let mut having = all.filter(|(_, entry)| entry.is_color == is_color && entry.has(character));
        having.find_map(|(index, _)| self.load(index))
    }

    fn load(&self, index: usize) -> Option<FontFile> {
        let mut loaded = self.loaded.lock();
        if let Some(place) = loaded.fonts.iter().position(|(other, _)| *other == index) {
            let found = loaded.fonts.remove(place);
            loaded.fonts.push(found.clone());
            return Some(found.1);
        }
        if loaded.broken.contains(&index) {
            return None;
        }
        let entry = &self.entries[index];
        let Some(font) = load(&entry.path, entry.index) else {
            loaded.broken.insert(index);
            return None;
        };
        if loaded.fonts.len() >= LOADED_MAX {
            loaded.fonts.remove(0);
        }
        loaded.fonts.push((index, font.clone()));
        Some(font)
    }
}

fn load(path: &Path, index: u32) -> Option<FontFile> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FONT_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    FontFile::new(Bytes::Read(Arc::from(bytes)), index).ok()
}

fn walk(folder: &Path, depth: usize, entries_left: &mut usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if *entries_left == 0 || files.len() >= FILES_MAX {
            return;
        }
        *entries_left -= 1;
        let path = entry.path();
        // Follows links to files, as packages use them; not to folders, which may go in a circle.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, entries_left, files);
            }
        } else if is_font(&path) && path.is_file() {
            files.push(path);
        }
    }
}

fn is_font(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["ttf", "otf", "ttc", "otc"].contains(&extension.as_str())
}

/// The regular cut of a monospaced family is best.
fn rank(path: &Path) -> u32 {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_ascii_lowercase();
    let unwanted = [
        "bold",
        "italic",
        "oblique",
        "thin",
        "black",
        "light",
        "heavy",
        "condensed",
        "medium",
        "serif",
        "math",
        "narrow",
    ];
    let count = unwanted.iter().filter(|word| name.contains(*word)).count() as u32;
    2 * count + u32::from(!name.contains("mono"))
}

fn read(path: &Path) -> Option<Vec<Entry>> {
    let mut file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > FONT_BYTES_MAX {
        return None;
    }
    let mut head = [0; 12];
    file.read_exact(&mut head).ok()?;
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap_or_default());
    let mut starts = vec![0];
    if &head[..4] == b"ttcf" {
        let count = number(&head[8..]).min(COLLECTION_MAX);
        let mut offsets = vec![0; count as usize * 4];
        file.read_exact(&mut offsets).ok()?;
        starts = offsets.chunks_exact(4).map(number).collect();
    }
    let rank = rank(path);
    let mut entries: Vec<Entry> = Vec::new();
    for (index, start) in starts.into_iter().enumerate() {
        let Some((is_color, ranges)) = read_tables(&mut file, start) else { continue };
        // Fonts of a collection often share their characters; the first is as good as the others.
        if !entries.iter().any(|entry| entry.ranges == ranges && entry.is_color == is_color) {
            entries.push(Entry { path: path.to_owned(), index: index as u32, is_color, ranges, rank });
        }
    }
    Some(entries)
}

/// Whether there are pictures, and which characters.
fn read_tables(file: &mut File, start: u32) -> Option<(bool, Vec<(u32, u32)>)> {
    file.seek(SeekFrom::Start(start.into())).ok()?;
    let mut head = [0; 12];
    file.read_exact(&mut head).ok()?;
    let count = u16::from_be_bytes([head[4], head[5]]).min(256);
    let mut records = vec![0; usize::from(count) * 16];
    file.read_exact(&mut records).ok()?;
    let has = |tag: &[u8]| records.chunks_exact(16).any(|record| &record[..4] == tag);
    let is_color = has(b"CBDT") || has(b"sbix") || has(b"COLR");
    let record = records.chunks_exact(16).find(|record| &record[..4] == b"cmap")?;
    let number = |at: usize| u32::from_be_bytes(record[at..at + 4].try_into().unwrap_or_default());
    let (offset, length) = (number(8), number(12));
    if length > CMAP_BYTES_MAX {
        return None;
    }
    file.seek(SeekFrom::Start(offset.into())).ok()?;
    let mut bytes = Vec::new();
    file.take(length.into()).read_to_end(&mut bytes).ok()?;
    Some((is_color, ranges(&bytes)))
}

fn ranges(cmap: &[u8]) -> Vec<(u32, u32)> {
    let Some(table) = ttf_parser::cmap::Table::parse(cmap) else { return Vec::new() };
    let mut found: Vec<(u32, u32)> = Vec::new();
    // A table may name the same characters again and again; what it claims is bounded by Unicode's size.
    let mut left = 2 * 0x11_0000_usize;
    for subtable in table.subtables.into_iter().filter(ttf_parser::cmap::Subtable::is_unicode) {
        subtable.codepoints(|code| {
            if left == 0 {
                return;
            }
            left -= 1;
            if let Some((_, last)) = found.last_mut().filter(|(_, last)| last.checked_add(1) == Some(code)) {
                *last = code;
            } else if found.len() < RANGES_MAX {
                found.push((code, code));
            }
        });
    }
    found.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (first, last) in found {
        match merged.last_mut() {
            Some(range) if range.1.saturating_add(1) >= first => range.1 = range.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_font_does_not_hide_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let good = include_bytes!("../fonts/DejaVuSans.ttf");
        // Its characters can be read, the rest cannot.
        let mut broken = good.to_vec();
        let head = broken.windows(4).position(|tag| tag == b"head").unwrap();
        broken[head..head + 4].copy_from_slice(b"hxad");
        std::fs::write(folder.path().join("a.ttf"), broken).unwrap();
        let huge = File::create(folder.path().join("b.ttf")).unwrap();
        std::io::Write::write_all(&mut &huge, good).unwrap();
        huge.set_len(FONT_BYTES_MAX + 1).unwrap();
        std::fs::write(folder.path().join("c.ttf"), good).unwrap();
        let system = System::scan_folders(&[folder.path().to_owned()]);
        assert_eq!(system.entries.len(), 2, "what is too large is not looked at");
        for _ in 0..2 {
            assert!(system.choose('\u{416}', false).is_some());
        }
        assert!(system.choose_color('\u{416}').is_none());
    }
}
