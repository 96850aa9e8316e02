// SPDX-License-Identifier: AGPL-3.0-or-later
//! Screenshots: the next picture that shows everything sent before.

use crate::{
    Picture, mirror::Glass, monitor::Watches, place::Place, reply::Reply, text::Writing, view::Settings,
};
use bevy::{
    mesh::morph::MeshMorphWeights,
    prelude::*,
    render::{
        Extract,
        render_resource::{PipelineCache, PollType},
        renderer::RenderDevice,
        view::screenshot::{Capturing, Screenshot, ScreenshotCaptured},
    },
};
use hearth_abi::EntityId;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Most pictures asked for and not yet made.
const PENDING_MAX: usize = 16;
/// How long a picture may take: a window that nobody sees may show none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Steps before a picture may be kept: the first ones of the renderer are empty.
const WARM_UP: u64 = 3;
/// Pictures that are drawn before one is kept, if there are meshes that morph: the renderer knows where their shapes are
/// in the picture after the one in which it first saw them.
const SHAPES_DRAWN: u32 = 2;
/// The same if there are screens: in the first it is found out which are in sight, in the next what they show is
/// drawn, and then they show it.
const SCREENS_DRAWN: u32 = 3;
/// The same if there are mirrors: there the eye behind it is made after it is found out that one is in sight.
const MIRRORS_DRAWN: u32 = 4;
/// How long a picture waits for glyphs to be made.
const GLYPHS_MOST: Duration = Duration::from_secs(10);
/// How long a picture waits for pipelines to be compiled.
const COMPILING_MOST: Duration = Duration::from_secs(10);
/// How many pictures that were not whole are remembered. The renderer is one step behind the world, and a
/// picture comes back from it within a few.
const REMEMBERED_MAX: usize = 64;

/// Steps whose pictures lack what needs a pipeline that is not compiled yet.
#[derive(Resource, Clone, Default)]
pub(crate) struct Compiling(Arc<Mutex<VecDeque<u64>>>);

/// The step that the renderer draws.
#[derive(Resource)]
pub(crate) struct Drawn(u64);

/// Tells the renderer which step it draws.
pub(crate) fn tell_step(mut commands: Commands, pending: Extract<Res<Pending>>) {
    commands.insert_resource(Drawn(pending.steps));
}

/// Notes, in the renderer's own world and at the end of a picture, whether it lacks something.
pub(crate) fn note_compiling(
    cache: Res<PipelineCache>,
    drawn: Option<Res<Drawn>>,
    compiling: Res<Compiling>,
) {
    if let Some(drawn) = drawn
        && cache.waiting_pipelines().next().is_some()
    {
        let mut steps = compiling.0.lock();
        if steps.len() == REMEMBERED_MAX {
            steps.pop_front();
        }
        steps.push_back(drawn.0);
    }
}

struct Asked {
    at: Instant,
    /// Of what this entity sees; else of what the eye sees.
    view: Option<EntityId>,
    /// Pictures drawn since.
    drawn: u32,
    done: Reply<Picture>,
}

impl Asked {
    fn is_due(&self, writing: &Writing) -> bool {
        writing.is_whole(self.at) || self.at.elapsed() > GLYPHS_MOST
    }
}

/// A picture being made, for all who asked for it.
struct UnderWay {
    entity: Entity,
    step: u64,
    view: Option<EntityId>,
    asked: Vec<Asked>,
}

/// Pictures that were asked for.
#[derive(Resource, Default)]
pub(crate) struct Pending {
    asked: Vec<Asked>,
    under_way: Vec<UnderWay>,
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
    pub(crate) fn wants_drawing(&self, writing: &Writing) -> bool {
        self.asked.iter().any(|asked| self.steps <= WARM_UP || asked.is_due(writing))
    }

