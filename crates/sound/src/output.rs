// SPDX-License-Identifier: AGPL-3.0-or-later
//! A mix that is played on the machine's own sound device, if there is one.
//!
//! A thread of its own opens the device and waits; the device calls for samples on another. Where there
//! is no device, or none any more, that is said once, time goes by for all sources unheard, and the device
//! is tried again now and then.
//!
//! What is to sound waits in an inbox between the caller and the mixer: of each source only the newest state, so
//! that it holds no more than there are sources. The device's thread never waits for it: while the caller
//! is at it, what is new is taken a moment later.

use crate::{Clip, Listener, Mixer, Source, SourceId, mixer::SOURCES_MAX};
use cpal::{
    ErrorKind, FromSample, SampleFormat, SizedSample,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Time between two tries to open a device that is not there.
const TRY_AGAIN: Duration = Duration::from_secs(15);
/// The same for one that was there for longer than that, and was lost: most often there is another at once.
const TRY_ANOTHER: Duration = Duration::from_secs(1);
/// How often time goes by for the sources while there is no device.
const PASS: Duration = Duration::from_millis(100);
/// How long the end of an output waits for its thread. A device that hangs is left to the system.
const END_WAIT: Duration = Duration::from_secs(1);
/// Most changes that wait: all sources of a mixer, and as many that go.
const CHANGES_MAX: usize = 2 * SOURCES_MAX;
/// Frames that are mixed at once for the device.
const PART: usize = 256;
/// Rate of the mix while no device has another.
const RATE_SILENT: u32 = 48_000;

/// Plays on the default device of the machine. Never waits for it.
pub struct Output {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Inbox {
    changed: Changes,
    listener: Option<Listener>,
    volume: Option<f32>,
    /// What the mixer is done with, to be freed by the caller.
    spent: Changes,
    released: Vec<Arc<Clip>>,
}

/// The newest state of each source; `None` for one that goes.
type Changes = BTreeMap<SourceId, Option<Source>>;

struct Shared {
    inbox: Mutex<Inbox>,
    desk: Mutex<Desk>,
    state: Mutex<State>,
    turned: Condvar,
}

/// What the thread of the output hears of.
#[derive(Default)]
struct State {
    quit: bool,
    ended: bool,
    /// The device is lost, and why.
    lost: Option<String>,
}

/// The mixer, and what it took from the inbox last.
struct Desk {
    mixer: Mixer,
    taken: Changes,
}

impl Output {
    /// Starts the thread, which opens the device. `volume` is a factor for all that is heard, 0 to 1.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn open(volume: f32) -> std::io::Result<Output> {
        let mut mixer = Mixer::new(RATE_SILENT);
        mixer.set_volume(volume);
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            desk: Mutex::new(Desk { mixer, taken: BTreeMap::new() }),
            state: Mutex::default(),
            turned: Condvar::new(),
        });
        let of_thread = shared.clone();
        thread::Builder::new().name("sound".into()).spawn(move || {
            run(&of_thread);
            of_thread.state.lock().ended = true;
            of_thread.turned.notify_all();
        })?;
        Ok(Output { shared })
    }

    /// Adds or changes a source, as [`Mixer::set`]. `false` if more wait than a mixer has.
    pub fn set(&self, id: SourceId, source: Source) -> bool {
        self.change(id, Some(source))
    }

    /// Takes a source away.
    pub fn remove(&self, id: SourceId) {
        self.change(id, None);
    }

    fn change(&self, id: SourceId, change: Option<Source>) -> bool {
        let mut inbox = self.shared.inbox.lock();
        if inbox.changed.len() >= CHANGES_MAX && !inbox.changed.contains_key(&id) {
            return false;
        }
        let before = inbox.changed.insert(id, change);
        // It may be the last of a long clip: not under the lock.
        drop(inbox);
        drop(before);
        true
    }

    /// Factor for all that is heard, 0 to 1.
    pub fn set_volume(&self, volume: f32) {
        self.shared.inbox.lock().volume = Some(volume);
    }

    /// Where the ears are. Also frees what the mixer is done with, so call it once a frame.
    pub fn listen(&self, listener: Listener) {
        let mut inbox = self.shared.inbox.lock();
        inbox.listener = Some(listener);
        let spent = std::mem::take(&mut inbox.spent);
        // The mixer's own buffer is not taken from it, only what is in it.
        let released: Vec<Arc<Clip>> = inbox.released.drain(..).collect();
        drop(inbox);
        drop((spent, released));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.quit = true;
        self.shared.turned.notify_all();
        self.shared.turned.wait_while_for(&mut state, |state| !state.ended, END_WAIT);
    }
}

