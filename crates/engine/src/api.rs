// SPDX-License-Identifier: AGPL-3.0-or-later
//! What goes in and what comes out.

use crate::SoundOutput;
use bytes::Bytes;
use hearth_abi::{
    EntityId, LumpId, PeerId, TerminalId,
    cast::{self, Cast},
    input, pointer,
    screen::Screen,
    terminal::Stroke,
};
use hearth_scene::Change;
use std::{fmt, io::Cursor, path::PathBuf, sync::Arc, time::Duration};

/// How an engine starts.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Title of the window.
    pub title: String,
    /// Width and height of the window, in logical pixels, or of the picture without one, in pixels.
    /// Clamped to 16 to 8192.
    pub size: [u32; 2],
    /// Render to an image, without a window.
    pub headless: bool,
    /// The peer that shows the picture. What its own processes move is shown at once; what the
    /// others move arrives in steps, and is smoothed.
    pub peer: PeerId,
    /// How much work goes into a picture; `None` chooses by the adapter.
    pub quality: Option<Quality>,
    /// Time between two pictures as the engine sees it, whatever the clock says. For tests: it makes
    /// pictures repeatable. `None` follows the clock.
    pub fixed_step: Option<Duration>,
    /// Most pictures a second without a window. (With one, the display sets the pace.)
    pub frames_per_second_max: u32,
    /// Without a window, draw only when a [`Command::Screenshot`] waits: nobody sees the others, and
    /// a software renderer takes the processor from those who need it. Events of frames come all the
    /// same, 30 a second at most. A window is always drawn.
    pub draw_on_demand: bool,
    /// Folder for glyphs that were made, so that they are there at once the next time; `None` keeps
    /// none.
    pub glyph_cache: Option<PathBuf>,
    /// Take characters that our own fonts have not from those of this machine.
    pub system_fonts: bool,
    /// Where the sound goes.
    pub sound: SoundOutput,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            title: "Hearth".into(),
            size: [1280, 720],
            headless: false,
            peer: PeerId::SERVER,
            quality: None,
            fixed_step: None,
            frames_per_second_max: 60,
            draw_on_demand: true,
            glyph_cache: None,
            system_fonts: true,
            sound: SoundOutput::None,
        }
    }
}

/// How much work goes into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// For software renderers: no smoothing of edges, no bloom, small shadow maps.
    Low,
    /// For graphics cards: four samples a pixel, bloom, large shadow maps.
    High,
}

/// Something for the engine to do. Commands take effect in the order in which they were sent.
#[non_exhaustive]
pub enum Command {
    /// The scene changed. Applied a bounded number for each picture, in order.
    Changes(Vec<Change>),
    /// The bytes of a lump that the engine wanted, or why there are none. May come again after a
    /// failure: what waits for the lump is then loaded after all.
    Lump {
        /// Which lump.
        id: LumpId,
        /// Its bytes, or the reason.
        bytes: Result<Bytes, String>,
    },
    /// How much of a lump that the engine wanted is here: what stands in for it fills.
    LumpProgress {
        /// Which lump.
        id: LumpId,
        /// Bytes that are here.
        received: u64,
        /// Bytes that it has.
        size: u64,
    },
    /// What a terminal shows now; `None`: nothing, it is gone. Entities with that terminal show it in
    /// the next picture. Of each terminal only the newest screen waits, so this may be sent as often
    /// as there is something new.
    Screen {
        /// Which terminal.
        terminal: TerminalId,
        /// What it shows.
        screen: Option<Arc<Screen>>,
    },
    /// Hides the pointer and holds it in the window, or sets it free. Answered by
    /// [`input::Event::Captured`]; the engine itself sets it free when the window loses the focus.
    CapturePointer(bool),
    /// Asks for the next picture that shows everything sent before, but for lumps that are not decoded yet
    /// (see [`Event::FrameShown`]). `done` is called once, on a
    /// thread of the engine, and must be quick.
    Screenshot(Box<dyn FnOnce(Result<Picture, String>) + Send>),
    /// The same of what an entity with a [`View`](hearth_abi::scene::View) sees, whether a screen shows it or not.
    ScreenshotOf {
        /// The entity.
        view: EntityId,
        /// As for [`Command::Screenshot`]. It fails if the entity has no view.
        done: Box<dyn FnOnce(Result<Picture, String>) + Send>,
    },
    /// Loads a lump as an asset of a class (`Mesh`, `Texture`, `Scene`, `Animation`, `Environment`, `Sound`, `Font`) and
    /// keeps it until [`Command::Drop`]. `done` is called once, on a thread of the engine, and must be quick.
    Load {
        /// Name of the class.
        class: String,
        /// Which lump.
        id: LumpId,
        /// Hears that it is loaded, or why it is not.
        done: Box<dyn FnOnce(Result<(), String>) + Send>,
    },
    /// Gives back what one [`Command::Load`] holds. Without one it does nothing.
    Drop {
        /// Name of the class.
        class: String,
        /// Which lump.
        id: LumpId,
    },
    /// Tells of all assets. `done` is called once, on a thread of the engine, and must be quick.
    Assets(Box<dyn FnOnce(Result<Vec<AssetReport>, String>) + Send>),
    /// Puts a text on the user's clipboard. Lost, with a line in the log, if the window system does not
    /// take it. One window's text: without a window nothing happens.
    ClipboardWrite {
        /// The text.
        text: String,
        /// The selection that the middle button pastes, where the window system has one.
        primary: bool,
    },
    /// Asks for the text on the user's clipboard; empty if there is none. `done` is called once, on a
    /// thread of the engine, and must be quick.
    ClipboardRead {
        /// The selection that the middle button pastes, where the window system has one.
        primary: bool,
        /// Hears the text, or why there is none to be had.
        done: Box<dyn FnOnce(Result<String, String>) + Send>,
    },
    /// Whether the user types text now, so that input methods may take the keys and give text instead. Meanwhile the
    /// pointer touches no entity: the user's hands are at what they type into.
    TextInput(bool),
    /// The user types into something of the scene now: until `None` comes this line stands over the picture, where nothing of
    /// the scene hides it, and input methods may take the keys. Pointers go on.
    Typing(Option<String>),
    /// Asks what a ray or a ball meets of all that is drawn in the next picture, after the commands before this.
    /// Those that take long to answer are answered in the pictures after. `done` is called once, on a thread of the
    /// engine, and must be quick; it hears an error if [`CASTS_MAX`](crate::CASTS_MAX) wait already.
    Cast {
        /// What is sent.
        cast: Cast,
        /// Hears what it meets, the nearest first.
        done: Box<dyn FnOnce(Result<Vec<cast::Hit>, String>) + Send>,
    },
    /// How loud all sound is from now on, 0 to 1. Without a device nothing happens.
    Volume(f32),
    /// How the mouse turns the view from now on: what of its motion is told while it is captured, whoever has the picture.
    Look(Look),
    /// Another peer shows its scene from now on: with the next command all goes that is shown, loaded and typed into,
    /// and the engine is as one that has just started. Until then the last picture stays, so that there is no empty one
    /// between. Screens that wait are dropped at once.
    HandOver {
        /// The peer, as [`EngineConfig::peer`].
        peer: PeerId,
        /// Title of the window.
        title: String,
    },
    /// Ends the engine.
    Quit,
}