    /// The views of which pictures are asked for, or are made in this step.
    pub(crate) fn views(&self) -> impl Iterator<Item = EntityId> {
        let of_this_step = self.under_way.iter().filter(|under_way| under_way.step == self.steps);
        let asked = self.asked.iter().filter_map(|asked| asked.view);
        asked.chain(of_this_step.filter_map(|under_way| under_way.view))
    }

    /// Asks for a picture of what the eye sees, or an entity with a view.
    pub(crate) fn ask(&mut self, view: Option<EntityId>, done: Reply<Picture>) {
        let under_way: usize = self.under_way.iter().map(|under_way| under_way.asked.len()).sum();
        if self.asked.len() + under_way < PENDING_MAX {
            self.asked.push(Asked { at: Instant::now(), view, drawn: 0, done });
        } else {
            done.answer(Err("too many pictures are being made".into()));
        }
    }
}

/// Has the picture of this frame kept, if somebody asked for it.
#[expect(clippy::too_many_arguments, reason = "each is a part of the world that a system takes")]
pub(crate) fn take(
    mut pending: ResMut<Pending>,
    writing: Res<Writing>,
    settings: Res<Settings>,
    morphing: Query<(), With<MeshMorphWeights>>,
    mirrors: Query<(), With<Glass>>,
    place: Res<Place>,
    watches: Res<Watches>,
    mut commands: Commands,
) {
    pending.steps += 1;
    let step = pending.steps;
    if step <= WARM_UP {
        return;
    }
    let shapes_drawn = if morphing.is_empty() { 0 } else { SHAPES_DRAWN };
    let has_views = place.screens().next().is_some() || pending.views().next().is_some();
    let screens_drawn = if has_views { SCREENS_DRAWN } else { 0 };
    let mirrors_drawn = if mirrors.is_empty() { 0 } else { MIRRORS_DRAWN };
    let drawn_least = shapes_drawn.max(screens_drawn).max(mirrors_drawn);
    let mut asked = Vec::new();
    for mut one in std::mem::take(&mut pending.asked) {
        if one.view.is_some_and(|view| place.view(view).is_none()) {
            one.done.answer(Err("the entity has no view".into()));
            continue;
        }
        let is_due = one.is_due(&writing);
        if is_due && one.drawn >= drawn_least {
            asked.push(one);
        } else {
            one.drawn += u32::from(is_due);
            pending.asked.push(one);
        }
    }
    if asked.is_empty() {
        return;
    }
    // One for all: the renderer makes one of each picture.
    let views: BTreeSet<Option<EntityId>> = asked.iter().map(|one| one.view).collect();
    for view in views {
        let of_it: Vec<Asked> = asked.extract_if(.., |one| one.view == view).collect();
        let screenshot = match (view, &settings.target) {
            (Some(view), _) => match watches.image(view) {
                Some(image) => Screenshot::image(image.clone()),
                // There are more than are made at once: it comes when others are done.
                None => {
                    pending.asked.extend(of_it);
                    continue;
                }
            },
            (None, Some(target)) => Screenshot::image(target.clone()),
            (None, None) => Screenshot::primary_window(),
        };
        let entity = commands.spawn(screenshot).observe(made).id();
        pending.under_way.push(UnderWay { entity, step, view, asked: of_it });
    }
}

