// SPDX-License-Identifier: AGPL-3.0-or-later
//! Screenshots: the next picture that shows everything sent before.

use crate::{Picture, reply::Reply, text::Writing, view::Settings};
use bevy::{
    prelude::*,
    render::{
        render_resource::PipelineCache,
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Most pictures asked for and not yet made.
const PENDING_MAX: usize = 16;
/// How long a picture may take: a window that nobody sees may show none.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Steps before a picture may be kept: the first ones of the renderer are empty.
const WARM_UP: u64 = 3;
/// Steps from a change in the world to the count of pipelines that it needs, where the renderer works
/// beside the world.
const LAG: u64 = 2;
/// How long a picture waits for glyphs to be made.
const GLYPHS_MOST: Duration = Duration::from_secs(10);
/// How long a picture waits for pipelines to be compiled.
const COMPILING_MOST: Duration = Duration::from_secs(10);

/// How many pipelines the renderer has yet to compile. What needs them is not in the picture.
#[derive(Resource, Clone, Default)]
pub(crate) struct Compiling(Arc<AtomicUsize>);

/// Counts them, in the renderer's own world.
pub(crate) fn count_compiling(cache: Res<PipelineCache>, compiling: Res<Compiling>) {
    compiling.0.store(cache.waiting_pipelines().count(), Ordering::Relaxed);
}

struct Asked {
    at_step: u64,
    at: Instant,
    done: Reply<Picture>,
}

/// Pictures that were asked for.
#[derive(Resource, Default)]
pub(crate) struct Pending {
    asked: Vec<Asked>,
    under_way: Vec<(Entity, Instant, Reply<Picture>)>,
    steps: u64,
}

impl Pending {
    pub(crate) const fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.under_way.is_empty()
    }

    /// Whether a picture is asked for that is not under way.
    pub(crate) const fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether the next step is to draw. The one that keeps the picture is enough: what follows only
    /// brings it back from the card; and while there are glyphs to be made, who makes them needs the
    /// processor.
    pub(crate) fn wants_drawing(&self, is_written: bool) -> bool {
        let is_due = |asked: &Asked| is_written || asked.at.elapsed() > GLYPHS_MOST;
        self.asked.iter().any(|asked| self.steps <= WARM_UP || is_due(asked))
    }

    /// Asks for a picture.
    pub(crate) fn ask(&mut self, done: Reply<Picture>) {
        if self.asked.len() + self.under_way.len() < PENDING_MAX {
            self.asked.push(Asked { at_step: self.steps, at: Instant::now(), done });
        } else {
            done.answer(Err("too many pictures are being made".into()));
        }
    }
}

/// Has the picture of this frame kept, if somebody asked for it and it is whole.
pub(crate) fn take(world: &mut World) {
    let compiles_beside = world.resource::<Settings>().target.is_none();
    let compiling = world.resource::<Compiling>().0.load(Ordering::Relaxed);
    let is_written = world.resource::<Writing>().missing() == 0;
    let mut pending = world.resource_mut::<Pending>();
    pending.steps += 1;
    let steps = pending.steps;
    let is_whole = |asked: &mut Asked| {
        let counted = !compiles_beside || steps > asked.at_step + LAG && compiling == 0;
        steps > WARM_UP
            && (counted || asked.at.elapsed() > COMPILING_MOST)
            && (is_written || asked.at.elapsed() > GLYPHS_MOST)
    };
    let whole: Vec<Asked> = pending.asked.extract_if(.., is_whole).collect();
    for asked in whole {
        start(world, asked.done);
    }
}

fn start(world: &mut World, done: Reply<Picture>) {
    let screenshot = match &world.resource::<Settings>().target {
        Some(target) => Screenshot::image(target.clone()),
        None => Screenshot::primary_window(),
    };
    let entity = world.spawn(screenshot).observe(made).id();
    world.resource_mut::<Pending>().under_way.push((entity, Instant::now() + TIMEOUT, done));
}

fn made(event: On<ScreenshotCaptured>, mut pending: ResMut<Pending>) {
    let Some(at) = pending.under_way.iter().position(|(entity, ..)| *entity == event.entity) else { return };
    let (.., done) = pending.under_way.swap_remove(at);
    let picture = event.image.clone().try_into_dynamic().map_err(|error| error.to_string()).map(|image| {
        let (width, height) = (image.width(), image.height());
        let mut rgba = image.into_rgba8().into_raw();
        // What the renderer leaves there means nothing in a picture of everything.
        rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
        Picture { width, height, rgba }
    });
    done.answer(picture);
}

/// Gives up on pictures that do not come.
pub(crate) fn expire(mut pending: ResMut<Pending>, mut commands: Commands) {
    let now = Instant::now();
    while let Some(at) = pending.under_way.iter().position(|(_, deadline, _)| *deadline < now) {
        let (entity, _, done) = pending.under_way.swap_remove(at);
        commands.entity(entity).try_despawn();
        done.answer(Err("no picture was made in time; is the window hidden?".into()));
    }
}