impl Desk {
    /// Takes what is new, if nobody is at the inbox.
    fn take(&mut self, inbox: &Mutex<Inbox>) {
        let Some(mut inbox) = inbox.try_lock() else { return };
        if let Some(listener) = inbox.listener.take() {
            self.mixer.listen(listener);
        }
        if let Some(volume) = inbox.volume.take() {
            self.mixer.set_volume(volume);
        }
        self.mixer.take_released(&mut inbox.released);
        if inbox.changed.is_empty() || !inbox.spent.is_empty() {
            return;
        }
        std::mem::swap(&mut inbox.changed, &mut self.taken);
        for (id, change) in &self.taken {
            match change {
                Some(source) => {
                    self.mixer.set(*id, source.clone());
                }
                None => self.mixer.remove(*id),
            }
        }
        std::mem::swap(&mut inbox.spent, &mut self.taken);
    }
}

/// The life of the thread.
fn run(shared: &Arc<Shared>) {
    let mut said = false;
    while !shared.state.lock().quit {
        let start = Instant::now();
        let reason = match open(shared) {
            Ok(stream) => {
                let mut state = shared.state.lock();
                while !state.quit && state.lost.is_none() {
                    shared.turned.wait(&mut state);
                }
                drop(state);
                drop(stream);
                match shared.state.lock().lost.take() {
                    Some(reason) => reason,
                    None => return,
                }
            }
            Err(reason) => reason,
        };
        let lasted = start.elapsed() > TRY_AGAIN;
        if said && !lasted {
            tracing::debug!(%reason, "still no sound");
        } else {
            said = true;
            tracing::info!(%reason, "no sound: the device cannot be used; it is tried again now and then");
        }
        pass(shared, if lasted { TRY_ANOTHER } else { TRY_AGAIN });
    }
}

/// Lets time go by unheard, until it is up or the output ends.
fn pass(shared: &Shared, time: Duration) {
    let start = Instant::now();
    let mut before = start;
    while start.elapsed() < time {
        {
            let mut state = shared.state.lock();
            if state.quit {
                return;
            }
            shared.turned.wait_for(&mut state, PASS);
        }
        let now = Instant::now();
        let mut desk = shared.desk.lock();
        desk.take(&shared.inbox);
        desk.mixer.pass((now - before).as_secs_f64());
        before = now;
    }
}

/// Opens the default device and starts it.
fn open(shared: &Arc<Shared>) -> Result<cpal::Stream, String> {
    quiet();
    let device = cpal::default_host().default_output_device().ok_or("there is none")?;
    let supported = device.default_output_config().map_err(|error| error.to_string())?;
    let config = supported.config();
    shared.desk.lock().mixer.set_rate(config.sample_rate);
    shared.state.lock().lost = None;
    let stream = match supported.sample_format() {
        SampleFormat::F32 => build::<f32>(shared, &device, config),
        SampleFormat::F64 => build::<f64>(shared, &device, config),
        SampleFormat::I32 => build::<i32>(shared, &device, config),
        SampleFormat::I24 => build::<cpal::I24>(shared, &device, config),
        SampleFormat::I16 => build::<i16>(shared, &device, config),
        SampleFormat::I8 => build::<i8>(shared, &device, config),
        SampleFormat::U32 => build::<u32>(shared, &device, config),
        SampleFormat::U16 => build::<u16>(shared, &device, config),
        SampleFormat::U8 => build::<u8>(shared, &device, config),
        other => return Err(format!("it wants samples as {other}")),
    };
    let stream = stream.map_err(|error| error.to_string())?;
    stream.play().map_err(|error| error.to_string())?;
    tracing::debug!(rate = config.sample_rate, channels = config.channels, "playing sound");
    Ok(stream)
}

