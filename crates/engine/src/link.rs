// SPDX-License-Identifier: AGPL-3.0-or-later
//! The hand-over between the peer and the world of the renderer, once for each picture and bounded.

use crate::{
    Command, EngineEnd, Event,
    assets::Store,
    capture,
    clipboard::Clipboard,
    drawn::Casts,
    input::Held,
    look::Looks,
    marker,
    model::Shelves,
    place::Place,
    reply::Reply,
    sound::Hearing,
    text::{self, Writing},
    touch::Hands,
    view::{Eye, Settings},
};
use bevy::{
    image::CompressedImageFormatSupport,
    prelude::*,
    window::{CursorOptions, PrimaryWindow},
};
use hearth_abi::{PeerId, input, scene::Component};
use hearth_scene::Change;
use std::time::{Duration, Instant};

/// Most changes that are applied before a picture, but for moves, which the renderer takes lightly.
const CHANGES_MAX: usize = 4096;
/// Time after which no further change is applied before a picture; where a picture takes long, a part of that,
/// or what waits would come seconds late.
const TIME_MAX: Duration = Duration::from_millis(8);
const TIME_PART: u32 = 4;

/// The engine's end of the channel.
#[derive(Resource)]
pub(crate) struct Link(pub(crate) EngineEnd);

impl Link {
    /// Tells the peer something that the channel may merge, or that it keeps places for.
    pub(crate) fn say(&self, event: Event) {
        if let Err(event) = self.0.event(event) {
            tracing::warn!(?event, "an event had no room");
        }
    }
}

/// Pictures so far.
#[derive(Resource, Default)]
pub(crate) struct Shown(u64);

/// Tells that a picture is about to be made.
pub(crate) fn announce(
    time: Res<Time>,
    link: Res<Link>,
    settings: Res<Settings>,
    images: Res<Assets<Image>>,
    window: Option<Single<&Window, With<PrimaryWindow>>>,
) {
    let size = match (&settings.target, window) {
        (Some(target), _) => images.get(target).map_or([0; 2], |image| image.size().to_array()),
        (None, Some(window)) => window.physical_size().to_array(),
        (None, None) => [0; 2],
    };
    let event = input::Event::Frame {
        time_ns: u64::try_from(time.elapsed().as_nanos()).unwrap_or(u64::MAX),
        step_ns: u32::try_from(time.delta().as_nanos()).unwrap_or(u32::MAX),
        size,
    };
    link.say(Event::Input(event));
}

/// Takes what the peer sent.
pub(crate) fn hand_over(world: &mut World) {
    world.resource_scope(|world, mut place: Mut<Place>| {
        world.resource_scope(|world, mut store: Mut<Store>| {
            take_commands(world, &mut place, &mut store);
            take_screens(world);
            advance_assets(world, &mut place, &mut store);
        });
    });
    text::advance(world);
}

fn take_screens(world: &mut World) {
    let screens = world.resource::<Link>().0.take_screens();
    if screens.is_empty() {
        return;
    }
    let now = world.resource::<Time>().elapsed_secs_f64();
    let mut writing = world.resource_mut::<Writing>();
    for (id, screen) in screens {
        writing.screen(id, screen, now);
    }
}

fn take_commands(world: &mut World, place: &mut Place, store: &mut Store) {
    let start = Instant::now();
    let time_max = TIME_MAX.max(world.resource::<Time<Real>>().delta() / TIME_PART);
    let (mut left, mut applied) = (CHANGES_MAX, 0usize);
    loop {
        let mut waiting = std::mem::take(&mut place.waiting);
        while !waiting.as_slice().is_empty() {
            if left == 0 || applied.is_multiple_of(64) && start.elapsed() > time_max {
                place.waiting = waiting;
                return;
            }
            let Some(change) = waiting.next() else { break };
            applied += 1;
            if !matches!(change, Change::Set { component: Component::Transform(_), .. }) {
                left -= 1;
            }
            place.apply(world, store, change);
        }
        let has_room = store.has_room();
        let may_take = |command: &Command| has_room || !matches!(command, Command::Lump { .. });
        let Some(command) = world.resource::<Link>().0.next_command(may_take) else { return };
        if let Some((peer, title)) = world.resource_mut::<Successor>().0.take() {
            hand_over_to(world, place, store, peer, title);
        }
        match command {
            Command::Changes(changes) => place.waiting = changes.into_iter(),
            Command::Lump { id, bytes } => store.lump(id, bytes),
            Command::LumpProgress { id, received, size } => store.progress(id, received, size),
            Command::CapturePointer(on) => capture_pointer(world, on),
            Command::Screenshot(done) => world.resource_mut::<capture::Pending>().ask(None, Reply::new(done)),
            Command::ScreenshotOf { view, done } => {
                world.resource_mut::<capture::Pending>().ask(Some(view), Reply::new(done));
            }
            Command::Load { class, id, done } => store.load(&class, id, Reply::new(done)),
            Command::Assets(done) => Reply::new(done).answer(Ok(store.report())),
            Command::Drop { class, id } => store.drop_load(&class, id),
            Command::ClipboardWrite { text, primary } => {
                world.resource_mut::<Clipboard>().write(text, primary)
            }
            Command::ClipboardRead { primary, done } => {
                world.resource_mut::<Clipboard>().read(primary, Reply::new(done));
            }
            Command::TextInput(on) => text_input(world, on),
            Command::Typing(line) => typing(world, line),
            Command::Cast { cast, done } => {
                world.resource_mut::<Casts>().ask(cast, Reply::new(done));
            }
            Command::Volume(volume) => world.resource::<Hearing>().set_volume(volume),
            Command::Look(look) => world.resource_mut::<Held>().look = look,
            Command::HandOver { peer, title } => {
                world.resource_mut::<Successor>().0 = Some((peer, title));
            }
            // These wait beside the queue.
            Command::Screen { .. } => {}
            Command::Quit => {
                world.write_message(AppExit::Success);
                return;
            }
        }
    }
}

