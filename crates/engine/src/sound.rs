// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is heard: entities with a sound become sources of the mixer, once a frame, and only what changed or
//! moved is told to it. The ears are where a listener is, else where the eye is.

use crate::{
    assets::{Key, Loaded, Sight, Store},
    place::Place,
    view::Eye,
};
use bevy::prelude::*;
use hearth_abi::{EntityId, LumpId, scene};
use hearth_sound::{Clip, Law, Listener, Output, Recorder, SOURCES_MAX, Source, SourceId};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long after its start a sound begins at its beginning all the same, to be heard whole in spite of a slow
/// network or a clock that is a little off.
const FRESH: Duration = Duration::from_secs(2);

/// Where the sound of a space goes.
#[derive(Clone, Debug, Default)]
pub enum SoundOutput {
    /// Nowhere. No sound is loaded for an entity.
    #[default]
    None,
    /// To the machine's own device, if it has one; when it has none, silence, until it has one.
    Device {
        /// Factor for all that is heard, 0 to 1.
        volume: f32,
    },
    /// Into a recorder, as much for each picture as time goes by for it. For tests: with
    /// [`EngineConfig::fixed_step`](crate::EngineConfig::fixed_step) a recording is the same each time.
    Recorder(Recorder),
}

/// What mixes.
enum Desk {
    Output(Output),
    Recorder(Recorder),
}

impl Desk {
    fn set(&self, id: SourceId, source: Source) -> bool {
        match self {
            Desk::Output(output) => output.set(id, source),
            Desk::Recorder(recorder) => recorder.set(id, source),
        }
    }

    fn remove(&self, id: SourceId) {
        match self {
            Desk::Output(output) => output.remove(id),
            Desk::Recorder(recorder) => recorder.remove(id),
        }
    }

    fn listen(&self, listener: Listener) {
        match self {
            Desk::Output(output) => output.listen(listener),
            Desk::Recorder(recorder) => recorder.listen(listener),
        }
    }

    /// Time since 1970-01-01 UTC.
    fn wall(&self) -> Duration {
        match self {
            Desk::Output(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Desk::Recorder(recorder) => recorder.wall(),
        }
    }
}

/// A sound of an entity.
struct Heard {
    sound: scene::Sound,
    entity: Entity,
    /// Which start of all, and the seconds that were left out; `None` before it has begun.
    begun: Option<(u64, f64)>,
    /// What the mixer was told.
    told: Option<(scene::Sound, Option<[f32; 3]>)>,
}

/// All sounds of the scene.
#[derive(Resource)]
pub(crate) struct Hearing {
    desk: Option<Desk>,
    sounds: BTreeMap<EntityId, Heard>,
    /// How many of them the mixer knows.
    told: usize,
    starts: u64,
    said_full: bool,
}

impl Hearing {
    pub(crate) fn new(output: &SoundOutput) -> Hearing {
        let desk = match output {
            SoundOutput::None => None,
            SoundOutput::Device { volume } => Output::open(*volume)
                .inspect_err(|error| tracing::warn!(%error, "no sound: its thread does not start"))
                .ok()
                .map(Desk::Output),
            SoundOutput::Recorder(recorder) => Some(Desk::Recorder(recorder.clone())),
        };
        Hearing { desk, sounds: BTreeMap::new(), told: 0, starts: 0, said_full: false }
    }

    /// How loud all of it is, 0 to 1.
    pub(crate) fn set_volume(&self, volume: f32) {
        match &self.desk {
            Some(Desk::Output(output)) => output.set_volume(volume),
            Some(Desk::Recorder(recorder)) => recorder.set_volume(volume),
            None => {}
        }
    }

    /// Whether anything can be heard at all.
    pub(crate) fn is_on(&self) -> bool {
        self.desk.is_some()
    }

    /// An entity has this sound from now on.
    pub(crate) fn show(&mut self, id: EntityId, entity: Entity, sound: scene::Sound) {
        let heard = self.sounds.entry(id).or_insert(Heard { sound, entity, begun: None, told: None });
        let before = std::mem::replace(&mut heard.sound, sound);
        if before.lump != sound.lump || before.started_ns != sound.started_ns || sound.stopped {
            heard.begun = None;
        }
    }

