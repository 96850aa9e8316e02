// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is in a model: its clips and how long they are, its nodes, and how far it reaches; and when a clip that is
//! played comes to its end.
//!
//! Each peer plays the clips of models by itself, from the start that an [`Animation`] says. So a script knows when one
//! ends as soon as it knows how long it is, also on a peer that shows no pictures: nothing is sent for it.
//!
//! ```
//! use hearth_sdk::{prelude::*, testing};
//!
//! async fn leaps(dancer: EntityId, lump: LumpId) -> Result<(), Error> {
//!     let model = Model::of(lump).await?;
//!     let jump = model.clip("jump")?;
//!     let once = Animation { repeat: false, blend: 0.3, ..jump.start() };
//!     scene::set(dancer, once.clone())?;
//!     jump.ends(&once).await;
//!     scene::set(dancer, Animation { blend: 0.3, ..model.clip("idle")?.start() })
//! }
//! # let file = br#"{"animations": [{"name": "idle"}, {"name": "jump"}]}"#;
//! # let lump = Lump::put(file).unwrap();
//! # assert_eq!(testing::run_for(leaps("0.7".parse().unwrap(), lump.0), Duration::from_secs(9)), Some(Ok(())));
//! # assert_eq!(testing::batches().len(), 2);
//! ```

mod file;
mod playing;
mod space;

use crate::{
    Error, Lump,
    math::{Quat, Vec3},
    sys,
};
use file::{Accessor, File};
use hearth_abi::{
    Errno, LumpId,
    scene::{self, Animation},
};
pub use playing::{Ends, Marks};
use std::{collections::BTreeMap, fmt::Display, time::Duration};

/// Longest description that is read, alone and with its buffers as text: those of large rigs are a tenth of that, and
/// the memory of a script is bounded.
const JSON_LEN_MAX: u32 = 4 << 20;
const TEXT_LEN_MAX: usize = 8 << 20;
/// How long a model may take to arrive.
const WAIT: Duration = Duration::from_secs(60);
/// Most skins of which a matrix is read.
const SKINS_MAX: usize = 64;
/// Most accessors of which the last time is read, since the file does not say it in `max`.
const TIMES_MAX: usize = 256;
/// Of 32-bit floats (glTF 2.0, section 3.6.2.2).
const FLOAT: u32 = 5126;
/// Most names in the reason of an error.
const NAMES_MAX: usize = 16;

/// What a glTF file says of itself. Whether it is sound the peers decide that show it: what is of no interest here is
/// not looked at.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Model {
    clips: Vec<Clip>,
    nodes: Vec<Node>,
    extent: Option<[Vec3; 2]>,
}

/// An animation of a model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Clip {
    /// Its name, often empty.
    pub name: String,
    /// Its number, from 0.
    pub number: u32,
    /// How long it is: seconds to its last key.
    pub secs: f32,
}

/// A node of the scene that is shown; joints of skins are nodes as well.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Its name, often empty.
    pub name: String,
    /// Where it is in the model as that was made.
    pub place: Vec3,
    /// How it is turned there.
    pub turn: Quat,
    /// Whether it shows a mesh.
    pub has_mesh: bool,
}

fn malformed(reason: impl Display) -> Error {
    Error::new(Errno::Malformed, format!("the model is broken: {reason}"))
}

impl Model {
    /// Reads as much of a model as is needed: of a binary file its description, which may be 4 MiB long, of text all,
    /// at most 8 MiB. It is fetched from other peers when missing, for at most a minute.
    ///
    /// # Errors
    /// [`Errno::Malformed`], with the reason, if it is no glTF 2.0 file, or if one of its clips does not tell how long
    /// it is; [`Errno::Limit`] if there is more of something than is read; [`Errno::Unsupported`] if the times of a clip
    /// are written in a way that is not read; [`Errno::TimedOut`] or [`Errno::NotFound`] if the lump cannot be had.
    pub async fn of(lump: LumpId) -> Result<Model, Error> {
        let lump = Lump(lump);
        let size = lump.size(WAIT).await?;
        let head = lump.read_at(0, 20, WAIT).await?;
        if !head.starts_with(b"glTF") {
            let text = lump.read(TEXT_LEN_MAX, WAIT).await?;
            return read(&text, None).await;
        }
        let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (Some(version), Some(len)) = (number(4), number(12)) else {
            return Err(malformed("it ends in its header"));
        };
        if version != 2 || head.get(16..20) != Some(b"JSON") {
            return Err(malformed("it is not glTF 2.0"));
        }
        if len > JSON_LEN_MAX {
            return Err(Error::new(Errno::Limit, format!("the model's description has {len} bytes")));
        }
        let end = 20 + u64::from(len);
        if end > size {
            return Err(malformed("it ends in its description"));
        }
        let mut text = Vec::with_capacity(len as usize);
        while text.len() < len as usize {
            let piece = lump.read_at(20 + text.len() as u64, len - text.len() as u32, WAIT).await?;
            if piece.is_empty() {
                return Err(malformed("it ends in its description"));
            }
            text.extend_from_slice(&piece);
        }
        // Before the binary part there are its length and what it is.
        read(&text, Some((lump, end + 8))).await
    }

