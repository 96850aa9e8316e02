// SPDX-License-Identifier: AGPL-3.0-or-later
//! Screenshots.

use crate::{Picture, reply::Reply, view::Settings};
use bevy::{
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
};
use std::time::{Duration, Instant};

/// Most pictures asked for and not yet made.
const PENDING_MAX: usize = 16;
/// How long a picture may take: a window that nobody sees may show none.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Steps before a picture may be kept: the first ones of the renderer are empty.
const WARM_UP: u32 = 3;

/// Pictures that were asked for.
#[derive(Resource, Default)]
pub(crate) struct Pending {
    asked: Vec<Reply<Picture>>,
    under_way: Vec<(Entity, Instant, Reply<Picture>)>,
    steps: u32,
}

impl Pending {
    pub(crate) const fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.under_way.is_empty()
    }

    /// Asks for a picture.
    pub(crate) fn ask(&mut self, done: Reply<Picture>) {
        if self.asked.len() + self.under_way.len() < PENDING_MAX {
            self.asked.push(done);
        } else {
            done.answer(Err("too many pictures are being made".into()));
        }
    }
}

/// Has the picture of this frame kept, if somebody asked for it.
pub(crate) fn take(world: &mut World) {
    let mut pending = world.resource_mut::<Pending>();
    if pending.steps < WARM_UP {
        pending.steps += 1;
        return;
    }
    for done in std::mem::take(&mut pending.asked) {
        start(world, done);
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