fn build<T: SizedSample + FromSample<f32>>(
    shared: &Arc<Shared>,
    device: &cpal::Device,
    config: cpal::StreamConfig,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels.max(1));
    let (of_device, of_errors) = (shared.clone(), shared.clone());
    device.build_output_stream(
        config,
        move |data: &mut [T], _: &cpal::OutputCallbackInfo| {
            // It is only ever taken while no stream runs.
            let Some(mut desk) = of_device.desk.try_lock() else {
                return data.fill(T::from_sample(0.0));
            };
            desk.take(&of_device.inbox);
            fill(&mut desk.mixer, data, channels);
        },
        move |error| match error.kind() {
            ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {
                tracing::debug!(%error, "the sound device");
            }
            _ => {
                of_errors.state.lock().lost.get_or_insert(error.to_string());
                of_errors.turned.notify_all();
            }
        },
        None,
    )
}

/// Mixes for a device of any number of channels: one hears both sides, of more the first two do.
fn fill<T: SizedSample + FromSample<f32>>(mixer: &mut Mixer, data: &mut [T], channels: usize) {
    let mut part = [[0.0; 2]; PART];
    for frames in data.chunks_mut(PART * channels) {
        let count = frames.len().div_ceil(channels);
        mixer.render(&mut part[..count]);
        for (frame, [left, right]) in frames.chunks_mut(channels).zip(part) {
            match frame {
                [both] => *both = T::from_sample(0.5 * (left + right)),
                _ => {
                    frame.fill(T::from_sample(0.0));
                    frame[0] = T::from_sample(left);
                    frame[1] = T::from_sample(right);
                }
            }
        }
    }
}

/// Keeps the library from writing to the terminal what it tells us as an error as well.
fn quiet() {
    #[cfg(target_os = "linux")]
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!(%error, "the messages of the sound library");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Law;
    use hearth_abi::scene::DistanceModel;

    fn hum(gain: f32) -> Source {
        let samples = (0..4800).map(|i| (i as f32 * std::f32::consts::TAU / 48.0).sin()).collect();
        let law =
            Law { model: DistanceModel::Inverse, ref_distance: 1.0, max_distance: 0.0, rolloff_factor: 1.0 };
        Source {
            clip: Arc::new(Clip::new(samples, 1, 48_000).unwrap()),
            place: None,
            gain,
            pitch: 1.0,
            looping: true,
            law,
            start: 0,
            skip_s: 0.0,
        }
    }

    #[test]
    fn an_output_is_for_any_thread() {
        fn check<T: Send + Sync>() {}
        check::<Output>();
    }

    #[test]
    fn devices_of_any_form_are_filled() {
        let peak = |data: &[i16], channels: usize, channel: usize| {
            data.iter().skip(channel).step_by(channels).map(|v| i32::from(*v).abs()).max().unwrap()
        };
        for channels in [1usize, 2, 6] {
            let mut mixer = Mixer::new(48_000);
            mixer.set(SourceId(1), hum(0.5));
            let mut data = vec![77i16; 4800 * channels];
            fill(&mut mixer, &mut data, channels);
            for channel in 0..channels {
                let expected = if channel < 2 { 16_384 } else { 0 };
                let peak = peak(&data, channels, channel);
                assert!((peak - expected).abs() < 200, "{channel} of {channels}: {peak}");
            }
        }
    }

    #[test]
    fn the_inbox_keeps_the_newest_and_what_is_spent_comes_back() {
        let inbox = Mutex::new(Inbox::default());
        let mut desk = Desk { mixer: Mixer::new(48_000), taken: BTreeMap::new() };
        let source = hum(0.5);
        let clip = Arc::downgrade(&source.clip);
        inbox.lock().changed.insert(SourceId(1), Some(source));
        inbox.lock().changed.insert(SourceId(2), None);
        desk.take(&inbox);
        assert_eq!(desk.mixer.load().0, 1);
        assert_eq!(inbox.lock().spent.len(), 2);
        // What comes while nobody has freed waits.
        inbox.lock().changed.insert(SourceId(1), None);
        desk.take(&inbox);
        assert_eq!(desk.mixer.load().0, 1);
        inbox.lock().spent.clear();
        desk.take(&inbox);
        assert_eq!(desk.mixer.load().0, 0);
        // Taken under the lock, freed by whoever empties it.
        inbox.lock().spent.clear();
        desk.take(&inbox);
        assert_eq!(clip.strong_count(), 1);
        inbox.lock().released.clear();
        assert_eq!(clip.strong_count(), 0);
        // While the caller is at it the device goes on.
        let held = inbox.lock();
        desk.take(&inbox);
        drop(held);
    }
}
