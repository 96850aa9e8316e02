// SPDX-License-Identifier: AGPL-3.0-or-later
//! The set-up of the renderer, and its two front ends.

use crate::{
    EngineConfig, EngineEnd, EngineError, adapter, air,
    assets::{
        Store,
        giving::{self, Uploads},
    },
    bounds, capture,
    clipboard::Clipboard,
    drawn,
    gamepad::{self, Gamepads},
    icon, input, layers, light,
    link::{self, Link},
    look::Looks,
    marker, mirror, model, monitor, motion, particles,
    place::{self, Place},
    sound::{self, Hearing},
    text, touch,
    view::{self, Settings},
};
use bevy::{
    app::{
        HierarchyPropagatePlugin, PanicHandlerPlugin, PluginsState, PropagateSet, SubApps,
        TerminalCtrlCHandlerPlugin,
    },
    asset::{AssetEventSystems, AssetMetaCheck},
    camera::{
        CameraUpdateSystems,
        visibility::{RenderLayers, VisibilitySystems},
    },
    ecs::{error::ErrorContext, message::Messages, system::NonSendMarker},
    log::LogPlugin,
    prelude::*,
    render::{
        Render, RenderApp, RenderPlugin, RenderSystems,
        error_handler::{ErrorType, RenderErrorHandler, RenderErrorPolicy},
        pipelined_rendering::PipelinedRenderingPlugin,
        render_resource::{PollType, TextureFormat, TextureUsages},
        renderer::RenderDevice,
        settings::{RenderCreation, WgpuSettings},
    },
    time::TimeUpdateStrategy,
    transform::systems::{propagate_parent_transforms, sync_simple_transforms},
    window::{CursorOptions, ExitCondition, PresentMode, PrimaryWindow, WindowResolution},
    winit::{WINIT_WINDOWS, WinitPlugin, WinitSettings},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long the renderer may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between steps that draw nothing: enough for scripts that go by frames.
const PACE_UNSEEN: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// Errors of the renderer after which it is given up, if they come in a row.
const ERRORS_MAX: u32 = 100;
/// Frames without an error after which earlier ones are forgotten.
const ERRORS_FORGET: u32 = 600;

/// Runs the engine on this thread, which must be the main thread, until [`Command::Quit`], until the
/// user closes the window, or until all controllers are gone.
///
/// # Errors
/// No adapter was found, no window could be opened, or the renderer failed.
///
/// [`Command::Quit`]: crate::Command::Quit
pub fn run(config: EngineConfig, end: EngineEnd) -> Result<(), EngineError> {
    // The renderer panics where it could answer; a peer must not die of it.
    catch_unwind(AssertUnwindSafe(|| {
        if config.headless { run_headless(config, end) } else { run_window(config, end) }
    }))
    .unwrap_or_else(|panic| Err(EngineError::Failed(panic_text(panic.as_ref()))))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
}

fn run_window(config: EngineConfig, end: EngineEnd) -> Result<(), EngineError> {
    #[cfg(target_os = "linux")]
    if ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].iter().all(|name| std::env::var_os(name).is_none()) {
        return Err(EngineError::Window(
            "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set".into(),
        ));
    }
    let mut app = build(&config, end, Way::Overlapping)?;
    app.add_systems(Update, set_icon);
    match app.run() {
        AppExit::Success => Ok(()),
        AppExit::Error(_) => Err(EngineError::Failed("see the log".into())),
    }
}

fn run_headless(config: EngineConfig, end: EngineEnd) -> Result<(), EngineError> {
    let pace = Duration::from_secs(1) / config.frames_per_second_max.clamp(1, 1000);
    // With nobody to wait for each picture, one is drawn while the next is prepared, as with a window.
    let way = if config.draw_on_demand { Way::InTurn } else { Way::Overlapping };
    let mut engine = Headless::start(config, end, way)?;
    let mut next = Instant::now();
    while engine.step()? {
        next += if engine.draws() { pace } else { pace.max(PACE_UNSEEN) };
        match next.checked_duration_since(Instant::now()) {
            Some(rest) => std::thread::sleep(rest),
            // Behind: what was missed is not made up for.
            None => next = Instant::now(),
        }
    }
    Ok(())
}

