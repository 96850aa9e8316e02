// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is read: terminals and text.
//!
//! Glyphs are made by `hearth-glyph` beside the frame; `atlas` has those that the graphics card knows.
//! A terminal is one rectangle whose pixels look up cells (`terminals`), a text is a mesh of glyphs
//! (`labels`); both are drawn by `material` with the same mathematics, in their own colours
//! (`colors`). Nothing here waits: what is not there yet is blank, and [`Writing::is_whole`] says so to
//! who wants a whole picture.

mod atlas;
mod colors;
mod labels;
mod material;
mod terminals;
mod upload;

use crate::{
    EngineConfig,
    assets::{Key, Loaded, Sight, Store},
    capture,
    view::Settings,
};
use atlas::Atlas;
use bevy::{
    prelude::*,
    render::{ExtractSchedule, Render, RenderApp, RenderSystems, renderer::RenderDevice},
};
use hearth_abi::{EntityId, TerminalId, scene, screen::Screen};
use hearth_glyph::FoundryOptions;
use labels::Labels;
use std::{collections::BTreeSet, sync::Arc, time::Instant};
use terminals::Terminals;
use upload::Writes;

/// All that is read.
#[derive(Resource, Default)]
pub(crate) struct Writing {
    /// There is none before the first picture, when there is no device yet.
    atlas: Option<Atlas>,
    terminals: Terminals,
    labels: Labels,
    options: FoundryOptions,
    /// What draws it.
    shaders: Vec<Handle<Shader>>,
    /// Shaders that are not loaded yet.
    shaders_missing: usize,
}

impl Writing {
    /// A terminal shows this now, or nothing any more.
    pub(crate) fn screen(&mut self, id: TerminalId, screen: Option<Arc<Screen>>, now_s: f64) {
        self.terminals.screen(id, screen, now_s);
    }

    /// No terminal shows anything any more.
    pub(crate) fn clear_screens(&mut self, now_s: f64) {
        for id in self.terminals.known() {
            self.terminals.screen(id, None, now_s);
        }
    }

    pub(crate) fn show_terminal(&mut self, id: EntityId, entity: Entity, view: scene::TerminalView) {
        self.terminals.show(id, entity, view);
    }

    pub(crate) fn show_text(&mut self, id: EntityId, entity: Entity, text: Box<scene::Text>) {
        self.labels.show(Some(id), entity, text);
    }

    /// How many glyphs are being made that are on show.
    pub(crate) fn missing_glyphs(&self) -> usize {
        match self.terminals.is_empty() && self.labels.is_empty() {
            true => 0,
            false => self.atlas.as_ref().map_or(0, Atlas::missing),
        }
    }

    /// Whether all is shown that was known at that time: its glyphs are made, texts and screens are up to date.
    pub(crate) fn is_whole(&self, at: Instant) -> bool {
        let is_empty = self.terminals.is_empty() && self.labels.is_empty();
        let is_behind = self.terminals.is_behind() || self.labels.is_behind(at);
        is_empty || !is_behind && self.missing_glyphs() == 0 && self.shaders_missing == 0
    }
}

/// An entity shows no terminal any more.
pub(crate) fn hide_terminal(world: &mut World, id: EntityId) {
    world.resource_scope(|world, mut writing: Mut<Writing>| writing.terminals.hide(world, id));
}

/// An entity bears no text any more.
pub(crate) fn hide_text(world: &mut World, id: EntityId) {
    world.resource_scope(|world, mut writing: Mut<Writing>| writing.labels.hide(world, Some(id)));
}

/// This is the line that stands over the picture, and what bears it; or there is none.
pub(crate) fn mark(world: &mut World, line: Option<(Entity, Box<scene::Text>)>) {
    world.resource_scope(|world, mut writing: Mut<Writing>| match line {
        Some((entity, text)) => writing.labels.show(None, entity, text),
        None => writing.labels.hide(world, None),
    });
}

/// Some of these assets are fonts, which came or went. What is written in one that is not there is written in the face
/// that stands in.
pub(crate) fn fonts_changed(writing: &mut Writing, store: &Store, keys: &BTreeSet<Key>) {
    for key in keys {
        let Key::Font(lump) = key else { continue };
        let font = match store.look(*key) {
            Sight::Ready(Loaded::Font(font)) => Some(font.clone()),
            _ => None,
        };
        writing.labels.font(*lump, font);
    }
}

/// Makes everything known to the renderer.
pub(crate) fn build(app: &mut App, config: &EngineConfig) {
    let shaders = material::build(app).to_vec();
    let options = FoundryOptions {
        cache: config.glyph_cache.clone(),
        system_fonts: config.system_fonts,
        // At a window somebody is about to read; elsewhere the processor is for others.
        first_set: !config.headless,
        ..FoundryOptions::default()
    };
    app.insert_resource(Writing { shaders, options, ..default() }).init_resource::<Writes>();
    colors::build(app);
    if let Some(renderer) = app.get_sub_app_mut(RenderApp) {
        renderer
            .init_resource::<Writes>()
            .add_systems(ExtractSchedule, upload::extract)
            .add_systems(Render, upload::write.in_set(RenderSystems::PrepareResources));
    }
}

/// After a lost device: all that it had is made anew.
pub(crate) fn renew(writing: ResMut<Writing>, mut writes: ResMut<Writes>, device: Res<RenderDevice>) {
    writes.list.clear();
    let writing = writing.into_inner();
    if let Some(atlas) = &mut writing.atlas {
        atlas.renew(device.clone(), &mut writes.list);
        writing.terminals.renew();
        writing.labels.draw_again();
    }
}

/// Brings what is drawn up to date with what is known.
pub(crate) fn advance(world: &mut World) {
    // Nobody sees it: the newest screens wait.
    let settings = world.resource::<Settings>();
    if settings.on_demand && !world.resource::<capture::Pending>().is_asked() {
        return;
    }
    let Some(device) = world.get_resource::<RenderDevice>().cloned() else { return };
    let now = world.resource::<Time>().elapsed_secs_f64();
    world.resource_scope(|world, writing: Mut<Writing>| {
        world.resource_scope(|world, mut writes: Mut<Writes>| {
            let writing = writing.into_inner();
            let server = world.resource::<AssetServer>();
            writing.shaders_missing =
                writing.shaders.iter().filter(|shader| !server.is_loaded(shader.id())).count();
            let Writing { atlas, terminals, labels, options, .. } = writing;
            writes.in_use = !(terminals.is_empty() && labels.is_empty());
            if !writes.in_use && atlas.is_none() {
                return;
            }
            let list = &mut writes.list;
            let atlas = atlas.get_or_insert_with(|| Atlas::new(device.clone(), options.clone(), list));
            terminals.convert(atlas, &device, list);
            labels.add_fonts(atlas);
            labels.lay_out();
            atlas.advance(list, &|used| {
                terminals.mark_used(used);
                labels.mark_used(used);
            });
            if atlas.readmits() {
                terminals.number_again();
                labels.draw_again();
            }
            labels.draw(world, atlas);
            labels.remove_fonts(atlas, list);
            terminals.blink(now, list);
            terminals.draw(world, &atlas.shared(), atlas.generation, atlas.metrics);
        });
    });
}
