// SPDX-License-Identifier: AGPL-3.0-or-later
//! Makes glyphs beside the frames: ask, go on drawing, and take them when they are there.

use crate::{Cluster, Face, Font, FontId, Glyph, Key, Place, Source, Style, TextFace, cache::Cache, make};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
};

/// Most glyphs that wait to be made. When it is full, a request is dropped; ask again at the next frame.
pub const QUEUE_MAX: usize = 4096;
/// Most finished glyphs that are kept. Beyond, the one finished first is forgotten; it can be asked for again.
pub const MADE_MAX: usize = 16_384;
/// Most bytes of texels among them: an ideograph takes about 14 KiB.
const MADE_BYTES_MAX: usize = 64 << 20;
/// After so many new glyphs the cache is written, besides at the end of the first set and when dropped.
const FLUSH_EVERY: usize = 256;

/// How a [`Foundry`] is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the cache; none keeps nothing.
    pub cache: Option<PathBuf>,
    /// Whether fonts of this machine are used for what the bundled ones have not.
    pub system_fonts: bool,
    /// Whether ASCII and Latin-1 are made at once: of terminals in all styles, of the sans face in regular and
    /// bold.
    pub first_set: bool,
    /// Number of threads, 1 to 16.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Options {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Options { cache: None, system_fonts: true, first_set: true, threads: cores.div_ceil(2).min(4) }
    }
}

/// Why there is no foundry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoundryError {
    /// No thread can be started.
    #[error("a thread for glyphs cannot be started")]
    Thread(#[from] std::io::Error),
}

/// Makes glyphs on threads of its own. No call waits for one being made.
pub struct Foundry {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    source: Source,
}

#[derive(Default)]
struct State {
    /// `None` while it is made or waits to be.
    made: HashMap<Key, Option<Arc<Glyph>>>,
    /// What `made` has finished, the oldest first. Bounded by [`MADE_MAX`] and [`MADE_BYTES_MAX`].
    order: VecDeque<Key>,
    /// Bytes of its texels.
    made_bytes: usize,
    /// Bounded by [`QUEUE_MAX`]: what is over is not taken.
    queue: VecDeque<Key>,
    /// Made when nothing was asked for.
    later: VecDeque<Key>,
    /// Bounded by [`MADE_MAX`]: the oldest is dropped, and found by a request all the same.
    new: VecDeque<(Key, Arc<Glyph>)>,
    since_flush: usize,
    /// A font was let go, and its tiles are to be written.
    is_flush_asked: bool,
    busy: usize,
    is_closed: bool,
}

impl Foundry {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn new(options: Options) -> Result<Foundry, FoundryError> {
        let mut state = State::default();
        if options.first_set {
            state.later = first_set();
        }
        let threads = options.threads.clamp(1, 16);
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            source: Source::new(options.system_fonts, options.cache.map(Cache::new).unwrap_or_default()),
        });
        // Dropped on an error, which ends the threads that did start.
        let mut foundry = Foundry { shared, workers: Vec::new() };
        for number in 0..threads {
            let shared = foundry.shared.clone();
            let thread = std::thread::Builder::new().name(format!("glyphs-{number}"));
            foundry.workers.push(thread.spawn(move || work(&shared))?);
        }
        Ok(foundry)
    }

    /// Glyphs of this font can be requested until it is removed.
    pub fn add_font(&self, font: &Font) {
        self.shared.source.add_font(font);
    }

    /// Forgets a font, and all glyphs of it. Those that are requested all the same are empty.
    pub fn remove_font(&self, id: FontId) {
        // First, so that what is being made of it now is not kept.
        self.shared.source.remove_font(id);
        let stays = |key: &Key| key.place != Place::Text(TextFace::Given(id));
        let mut state = self.shared.state.lock();
        let State { made, order, made_bytes, queue, new, .. } = &mut *state;
        made.retain(|key, glyph| {
            if !stays(key) {
                *made_bytes -= glyph.as_ref().map_or(0, |glyph| glyph.texels.len());
            }
            stays(key)
        });
        order.retain(stays);
        queue.retain(stays);
        new.retain(|(key, _)| stays(key));
        state.is_flush_asked = true;
        drop(state);
        self.shared.wake.notify_one();
    }

    /// The glyph if it is made; else it will be, if there is room in the queue. Returns at once.
    pub fn request(&self, key: Key) -> Option<Arc<Glyph>> {
        static BLANK: OnceLock<Arc<Glyph>> = OnceLock::new();
        if key.is_blank() || !self.shared.source.knows(&key) {
            return Some(BLANK.get_or_init(|| Arc::new(Glyph::EMPTY)).clone());
        }
        let mut state = self.shared.state.lock();
        match state.made.get(&key) {
            Some(found) => found.clone(),
            None if state.queue.len() >= QUEUE_MAX => None,
            None => {
                state.made.insert(key, None);
                state.queue.push_back(key);
                drop(state);
                self.shared.wake.notify_one();
                None
            }
        }
    }

    /// What has been made since the last call, the first set included, in the order of making.
    pub fn take_made(&self) -> Vec<(Key, Arc<Glyph>)> {
        self.shared.state.lock().new.drain(..).collect()
    }

    /// Whether nothing is being made, and nothing waits to be.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.state.lock();
        state.busy == 0 && state.queue.is_empty() && state.later.is_empty()
    }
}