/// When a picture is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// When it is prepared, before anything else.
    InTurn,
    /// While the next one is prepared.
    Overlapping,
}

/// An engine without a window, one picture at a time. [`run`] does the same in a loop; tests use this.
pub struct Headless {
    apps: SubApps,
}

impl Headless {
    /// Starts the renderer.
    ///
    /// # Errors
    /// No adapter was found, or it cannot be used.
    pub fn new(config: EngineConfig, end: EngineEnd) -> Result<Headless, EngineError> {
        Headless::start(config, end, Way::InTurn)
    }

    fn start(config: EngineConfig, end: EngineEnd, way: Way) -> Result<Headless, EngineError> {
        let config = EngineConfig { headless: true, ..config };
        let mut app = build(&config, end, way)?;
        let start = Instant::now();
        while app.plugins_state() == PluginsState::Adding {
            if start.elapsed() > START_TIMEOUT {
                return Err(EngineError::Failed("the adapter gave no device".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        app.finish();
        app.cleanup();
        Ok(Headless { apps: std::mem::take(app.sub_apps_mut()) })
    }

    /// All that the engine has, for tests that stand in for the window system.
    #[cfg(test)]
    pub(crate) fn world_mut(&mut self) -> &mut World {
        self.apps.main.world_mut()
    }

    /// Whether the last step drew.
    fn draws(&self) -> bool {
        let world = self.apps.main.world();
        !world.resource::<Settings>().on_demand || !world.resource::<capture::Pending>().is_empty()
    }

    /// Makes one picture. `false` when the engine was told to end.
    ///
    /// # Errors
    /// The renderer failed.
    pub fn step(&mut self) -> Result<bool, EngineError> {
        self.apps.update();
        let world = self.apps.main.world();
        if let Some(device) = world.get_resource::<RenderDevice>()
            && let Err(error) =
                device.wgpu_device().poll(PollType::Wait { submission_index: None, timeout: None })
        {
            tracing::warn!(%error, "waiting for the picture");
        }
        match world.resource::<Messages<AppExit>>().iter_current_update_messages().next() {
            None => Ok(true),
            Some(AppExit::Success) => Ok(false),
            Some(AppExit::Error(_)) => Err(EngineError::Failed("see the log".into())),
        }
    }
}

/// Vulkan, Metal or Direct3D 12. Where there is only OpenGL a software renderer does better.
fn renderer() -> WgpuSettings {
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::PRIMARY);
    WgpuSettings { backends: Some(backends), ..default() }
}

/// The set-up that both front ends share.
fn build(config: &EngineConfig, end: EngineEnd, way: Way) -> Result<App, EngineError> {
    let settings = renderer();
    let found = adapter::find(settings.backends.unwrap_or(wgpu::Backends::PRIMARY))?;
    let quality = config.quality.unwrap_or(found.quality);
    tracing::debug!(adapter = %found.name, ?quality, headless = config.headless, "starting the renderer");
    let size = config.size.map(|edge| edge.clamp(16, 8192));
    let window = Window {
        title: config.title.clone(),
        name: Some("hearth".into()),
        resolution: WindowResolution::new(size[0], size[1]),
        present_mode: PresentMode::AutoVsync,
        // Whoever types sees each key sooner by a picture than with the usual two.
        desired_maximum_frame_latency: std::num::NonZeroU32::new(1),
        ..default()
    };

    let mut app = App::new();
    app.set_error_handler(on_error);
    let mut plugins = DefaultPlugins
        .build()
        .set(RenderPlugin {
            // Without a window nobody sees it stall, and pictures are whole from the first on.
            synchronous_pipeline_compilation: config.headless,
            render_creation: RenderCreation::from(settings),
            ..default()
        })
        .set(AssetPlugin { meta_check: AssetMetaCheck::Never, ..default() })
        .set(WindowPlugin {
            primary_window: (!config.headless).then_some(window),
            primary_cursor_options: Some(CursorOptions::default()),
            exit_condition: ExitCondition::DontExit,
            close_when_requested: false,
        })
        // The program that we are part of has its own.
        .disable::<LogPlugin>()
        .disable::<PanicHandlerPlugin>()
        .disable::<TerminalCtrlCHandlerPlugin>();
    if config.headless {
        plugins = plugins.disable::<WinitPlugin>();
    } else {
        plugins = plugins
            .set(WinitPlugin { run_on_any_thread: cfg!(any(target_os = "linux", target_os = "windows")) });
        app.insert_resource(WinitSettings::continuous());
    }
    if way == Way::InTurn {
        plugins = plugins.disable::<PipelinedRenderingPlugin>();
    }
    app.add_plugins(plugins);
    text::build(&mut app, config);
    mirror::build(&mut app);
    app.add_plugins(HierarchyPropagatePlugin::<RenderLayers>::new(PostUpdate)).configure_sets(
        PostUpdate,
        PropagateSet::<RenderLayers>::default().before(VisibilitySystems::CheckVisibility),
    );
    if let Some(step) = config.fixed_step {
        app.insert_resource(TimeUpdateStrategy::ManualDuration(step));
    }
    app.insert_resource(RenderErrorHandler(on_render_error)).init_resource::<Errors>();

    let compiling = capture::Compiling::default();
    let uploads = Uploads::default();
    app.insert_resource(compiling.clone());
    if let Some(renderer) = app.get_sub_app_mut(RenderApp) {
        renderer
            .insert_resource(compiling)
            .insert_resource(uploads.clone())
            .add_systems(ExtractSchedule, capture::tell_step)
            .add_systems(Render, giving::write.in_set(RenderSystems::PrepareResources))
            .add_systems(Render, capture::note_compiling.in_set(RenderSystems::Cleanup));
    }

    let target = config.headless.then(|| target(&mut app, size));
    let on_demand = config.headless && config.draw_on_demand;
    app.insert_resource(Settings { quality, target, on_demand })
        .insert_resource(Link(end))
        .insert_resource(Place::new(config.peer))
        .insert_resource(Store::new(uploads))
        .insert_resource(Hearing::new(&config.sound))
        .insert_resource(model::Clock { stands: config.fixed_step.is_some() })
        .init_resource::<input::Held>()
        .init_resource::<touch::Hands>()
        .init_resource::<drawn::Casts>()
        .insert_resource(Clipboard::new(!config.headless))
        .insert_resource(Gamepads::new(!config.headless))
        .init_resource::<capture::Pending>()
        .init_resource::<link::Shown>()
        .init_resource::<link::Successor>()
        .init_resource::<view::Up>()
        .init_resource::<monitor::Watches>()
        .init_resource::<particles::Disc>();
    let looks = Looks::new(app.world_mut());
    app.insert_resource(looks);
    view::open(app.world_mut());
    app.add_systems(Startup, light::sort_on_the_processor)
        .add_systems(
            PreUpdate,
            (
                link::announce,
                input::read,
                touch::touch,
                gamepad::read,
                (renew, text::renew).chain().run_if(resource_exists_and_changed::<RenderDevice>),
                link::hand_over,
                link::wake,
                capture::take,
            )
                .chain()
                .after(bevy::input::InputSystems),
        )
        // Before it is found out anew what is in sight.
        .add_systems(Update, (motion::lead, monitor::watch, mirror::notice).chain())
        .add_systems(Update, (view::breathe, view::look_up, place::fill))
        .add_systems(
            PostUpdate,
            (
                model::keep_shapes,
                model::pose,
                view::aim,
                layers::look,
                marker::follow,
                view::face,
                mirror::reflect.before(CameraUpdateSystems),
                monitor::keep_range,
                light::follow,
                // So that they are in this picture, not in the next.
                particles::fly.before(AssetEventSystems),
                air::grade,
            )
                .chain()
                .before(TransformSystems::Propagate),
        )
        // All who ask for places in the world come after the set.
        .add_systems(
            PostUpdate,
            bounds::keep
                .in_set(TransformSystems::Propagate)
                .after(propagate_parent_transforms)
                .after(sync_simple_transforms),
        )
        .add_systems(PostUpdate, sound::hear.after(TransformSystems::Propagate))
        .add_systems(
            PostUpdate,
            drawn::answer
                .after(TransformSystems::Propagate)
                .after(VisibilitySystems::CalculateBounds)
                .after(VisibilitySystems::VisibilityPropagate),
        )
        .add_systems(Last, (capture::expire, link::report, forget_errors));
    Ok(app)
}

/// The image that pictures are made in.
fn target(app: &mut App, [width, height]: [u32; 2]) -> Handle<Image> {
    let mut image = Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None);
    image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
    app.world_mut().resource_mut::<Assets<Image>>().add(image)
}

/// A system or a command has failed, mostly because an entity is not there any more. The next picture is made without it; by
/// itself the renderer would end the program.
fn on_error(error: BevyError, context: ErrorContext) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Relaxed) + 1;
    // What fails in each picture is not told each time.
    if count.is_power_of_two() {
        tracing::error!(%error, kind = context.kind(), name = %context.name(), count, "a part of the engine failed");
    }
}