fn made(event: On<ScreenshotCaptured>, mut pending: ResMut<Pending>, compiling: Res<Compiling>) {
    let found = pending.under_way.iter().position(|under_way| under_way.entity == event.entity);
    let Some(found) = found else { return };
    let UnderWay { step, mut asked, .. } = pending.under_way.swap_remove(found);
    if compiling.0.lock().contains(&step) {
        // The next one may be whole. Nothing may have been drawn meanwhile, so that shapes are looked for again.
        let again = asked.extract_if(.., |asked| asked.at.elapsed() < COMPILING_MOST);
        pending.asked.extend(again.map(|asked| Asked { drawn: 0, ..asked }));
        if asked.is_empty() {
            return;
        }
    }
    let picture = event.image.clone().try_into_dynamic().map_err(|error| error.to_string()).map(|image| {
        let (width, height) = (image.width(), image.height());
        Picture { width, height, rgba: image.into_rgba8().into_raw() }
    });
    let picture = picture.map(|mut picture| {
        // What is drawn is opaque. Where the window gave no picture nothing was copied.
        let is_drawn = picture.rgba.iter().skip(3).step_by(4).any(|alpha| *alpha != 0);
        // What the renderer leaves there else means nothing in a picture of everything.
        picture.rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
        is_drawn.then_some(picture)
    });
    match picture {
        Ok(None) => pending.asked.extend(asked.into_iter().map(|asked| Asked { drawn: 0, ..asked })),
        Ok(Some(picture)) => asked.into_iter().for_each(|asked| asked.done.answer(Ok(picture.clone()))),
        Err(error) => asked.into_iter().for_each(|asked| asked.done.answer(Err(error.clone()))),
    }
}

/// Brings pictures back from the graphics card, and gives up on those that do not come.
pub(crate) fn expire(
    mut pending: ResMut<Pending>,
    device: Option<Res<RenderDevice>>,
    at_renderer: Query<(), With<Capturing>>,
    mut commands: Commands,
) {
    if !pending.under_way.is_empty()
        && let Some(device) = device
        // Else it would be noticed only when the next picture is drawn.
        && let Err(error) = device.wgpu_device().poll(PollType::Poll)
    {
        tracing::debug!(%error, "asking for a picture");
    }
    let is_late = |asked: &mut Asked| asked.at.elapsed() > TIMEOUT;
    let mut late: Vec<Asked> = pending.asked.extract_if(.., is_late).collect();
    for under_way in &mut pending.under_way {
        late.extend(under_way.asked.extract_if(.., is_late));
    }
    for under_way in pending.under_way.extract_if(.., |under_way| under_way.asked.is_empty()) {
        // Of what the renderer has seen the picture may still come. It does away with the entity then, which must be there.
        if !at_renderer.contains(under_way.entity) {
            commands.entity(under_way.entity).try_despawn();
        }
    }
    for asked in late {
        asked.done.answer(Err("no picture was made in time; is the window hidden?".into()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Command, EngineConfig, Headless, channel};
    use bevy::ecs::system::RunSystemOnce;
    use std::sync::mpsc;

    #[test]
    fn a_picture_that_comes_too_late_harms_nothing() {
        let (control, end) = channel();
        let mut engine =
            Headless::new(EngineConfig { size: [64, 48], ..EngineConfig::default() }, end).unwrap();
        let ask = || {
            let (tell, told) = mpsc::sync_channel(1);
            control.send(Command::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
            told
        };
        let told = ask();
        let is_under_way =
            |engine: &mut Headless| !engine.world_mut().resource::<Pending>().under_way.is_empty();
        while !is_under_way(&mut engine) {
            assert!(engine.step().unwrap());
        }
        // The renderer has drawn it, and brings it back in the next step.
        let long_ago = Instant::now().checked_sub(TIMEOUT + Duration::from_secs(1)).unwrap();
        for under_way in &mut engine.world_mut().resource_mut::<Pending>().under_way {
            under_way.asked.iter_mut().for_each(|asked| asked.at = long_ago);
        }
        engine.world_mut().run_system_once(expire).unwrap();
        let reason = told.try_recv().unwrap().unwrap_err();
        assert!(reason.contains("no picture was made in time"), "{reason}");
        let told = ask();
        let picture = loop {
            assert!(engine.step().unwrap());
            if let Ok(picture) = told.try_recv() {
                break picture.unwrap();
            }
        };
        assert_eq!((picture.width, picture.height), (64, 48));
        // Those that have come are done away with in the step after.
        assert!(engine.step().unwrap());
        let world = engine.world_mut();
        assert_eq!(world.query::<&Screenshot>().iter(world).count(), 0);
    }
}