/// The peer that shows its scene from the next command on.
#[derive(Resource, Default)]
pub(crate) struct Successor(Option<(PeerId, String)>);

/// Takes all away that was of the peer before.
fn hand_over_to(world: &mut World, place: &mut Place, store: &mut Store, peer: PeerId, title: String) {
    place.hand_over(world, store, peer);
    store.hand_over();
    let now = world.resource::<Time>().elapsed_secs_f64();
    world.resource_mut::<Writing>().clear_screens(now);
    capture_pointer(world, false);
    text_input(world, false);
    typing(world, None);
    let mut windows = world.query_filtered::<&mut Window, With<PrimaryWindow>>();
    if let Ok(mut window) = windows.single_mut(world) {
        window.title = title;
    }
}

fn capture_pointer(world: &mut World, on: bool) {
    world.resource_scope(|world, mut held: Mut<Held>| {
        let mut events = Vec::new();
        let mut cursors = world.query_filtered::<&mut CursorOptions, With<PrimaryWindow>>();
        match cursors.single_mut(world) {
            Ok(mut cursor) => held.capture(&mut cursor, on, &mut |event| events.push(event)),
            // Without a window there is no pointer.
            Err(_) => events.push(Event::Input(input::Event::Captured(false))),
        }
        let link = world.resource::<Link>();
        events.into_iter().for_each(|event| link.say(event));
    });
}

/// Asks input methods for what is typed, or leaves them alone; what the pointer does meanwhile is for nobody else.
fn text_input(world: &mut World, on: bool) {
    world.resource_mut::<Hands>().type_text(on);
    input_method(world, on);
}

/// Tells the user what they type into; the pointer goes on meanwhile.
fn typing(world: &mut World, line: Option<String>) {
    input_method(world, line.is_some());
    marker::show(world, line);
}

fn input_method(world: &mut World, on: bool) {
    let mut windows = world.query_filtered::<&mut Window, With<PrimaryWindow>>();
    if let Ok(mut window) = windows.single_mut(world)
        && window.ime_enabled != on
    {
        window.ime_enabled = on;
    }
}

fn advance_assets(world: &mut World, place: &mut Place, store: &mut Store) {
    let adapter = world.resource::<CompressedImageFormatSupport>().0;
    let now = world.resource::<Time>().elapsed();
    let changed = world.resource_scope(|world, mut meshes: Mut<Assets<Mesh>>| {
        world.resource_scope(|world, mut images: Mut<Assets<Image>>| {
            world.resource_scope(|world, mut materials: Mut<Assets<StandardMaterial>>| {
                let mut shelves = Shelves {
                    meshes: &mut meshes,
                    images: &mut images,
                    materials: &mut materials,
                    poses: &mut world.resource_mut(),
                };
                store.advance(now, &mut shelves, adapter)
            })
        })
    });
    world.resource_scope(|world, mut looks: Mut<Looks>| {
        looks.refresh(&changed, store, &mut world.resource_mut());
        place.assets_changed(store, &changed);
        text::fonts_changed(&mut world.resource_mut(), store, &changed);
        place.show(world, store, &mut looks);
        looks.tidy();
    });
    let link = world.resource::<Link>();
    store.tell(|event| link.0.event(event));
}

/// With nobody at a window, draws only while somebody waits for a picture.
pub(crate) fn wake(
    settings: Res<Settings>,
    pending: Res<capture::Pending>,
    writing: Res<Writing>,
    mut eye: Single<&mut Camera, With<Eye>>,
) {
    let draw = !settings.on_demand || pending.wants_drawing(&writing);
    if eye.is_active != draw {
        eye.is_active = draw;
    }
}

/// Tells that a picture was made.
pub(crate) fn report(
    link: Res<Link>,
    place: Res<Place>,
    store: Res<Store>,
    writing: Res<Writing>,
    mut shown: ResMut<Shown>,
) {
    shown.0 += 1;
    link.say(Event::FrameShown {
        number: shown.0,
        entities: place.len(),
        missing_lumps: store.missing(),
        missing_glyphs: writing.missing_glyphs(),
    });
}