/// Errors of the renderer in a row.
#[derive(Resource, Default)]
struct Errors {
    count: u32,
    frames_since: u32,
}

/// A lost device is made anew; what else goes wrong is one bad picture, unless it never ends.
fn on_render_error(
    error: &bevy::render::error_handler::RenderError,
    main: &mut World,
    _render: &mut World,
) -> RenderErrorPolicy {
    let mut errors = main.resource_mut::<Errors>();
    errors.count += 1;
    errors.frames_since = 0;
    let count = errors.count;
    tracing::error!(kind = ?error.ty, description = %error.description, count, "renderer");
    if count > ERRORS_MAX {
        main.write_message(AppExit::error());
        return RenderErrorPolicy::StopRendering;
    }
    match error.ty {
        ErrorType::DeviceLost => RenderErrorPolicy::Recover(RenderCreation::from(renderer())),
        _ => RenderErrorPolicy::Ignore,
    }
}

/// After a lost device: what the world gave away to the renderer went with it.
fn renew(mut store: ResMut<Store>, mut up: ResMut<view::Up>) {
    store.reload_textures();
    *up = view::Up::default();
}

fn forget_errors(mut errors: ResMut<Errors>) {
    if errors.count == 0 {
        return;
    }
    errors.frames_since += 1;
    if errors.frames_since > ERRORS_FORGET {
        *errors = Errors::default();
    }
}

