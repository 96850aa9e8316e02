// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is remembered from one run to the next: `client.toml` in the user's configuration folder.
//!
//! ```toml
//! address = "hearth.example:4320"  # the space that was joined last
//! name = "ada"                     # and as whom
//! volume = 0.8                     # 0 to 1
//! quality = "auto"                 # or "low", "high"
//! fov = 60.0                       # degrees from the bottom to the top of the picture, 50 to 100
//! look_speed = 1.0                 # how fast the mouse turns the view, 0.2 to 3
//! invert_look = false              # true: moving the mouse forward looks down
//! ```
//!
//! Each may be missing. A person may edit the file: what the program does not know, and comments, it leaves as they are,
//! and a file that it cannot read it does not touch. There is no password in it.

use crate::{
    folder_of,
    words::{Quality, Settings},
};
use serde::Deserialize;
use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// Longest file that is read: more is no list of settings.
const LEN_MAX: u64 = 1 << 20;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Remembered {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) settings: Settings,
}

/// Why settings are not read or not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("could not use the settings in `{}`: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the settings in `{}` are malformed, and are left as they are: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
}

/// The file; `None` is one for a user that has no folder for it, and keeps nothing.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile(Option<PathBuf>);

/// What the file may hold.
#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    address: String,
    #[serde(default)]
    name: String,
    volume: Option<f32>,
    quality: Option<Quality>,
    fov: Option<f32>,
    look_speed: Option<f32>,
    invert_look: Option<bool>,
}

const KEYS: [&str; 7] = ["address", "name", "volume", "quality", "fov", "look_speed", "invert_look"];

impl SettingsFile {
    /// `$XDG_CONFIG_HOME/hearth/client.toml`, or in `~/.config` if that is not set.
    pub(crate) fn of_user() -> SettingsFile {
        let base =
            folder_of("XDG_CONFIG_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".config")));
        SettingsFile(base.map(|base| base.join("hearth/client.toml")))
    }

    /// Reads it; without a file, what a new user has. Beside that it tells what of the file is not known.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub(crate) fn read(&self) -> Result<(Remembered, Vec<String>), SettingsError> {
        let Some(path) = &self.0 else { return Ok((Remembered::default(), Vec::new())) };
        parse(path, &text_of(path)?)
    }

    /// Writes what is remembered, durably and as a whole, and leaves the rest of the file as it is.
    ///
    /// # Errors
    /// The file that is there is malformed, or the disk refuses.
    pub(crate) fn write(&self, remembered: &Remembered) -> Result<(), SettingsError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let before = text_of(path)?;
        parse(path, &before)?;
        let after = edited(&before, remembered);
        // A file that is laid out in a way that is not understood line by line is not spoilt.
        match parse(path, &after) {
            Ok((read, _)) if read == *remembered => {}
            _ => {
                let reason = "its lines are not of the form `key = value`".into();
                return Err(SettingsError::Malformed { path: path.clone(), reason });
            }
        }
        if after == before {
            return Ok(());
        }
        replace(path, &after).map_err(|error| SettingsError::Io { path: path.clone(), error })
    }
}

fn text_of(path: &Path) -> Result<String, SettingsError> {
    let io = |error| SettingsError::Io { path: path.into(), error };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Ok(found) if found.len() > LEN_MAX => {
            let reason = format!("it is longer than {LEN_MAX} bytes");
            return Err(SettingsError::Malformed { path: path.into(), reason });
        }
        _ => {}
    }
    let bytes = fs::read(path).map_err(io)?;
    String::from_utf8(bytes)
        .map_err(|error| SettingsError::Malformed { path: path.into(), reason: error.to_string() })
}

fn parse(path: &Path, text: &str) -> Result<(Remembered, Vec<String>), SettingsError> {
    let malformed = |reason: String| SettingsError::Malformed { path: path.into(), reason };
    // A message of this parser has several lines, of which the first says where.
    let said = |error: &toml::de::Error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let message = error.message().to_owned();
        line.map_or(message.clone(), |line| format!("line {line}: {message}"))
    };
    let table: toml::Table = toml::from_str(text).map_err(|error| malformed(said(&error)))?;
    let known: Known = toml::from_str(text).map_err(|error| malformed(said(&error)))?;
    let usual = Settings::default();
    let settings = Settings {
        volume: known.volume.unwrap_or(usual.volume),
        quality: known.quality.unwrap_or(usual.quality),
        fov: known.fov.unwrap_or(usual.fov),
        look_speed: known.look_speed.unwrap_or(usual.look_speed),
        invert_look: known.invert_look.unwrap_or(usual.invert_look),
    };
    settings.check().map_err(malformed)?;
    let unknown = table.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
    Ok((Remembered { address: known.address, name: known.name, settings }, unknown))
}