    /// And no more.
    pub(crate) fn hide(&mut self, id: EntityId) {
        if let Some(mut heard) = self.sounds.remove(&id)
            && let Some(desk) = &self.desk
        {
            silence(desk, id, &mut heard, &mut self.told);
        }
    }
}

fn silence(desk: &Desk, id: EntityId, heard: &mut Heard, told: &mut usize) {
    if heard.told.take().is_some() {
        desk.remove(SourceId(id.to_bits()));
        *told -= 1;
    }
}

/// Tells the mixer what changed, and lets a recorder go on.
pub(crate) fn hear(
    time: Res<Time>,
    store: Res<Store>,
    mut hearing: ResMut<Hearing>,
    place: Res<Place>,
    eye: Single<&Transform, With<Eye>>,
    places: Query<&GlobalTransform>,
) {
    let Hearing { desk: Some(desk), sounds, told, starts, said_full } = &mut *hearing else { return };
    let ears =
        place.listener().and_then(|entity| places.get(entity).ok()).map(GlobalTransform::compute_transform);
    let ears = ears.filter(|ears| ears.is_finite()).unwrap_or(**eye);
    desk.listen(Listener { position: ears.translation.to_array(), rotation: ears.rotation.to_array() });
    let mut full = false;
    for (id, heard) in sounds.iter_mut() {
        let clip = match heard.sound.stopped {
            true => None,
            false => clip_of(&store, heard.sound.lump),
        };
        let Some(clip) = clip else {
            silence(desk, *id, heard, told);
            continue;
        };
        if heard.told.is_none() && *told >= SOURCES_MAX {
            full = true;
            continue;
        }
        let begins = heard.begun.is_none();
        let (start, skip_s) = *heard.begun.get_or_insert_with(|| {
            *starts += 1;
            (*starts, skip(&heard.sound, desk.wall()))
        });
        let place = places.get(heard.entity).ok().map(|place| place.translation().to_array());
        let place = if heard.sound.ambient { None } else { Some(place.unwrap_or_default()) };
        let now = (heard.sound, place);
        if heard.told == Some(now) && !begins {
            continue;
        }
        if desk.set(SourceId(id.to_bits()), source(&heard.sound, clip.clone(), place, start, skip_s)) {
            *told += usize::from(heard.told.is_none());
            heard.told = Some(now);
        }
    }
    if full && !*said_full {
        tracing::warn!("there are more than {SOURCES_MAX} sounds; the others are not heard");
    }
    *said_full = full;
    if let Desk::Recorder(recorder) = desk {
        recorder.record(time.delta());
    }
}

fn clip_of(store: &Store, lump: LumpId) -> Option<&Arc<Clip>> {
    match store.look(Key::Sound(lump)) {
        Sight::Ready(Loaded::Sound(clip)) => Some(clip),
        _ => None,
    }
}

fn source(sound: &scene::Sound, clip: Arc<Clip>, place: Option<[f32; 3]>, start: u64, skip_s: f64) -> Source {
    let law = Law {
        model: sound.distance_model,
        ref_distance: sound.ref_distance,
        max_distance: sound.max_distance,
        rolloff_factor: sound.rolloff_factor,
    };
    Source { clip, place, gain: sound.gain, pitch: sound.pitch, looping: sound.looping, law, start, skip_s }
}

/// Seconds of the file that are over when a sound begins now.
fn skip(sound: &scene::Sound, now: Duration) -> f64 {
    let age = now.saturating_sub(Duration::from_nanos(sound.started_ns));
    if sound.started_ns == 0 || age <= FRESH { 0.0 } else { age.as_secs_f64() * f64::from(sound.pitch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_comers_are_let_in_where_the_others_are() {
        let plain = scene::Sound::new(LumpId([1; 32]));
        let minute = Duration::from_secs(60);
        let at = |seconds: f64| (seconds * 1e9) as u64;
        for (started_ns, pitch, expected) in [
            (0, 1.0, 0.0),
            (at(60.0), 1.0, 0.0),
            (at(58.5), 1.0, 0.0),
            (at(50.0), 1.0, 10.0),
            (at(50.0), 2.0, 20.0),
            // By a clock that is ahead of ours.
            (at(500.0), 1.0, 0.0),
            (u64::MAX, 1.0, 0.0),
        ] {
            let sound = scene::Sound { started_ns, pitch, ..plain };
            assert!((skip(&sound, minute) - expected).abs() < 1e-6, "{started_ns} {pitch}");
        }
    }
}