    /// Its clips, in order of their numbers.
    pub fn clips(&self) -> &[Clip] {
        &self.clips
    }

    /// One of its clips: by its number, or of those of a name the first.
    ///
    /// # Errors
    /// [`Errno::NotFound`], with the names of those that it has.
    pub fn clip(&self, clip: impl Into<scene::Clip>) -> Result<&Clip, Error> {
        let clip = clip.into();
        let found = match &clip {
            scene::Clip::Number(number) => self.clips.get(*number as usize),
            scene::Clip::Name(name) => self.clips.iter().find(|clip| clip.name == *name),
        };
        found.ok_or_else(|| {
            let wanted = match clip {
                scene::Clip::Number(number) => number.to_string(),
                scene::Clip::Name(name) => name,
            };
            let names = self.clips.iter().take(NAMES_MAX).map(|clip| format!("`{}`", clip.name));
            let has = match self.clips.len() {
                0 => "none".into(),
                _ => names.collect::<Vec<_>>().join(", "),
            };
            Error::new(Errno::NotFound, format!("the model has no clip `{wanted}`; it has {has}"))
        })
    }

    /// The nodes of the scene that is shown, in the order of the file.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Its lowest and highest corner in metres, as it was made; `None` if it does not tell, or shows nothing.
    pub fn extent(&self) -> Option<[Vec3; 2]> {
        self.extent
    }
}

impl Clip {
    /// Plays this over and over, from now on, for everybody alike.
    pub fn start(&self) -> Animation {
        // 0 would be for when a peer first shows it.
        Animation { start_ns: sys::clock_wall().max(1), ..Animation::of(self.number) }
    }

    /// Waits until the clip has come to its end, as this animation plays it. What it depends on are its start (0 is
    /// now), speed, offset, and whether it is paused or repeats.
    ///
    /// Of one that is over already it is ready at once. Of one that repeats each end of a round from now on is told. What is
    /// paused, or has no speed, does not end; nor does what is repeated in less than 10 ms.
    ///
    /// ```
    /// # use hearth_sdk::{prelude::*, testing};
    /// # async fn walks(model: Model) -> Result<(), Error> {
    /// let walk = model.clip("walk")?;
    /// let mut rounds = walk.ends(&walk.start());
    /// for round in 1..=3 {
    ///     rounds.next().await;
    ///     info!("went round {round} times");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn ends(&self, animation: &Animation) -> Ends {
        Ends::of(self.secs, animation)
    }

    /// Tells of these times of the clip, in seconds of it, as they are passed: the steps of who walks, the stroke of who
    /// hammers. What is passed before this call is not told, but for what was passed since a start less than 0.1 s ago.
    ///
    /// ```
    /// # use hearth_sdk::{prelude::*, sound, testing};
    /// # async fn walks(walker: EntityId, model: Model, [left, right]: [LumpId; 2]) -> Result<(), Error> {
    /// let walk = model.clip("walk")?;
    /// let walks = walk.start();
    /// scene::set(walker, walks.clone())?;
    /// let mut steps = walk.marks(&walks, [(0.1, left), (0.6, right)]);
    /// while let Some(step) = steps.next().await {
    ///     sound::play(walker, Sound::new(*step))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn marks<T>(&self, animation: &Animation, marks: impl IntoIterator<Item = (f32, T)>) -> Marks<T> {
        Marks::of(self.secs, animation, marks)
    }
}

/// What a description says; the binary part begins at a byte of a lump.
async fn read(text: &[u8], binary: Option<(Lump, u64)>) -> Result<Model, Error> {
    let file: File<'_> = serde_json::from_slice(text).map_err(malformed)?;
    let parts = Parts { file: &file, binary };
    let clips = parts.clips().await?;
    let binds = parts.binds().await?;
    let places = space::places(&file);
    let extent = space::extent(&file, &places, &binds);
    let nodes = file.nodes.iter().zip(&places).filter_map(|(node, place)| {
        let (matrix, turn) = place.as_ref()?;
        let [x, y, z, _] = matrix[3];
        let place = Vec3 { x, y, z };
        Some(Node { name: node.name.clone(), place, turn: *turn, has_mesh: node.mesh.is_some() })
    });
    Ok(Model { clips, nodes: nodes.collect(), extent })
}