/// Gives the window the logo, once it is there.
fn set_icon(window: Single<Entity, With<PrimaryWindow>>, mut done: Local<bool>, _main_thread: NonSendMarker) {
    if *done {
        return;
    }
    WINIT_WINDOWS.with_borrow(|windows| {
        let Some(window) = windows.get_window(*window) else { return };
        *done = true;
        match winit::window::Icon::from_rgba(icon::rgba(), icon::SIZE, icon::SIZE) {
            Ok(icon) => window.set_window_icon(Some(icon)),
            Err(error) => tracing::warn!(%error, "the window's icon"),
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Command, channel};
    use std::sync::mpsc;

    #[test]
    fn a_lost_device_is_made_anew() {
        let (control, end) = channel();
        let config = EngineConfig { size: [64, 48], ..EngineConfig::default() };
        let mut engine = Headless::new(config, end).unwrap();
        let picture = |engine: &mut Headless| {
            let (tell, told) = mpsc::sync_channel(16);
            control.send(Command::Screenshot(Box::new(move |picture| drop(tell.send(picture))))).unwrap();
            for _ in 0..200 {
                assert!(engine.step().unwrap());
                while control.try_event().is_some() {}
                if let Ok(picture) = told.try_recv() {
                    return picture.unwrap();
                }
            }
            panic!("no picture came");
        };
        let before = picture(&mut engine);
        let device = engine.apps.main.world().resource::<RenderDevice>().wgpu_device().clone();
        device.destroy();
        // A driver tells of it when it is next asked.
        let _ = device.poll(PollType::Poll);
        for _ in 0..100 {
            assert!(engine.step().unwrap());
        }
        let after = picture(&mut engine);
        let light = |picture: &crate::Picture| picture.rgba.iter().map(|v| u64::from(*v)).sum::<u64>();
        // The ember breathes, so that the two are not the same; but neither is black.
        assert!(
            light(&after).abs_diff(light(&before)) < light(&before) / 20,
            "{} {}",
            light(&before),
            light(&after)
        );
    }
}