/// How a captured mouse turns the view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// What its motion is multiplied with. A number that is not more than zero, or none, counts as 1.
    pub speed: f32,
    /// Motion down is told as motion up, and the other way round.
    pub is_inverted: bool,
}

impl Default for Look {
    /// As the window system says it.
    fn default() -> Look {
        Look { speed: 1.0, is_inverted: false }
    }
}

impl Look {
    /// What is told of a motion right and down.
    pub(crate) fn told(self, [right, down]: [f32; 2]) -> [f32; 2] {
        let speed = if self.speed > 0.0 && self.speed.is_finite() { self.speed } else { 1.0 };
        [right * speed, if self.is_inverted { -down * speed } else { down * speed }]
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Changes(changes) => write!(f, "Changes({})", changes.len()),
            Command::Lump { id, bytes } => {
                let bytes = bytes.as_ref().map(Bytes::len);
                f.debug_struct("Lump").field("id", id).field("bytes", &bytes).finish()
            }
            Command::LumpProgress { id, received, size } => {
                write!(f, "LumpProgress({id}, {received} of {size})")
            }
            Command::Screen { terminal, screen } => {
                let size = screen.as_ref().map(|screen| (screen.columns(), screen.rows()));
                f.debug_struct("Screen").field("terminal", terminal).field("size", &size).finish()
            }
            Command::CapturePointer(on) => write!(f, "CapturePointer({on})"),
            Command::Screenshot(_) => f.write_str("Screenshot"),
            Command::ScreenshotOf { view, .. } => write!(f, "ScreenshotOf({view})"),
            Command::Load { class, id, .. } => write!(f, "Load({class}, {id})"),
            Command::Drop { class, id } => write!(f, "Drop({class}, {id})"),
            Command::Assets(_) => f.write_str("Assets"),
            Command::ClipboardWrite { text, primary } => {
                write!(f, "ClipboardWrite({} bytes, {primary})", text.len())
            }
            Command::ClipboardRead { primary, .. } => write!(f, "ClipboardRead({primary})"),
            Command::TextInput(on) => write!(f, "TextInput({on})"),
            Command::Typing(line) => write!(f, "Typing({})", line.is_some()),
            Command::Cast { cast, .. } => write!(f, "Cast({cast:?})"),
            Command::Volume(volume) => write!(f, "Volume({volume})"),
            Command::Look(look) => look.fmt(f),
            Command::HandOver { peer, title } => write!(f, "HandOver({peer}, {title:?})"),
            Command::Quit => f.write_str("Quit"),
        }
    }
}

/// What became of a lump that something refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetReport {
    /// The lump.
    pub lump: LumpId,
    /// As what it is read: the name of its class.
    pub class: &'static str,
    /// How far it is.
    pub state: AssetState,
    /// How many entities refer to it.
    pub users: usize,
    /// How many times [`Command::Load`] holds it.
    pub holds: usize,
}