/// The description, and where its buffers are.
struct Parts<'a> {
    file: &'a File<'a>,
    binary: Option<(Lump, u64)>,
}

impl Parts<'_> {
    async fn clips(&self) -> Result<Vec<Clip>, Error> {
        let mut read = BTreeMap::new();
        let mut clips = Vec::new();
        for (number, animation) in self.file.animations.iter().enumerate() {
            let in_clip =
                |error: Error| Error { reason: format!("{} (animation {number})", error.reason), ..error };
            let mut secs = 0.0f32;
            for channel in animation.channels.iter().filter_map(|channel| channel.0) {
                let missing = || in_clip(malformed(format_args!("there is no sampler {channel}")));
                let sampler = animation.samplers.get(channel as usize).ok_or_else(missing)?;
                secs = secs.max(self.last_time(sampler.input, &mut read).await.map_err(in_clip)?);
            }
            // The list of them has an end far below.
            clips.push(Clip { name: animation.name.clone(), number: number as u32, secs });
        }
        Ok(clips)
    }

    /// The last of the times of an accessor; those that had to be read are kept.
    async fn last_time(&self, index: u32, read: &mut BTreeMap<u32, f32>) -> Result<f32, Error> {
        let accessor = self.file.accessors.get(index as usize);
        let accessor = accessor.ok_or_else(|| malformed(format_args!("there is no accessor {index}")))?;
        let last = match (&*accessor.max, read.get(&index)) {
            ([last], _) | ([], Some(last)) => *last,
            ([], None) => {
                if read.len() == TIMES_MAX {
                    return Err(Error::new(Errno::Limit, "too many of the model's times have no `max`"));
                }
                let last = self.read_last(accessor).await?;
                read.insert(index, last);
                last
            }
            _ => return Err(malformed("its times are not numbers")),
        };
        if last.is_finite() && last >= 0.0 {
            Ok(last)
        } else {
            Err(malformed("its times do not grow from 0"))
        }
    }

    async fn read_last(&self, accessor: &Accessor) -> Result<f32, Error> {
        if accessor.sparse.is_some() {
            return Err(Error::new(
                Errno::Unsupported,
                "the times of the model are sparse and have no `max`",
            ));
        }
        let last = accessor.count.checked_sub(1).ok_or_else(|| malformed("a clip has no times"))?;
        if accessor.component_type != FLOAT {
            return Err(malformed("its times are not floats"));
        }
        let bytes = self.bytes(accessor, last, 4).await?;
        let bytes = bytes.try_into().map_err(|_long| malformed("its times are not floats"))?;
        Ok(f32::from_le_bytes(bytes))
    }

    /// The inverse bind matrix of the first joint of skins.
    async fn binds(&self) -> Result<Vec<(usize, space::Matrix)>, Error> {
        let mut binds = Vec::new();
        let accessor = |skin: &file::Skin| self.file.accessors.get(skin.inverse_bind_matrices?);
        let skins = self.file.skins.iter().enumerate().filter_map(|(i, skin)| Some((i, accessor(skin)?)));
        for (skin, accessor) in skins.take(SKINS_MAX) {
            match self.bytes(accessor, 0, 64).await {
                Ok(bytes) => binds.extend(space::matrix_in(&bytes).map(|matrix| (skin, matrix))),
                // It reaches as far as it does without the skin.
                Err(error) if error.errno == Errno::Malformed => {}
                Err(error) => return Err(error),
            }
        }
        Ok(binds)
    }

    /// One element of an accessor, of so many bytes.
    async fn bytes(&self, accessor: &Accessor, element: u64, len: u32) -> Result<Vec<u8>, Error> {
        let view = accessor.buffer_view.and_then(|index| self.file.buffer_views.get(index));
        let view = view.ok_or_else(|| malformed("numbers are in no buffer"))?;
        let from = element.saturating_mul(view.byte_stride.unwrap_or(u64::from(len)));
        let from = from.saturating_add(accessor.byte_offset).saturating_add(view.byte_offset);
        let uri = self.file.buffers.get(view.buffer).map_or("", |buffer| &*buffer.uri);
        let bytes = match self.binary {
            Some((lump, start)) if uri.is_empty() && view.buffer == 0 => {
                lump.read_at(start.saturating_add(from), len, WAIT).await?
            }
            _ => file::in_uri(uri, from, len as usize).unwrap_or_default(),
        };
        if bytes.len() == len as usize {
            Ok(bytes)
        } else {
            Err(malformed("numbers are outside of their buffer"))
        }
    }
}

#[cfg(test)]
mod tests;