/// The text with other values: in their lines, or before everything if they have none.
fn edited(text: &str, remembered: &Remembered) -> String {
    let Remembered { address, name, settings } = remembered;
    let Settings { volume, quality, fov, look_speed, invert_look } = settings;
    let quality = match quality {
        Quality::Auto => "auto",
        Quality::Low => "low",
        Quality::High => "high",
    };
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    // As few digits as tell it: 0.8, and not what is next to it in binary.
    let number = |value: &f32| if value.fract() == 0.0 { format!("{value:.1}") } else { value.to_string() };
    let values = [
        quoted(address),
        quoted(name),
        number(volume),
        quoted(quality),
        number(fov),
        number(look_speed),
        invert_look.to_string(),
    ];
    let mut missing: Vec<(&str, &String)> = KEYS.into_iter().zip(&values).collect();
    let mut lines: Vec<String> = Vec::new();
    let mut is_top = true;
    for line in text.lines() {
        is_top &= !line.trim_start().starts_with('[');
        let key = line.split_once('=').map(|(key, _)| key.trim());
        let at = missing.iter().position(|(name, _)| is_top && key == Some(name));
        match at.map(|at| missing.remove(at)) {
            Some((name, value)) => lines.push(format!("{name} = {value}{}", comment_of(line))),
            None => lines.push(line.to_owned()),
        }
    }
    let new = missing.into_iter().map(|(name, value)| format!("{name} = {value}"));
    let all: Vec<String> = new.chain(lines).collect();
    all.join("\n") + "\n"
}

/// The comment at the end of a line, with the blanks before it. What could be a part of a value is none.
fn comment_of(line: &str) -> &str {
    match line.rfind('#') {
        Some(at) if !line[at..].contains(['"', '\'']) => &line[line[..at].trim_end().len()..],
        _ => "",
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn ada() -> Remembered {
        let settings =
            Settings { volume: 0.8, quality: Quality::High, fov: 75.0, look_speed: 1.35, invert_look: true };
        Remembered { address: "hearth.example:4320".into(), name: "a\"da".into(), settings }
    }

    fn file(folder: &tempfile::TempDir) -> (SettingsFile, PathBuf) {
        let path = folder.path().join("hearth/client.toml");
        (SettingsFile(Some(path.clone())), path)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = file(&folder);
        assert_eq!(file.read().unwrap(), (Remembered::default(), Vec::new()));
        file.write(&ada()).unwrap();
        assert_eq!(file.read().unwrap(), (ada(), Vec::new()));
        let text = fs::read_to_string(&path).unwrap();
        let lines =
            ["volume = 0.8", "quality = \"high\"", "fov = 75.0", "look_speed = 1.35", "invert_look = true"];
        assert!(lines.iter().all(|line| text.lines().any(|one| one == *line)), "{text}");
        // Nothing else is left beside it.
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(SettingsFile(None).read().unwrap().0, Remembered::default());
        SettingsFile(None).write(&ada()).unwrap();
    }

    #[test]
    fn what_a_person_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = file(&folder);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = "# mine\nvolume = 0.3   # not so loud\nfuture = [1, 2]\n\n[window]\nname = 'left'\n";
        fs::write(&path, before).unwrap();
        let (read, unknown) = file.read().unwrap();
        assert_eq!((read.settings.volume, read.name.as_str()), (0.3, ""));
        assert_eq!(unknown, ["future", "window"]);
        file.write(&ada()).unwrap();
        assert_eq!(file.read().unwrap(), (ada(), unknown));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.ends_with(
                "# mine\nvolume = 0.8   # not so loud\nfuture = [1, 2]\n\n[window]\nname = 'left'\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = file(&folder);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for (text, said) in [
            ("name = 'ada'\nvolume = loud\n", "line 2"),
            ("volume = 3.0\n", "0 to 1"),
            ("volume = true\n", "line 1"),
            ("quality = 'best'\n", "line 1"),
            ("fov = 160\n", "`fov` is 160, not 50 to 100"),
            ("fov = nan\n", "`fov` is NaN"),
            ("fov = 'wide'\n", "line 1"),
            ("look_speed = 0.0\n", "`look_speed` is 0, not 0.2 to 3"),
            ("look_speed = inf\n", "`look_speed` is inf"),
            ("invert_look = 1\n", "line 1"),
            ("name = 7\n", "line 1"),
        ] {
            fs::write(&path, text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("client.toml"), "{text}: {error}");
            assert!(file.write(&ada()).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        // A key that is written in a way of its own, and lines that are no keys.
        for text in ["\"name\" = 'bob'\n", "note = '''\nname = \"in a text\"\n'''\nname = 'bob'\n"] {
            fs::write(&path, text).unwrap();
            if file.write(&ada()).is_err() {
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
        fs::write(&path, b"name = '\xff'\n").unwrap();
        assert!(matches!(file.read(), Err(SettingsError::Malformed { .. })));
    }
}