/// How far a lump is on its way to be an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssetState {
    /// Its bytes are not here.
    Fetching,
    /// They wait, or are being decoded.
    Decoding,
    /// It is there.
    Ready {
        /// Bytes that it takes, here and on the graphics card.
        memory_bytes: u64,
    },
    /// It will not be.
    Failed {
        /// Why, in a line for people.
        reason: String,
    },
}

/// Something that happened in the engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The user did something other than press keys, or a picture is about to be made. Times of
    /// [`input::Event::Frame`] count from the start of the engine.
    Input(input::Event),
    /// A key went down or up, or text came without one. Keys that are held when the window loses the
    /// keyboard are released before [`input::Event::Focus`].
    Stroke(Stroke),
    /// The user's pointer did something to an entity that wants to hear of it. Comes after the
    /// [`Event::Input`] of the same deed.
    Pointer(pointer::Event),
    /// The user dropped a file of this machine on the window.
    FileDropped {
        /// The file, or folder.
        path: PathBuf,
        /// What lies there; `None` for nothing.
        entity: Option<EntityId>,
        /// Where, in the world, in metres; on nothing, two metres before the eye.
        point: [f32; 3],
        /// The direction of the surface there, of length 1; zero on nothing.
        normal: [f32; 3],
    },
    /// The engine needs this lump; answered by [`Command::Lump`]. Said once, and again only if the
    /// lump was let go, or lost with the graphics card's memory, and is needed anew.
    WantLump(LumpId),
    /// A lump does not load, and in its place a checkered box or surface is shown, a sound is not heard, or text is shown
    /// in another font; or it has not what an entity asks of it.
    AssetFailed {
        /// Entities that refer to it, at most [`Event::ENTITIES_MAX`] of them; none if it was asked
        /// for by [`Command::Load`] alone.
        entities: Vec<EntityId>,
        /// The lump.
        lump: LumpId,
        /// Why, in a line for people.
        reason: String,
    },
    /// The user closed the window; the engine ends.
    Closed,
    /// A picture was made, or would have been (see [`EngineConfig::draw_on_demand`]).
    FrameShown {
        /// Counts from 1.
        number: u64,
        /// Entities of the scene.
        entities: usize,
        /// Assets in use that are not there yet: wanted, or being decoded.
        missing_lumps: usize,
        /// Glyphs on show that are being made: what is to be read is not all there yet.
        missing_glyphs: usize,
    },
}

impl Event {
    /// Most entities that one [`Event::AssetFailed`] names.
    pub const ENTITIES_MAX: usize = 64;
}

/// Rows of pixels from the top, each four bytes: red, green, blue (sRGB), opacity.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width` × `height` × 4 bytes.
    pub rgba: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}×{})", self.width, self.height)
    }
}

impl Picture {
    /// The picture as a PNG file.
    ///
    /// # Errors
    /// The number of bytes does not fit the size.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut out = Cursor::new(Vec::new());
        let buffer = image::RgbaImage::from_raw(self.width, self.height, self.rgba.clone())
            .ok_or(PictureError::Size)?;
        image::DynamicImage::ImageRgba8(buffer).into_rgb8().write_to(&mut out, image::ImageFormat::Png)?;
        Ok(out.into_inner())
    }
}

/// Why a picture could not be written as a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The number of bytes is not width × height × 4.
    #[error("the picture's bytes do not fit its size")]
    Size,
    /// The encoder failed.
    #[error("could not encode the picture")]
    Encode(#[from] image::ImageError),
}

/// A command that was not taken. It is given back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full: the engine is behind. Try again when [`Controller::room`] is ready.
    ///
    /// [`Controller::room`]: crate::Controller::room
    #[error("the engine is behind, its queue is full")]
    Full(Command),
    /// The engine has ended.
    #[error("the engine has ended")]
    Ended(Command),
}

impl SendError {
    /// The command that was not taken.
    pub fn into_command(self) -> Command {
        match self {
            SendError::Full(command) | SendError::Ended(command) => command,
        }
    }
}

/// Why an engine could not start, or ended otherwise than by [`Command::Quit`] or by closing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Neither a graphics card nor a software renderer was found.
    #[error("no graphics adapter found; {INSTALL_HINT}")]
    NoAdapter,
    /// An adapter was found that cannot do what the engine needs.
    #[error("graphics adapter `{adapter}` cannot be used: {reason}")]
    Adapter {
        /// Name of the adapter.
        adapter: String,
        /// What it lacks.
        reason: String,
    },
    /// The window system does not let us open a window.
    #[error("could not open a window: {0}")]
    Window(String),
    /// The renderer failed while running.
    #[error("the renderer failed: {0}")]
    Failed(String),
}

const INSTALL_HINT: &str = "install a Vulkan driver (Debian and Ubuntu: `apt-get install mesa-vulkan-drivers`, \
     which also renders without a graphics card)";