impl Drop for Foundry {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // It has told why by its panic.
            let _ = worker.join();
        }
        self.shared.source.cache().flush();
    }
}

/// ASCII and Latin-1: of terminals in four styles, then of writing.
fn first_set() -> VecDeque<Key> {
    let characters = || ('!'..='~').chain('\u{A1}'..='\u{FF}');
    let style = |bold, italic| Style { bold, italic };
    let styles = [style(false, false), style(true, false), style(false, true), style(true, true)];
    let cells =
        styles.into_iter().flat_map(|style| characters().map(move |c| Key::cell(c, "", style, false)));
    let texts = styles[..2]
        .iter()
        .flat_map(|style| characters().map(|c| Key::text(Cluster::from(c), *style, Face::Sans)));
    cells.chain(texts).filter(|key| !key.is_blank()).collect()
}

fn work(shared: &Shared) {
    loop {
        let key = {
            let mut state = shared.state.lock();
            loop {
                if state.is_closed {
                    return;
                }
                if std::mem::take(&mut state.is_flush_asked) {
                    MutexGuard::unlocked(&mut state, || shared.source.cache().flush());
                    continue;
                }
                if let Some(key) = state.queue.pop_front() {
                    state.busy += 1;
                    break key;
                }
                if let Some(key) = state.later.pop_front() {
                    // It may have been asked for meanwhile.
                    if let Entry::Vacant(place) = state.made.entry(key) {
                        place.insert(None);
                        state.busy += 1;
                        break key;
                    }
                    continue;
                }
                shared.wake.wait(&mut state);
            }
        };
        // A glyph that panics would take the thread along; it is shown as nothing instead.
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(&shared.source, &key)));
        let glyph = Arc::new(made.unwrap_or(Glyph::EMPTY));
        let is_flush_due = {
            let mut state = shared.state.lock();
            if shared.source.knows(&key) {
                state.made_bytes += glyph.texels.len();
                state.made.insert(key, Some(glyph.clone()));
                state.order.push_back(key);
                state.new.push_back((key, glyph));
            } else {
                // Its font was removed meanwhile.
                state.made.remove(&key);
            }
            while (state.order.len() > MADE_MAX || state.made_bytes > MADE_BYTES_MAX)
                && let Some(oldest) = state.order.pop_front()
            {
                let forgotten = state.made.remove(&oldest).flatten();
                state.made_bytes -= forgotten.map_or(0, |glyph| glyph.texels.len());
            }
            if state.new.len() > MADE_MAX {
                state.new.pop_front();
            }
            state.busy -= 1;
            state.since_flush += 1;
            let is_idle = state.busy == 0 && state.queue.is_empty() && state.later.is_empty();
            let is_due = state.since_flush >= FLUSH_EVERY || (is_idle && state.since_flush > 32);
            if is_due {
                state.since_flush = 0;
            }
            is_due
        };
        if is_flush_due {
            shared.source.cache().flush();
        }
    }
}
