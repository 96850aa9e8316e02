// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth-client`: joins a space and shows it.

mod front;
mod lobby;
mod picture;
mod settings;
mod stage;
// The words are those of the script, whose file it is.
#[path = "../../../guest/std/src/lobby/words.rs"]
#[allow(unreachable_pub, reason = "to the script they are a part of its library")]
mod words;

use clap::{CommandFactory as _, Parser, error::ErrorKind};
use front::{Failure, Front};
use hearth_engine::{Controller, EngineConfig, EngineEnd, SoundOutput, channel};
use hearth_node::{
    ClientOptions, ConnectError, FolderError, Password, RunningClient, StartError, join,
    program::{
        Fatal, PASSWORD_VARIABLE, asked_to_end, check_password, finish, given_password, say_ready,
        start_logging,
    },
    std_module,
};
use settings::{Remembered, SettingsFile};
use stage::Stage;
use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// Small things go to and fro between threads here, and what ends or hibernates is to be the system's again, which its own
/// allocator does not manage.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long threads that are still at work may hold up the end of the program.
const LAST_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  hearth-client
  hearth-client --connect hearth.example:4320 --name ada
  hearth-client --connect 127.0.0.1:4320 --name bot --no-picture --password-file pw
  hearth-client --connect 127.0.0.1:4320 --name eye --headless --picture eye.png

In a window, the first screen asks for what is not given. What is given is filled in, and if all
of it is, the space is joined at once. Without a window `--connect` and `--name` must be given, and
the password is asked for on the terminal. It may come from `--password-file` or $HEARTH_PASSWORD,
and is never written to disk. In the space, F1 shows the keys. What a client starts (camera,
avatar) is in DIR/peer.toml.

The space and the name of the last time, and what is set in the first screen (volume, quality of the
picture, field of view, how the mouse looks around), are remembered in
$XDG_CONFIG_HOME/hearth/client.toml, else in ~/.config/hearth/client.toml.

Environment:
  HEARTH_PASSWORD     the space's password
  HEARTH_STD          folder of the scripts that come with Hearth
  HEARTH_RUNTIME_DIR  folder of the local socket, else $XDG_RUNTIME_DIR/hearth
  HEARTH_LOG          what is logged, as `info` or `hearth_net=debug`";

/// Joins a Hearth space: shows it, runs your processes, and takes what you do to them.
#[derive(Parser)]
#[command(name = "hearth-client", version, after_help = AFTER_HELP)]
struct Cli {
    /// Address of the space's server [default: in a window, that of the last time]
    #[arg(long, value_name = "ADDR")]
    connect: Option<String>,
    /// Name that others see [default: in a window, that of the last time]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Folder that keeps this peer's key, lumps and manifest [default: $XDG_DATA_HOME/hearth/client-NAME]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File whose first line is the space's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Render without a window
    #[arg(long, conflicts_with = "no_picture")]
    headless: bool,
    /// Draw so many pictures a second, 1 to 1000, not only those that are asked for
    #[arg(long, value_name = "COUNT", requires = "headless", conflicts_with = "no_picture")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pictures_per_second: Option<u32>,
    /// Write the picture to this PNG file every second
    #[arg(long, value_name = "FILE", conflicts_with = "no_picture")]
    picture: Option<PathBuf>,
    /// Size of the picture
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = size)]
    size: [u32; 2],
    /// Show nothing: for bots and tests
    #[arg(long)]
    no_picture: bool,
    /// Play no sound
    #[arg(long)]
    no_sound: bool,
    /// How loud all sound is, 0 to 1 [default: in a window, what is set there, else 1]
    #[arg(long, value_name = "FACTOR", value_parser = volume)]
    volume: Option<f32>,
    /// Do not start the services of peer.toml
    #[arg(long)]
    no_boot: bool,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    parsed
        .filter(|size: &[u32; 2]| size.iter().all(|side| (16..=8192).contains(side)))
        .ok_or_else(|| "give WIDTHxHEIGHT, each 16 to 8192, as 1280x720".into())
}

fn volume(text: &str) -> Result<f32, String> {
    let factor = text.parse().ok().filter(|factor| (0.0..=1.0).contains(factor));
    factor.ok_or_else(|| "give a number from 0 to 1, as 0.5".into())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The messages of the renderer and the decoders are for their developers.
    start_logging("info,wgpu_core=warn,wgpu_hal=error,naga=warn,bevy_render=warn,symphonia=off");
    finish(run(cli))
}

fn run(cli: Cli) -> Result<(), Fatal> {
    let has_window = !cli.no_picture && !cli.headless;
    let lobby = has_window.then(lobby_module).flatten();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new(&error, None, yacexits::EX_OSERR))?;
    let result = match lobby {
        Some(module) => run_window(&runtime, cli, module),
        None => run_fixed(&runtime, cli),
    };
    // Everything is on disk: what a thread still reads or compiles is for nobody.
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

/// The module of the first screen. Without it the program asks on the terminal.
fn lobby_module() -> Option<bytes::Bytes> {
    let read = std_module("lobby").map_err(|error| error.to_string()).and_then(|path| {
        std::fs::read(&path).map_err(|error| format!("could not read `{}`: {error}", path.display()))
    });
    read.inspect_err(|reason| tracing::warn!("there is no first screen: {reason}")).ok().map(Into::into)
}

/// A window, in which everything else is asked for.
fn run_window(runtime: &tokio::runtime::Runtime, cli: Cli, module: bytes::Bytes) -> Result<(), Fatal> {
    let password = given_password(cli.password_file.as_deref())?;
    let file = SettingsFile::of_user();
    let (remembered, notice) = match file.read() {
        Ok((remembered, unknown)) if unknown.is_empty() => (remembered, None),
        Ok((remembered, unknown)) => {
            (remembered, Some(format!("`client.toml` has what is not known here: {}", unknown.join(", "))))
        }
        Err(error) => (Remembered::default(), Some(error.to_string())),
    };
    if let Some(notice) = &notice {
        tracing::warn!("{notice}");
    }
    let mut filled = remembered;
    filled.address = cli.connect.clone().unwrap_or(filled.address);
    filled.name = cli.name.clone().unwrap_or(filled.name);
    let mut settings = filled.settings.clone();
    settings.volume = cli.volume.unwrap_or(settings.volume);
    let quality = match settings.quality {
        words::Quality::Auto => None,
        words::Quality::Low => Some(hearth_engine::Quality::Low),
        words::Quality::High => Some(hearth_engine::Quality::High),
    };
    let sound = match cli.no_sound {
        true => SoundOutput::None,
        false => SoundOutput::Device { volume: settings.volume },
    };
    let glyph_cache = glyph_cache(&cli);
    let config = EngineConfig { size: cli.size, glyph_cache, sound, quality, ..EngineConfig::default() };
    let (controller, end) = channel();
    let stage = Stage::new(controller.clone());
    let file_of_picture = cli.picture.clone();
    let front = Front::new(filled, settings, password, notice);
    let shell = lobby::Shell { cli, stage: stage.clone(), module, file };
    let asked = stage.clone();
    runtime.spawn(async move {
        asked_to_end().await;
        asked.close();
    });
    show(runtime, config, end, stage, file_of_picture, move || async move { shell.live(front).await })
}

/// Without a window, or without a first screen: all is given as arguments or asked for on the terminal.
fn run_fixed(runtime: &tokio::runtime::Runtime, cli: Cli) -> Result<(), Fatal> {
    let (Some(address), Some(name)) = (cli.connect.clone(), cli.name.clone()) else {
        let missing = "the following required arguments were not provided:\n  --connect <ADDR>\n  --name <NAME>\n\n\
                       Only a window with its first screen asks for them.";
        Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
    };
    let data = match &cli.data {
        Some(data) => data.clone(),
        None => default_data(&name)?,
    };
    let password = password(cli.password_file.as_deref(), &address)?;
    let glyph_cache = data.join("glyphs");
    let mut options = ClientOptions::new(data, address.clone(), name.clone(), password);
    options.boot = !cli.no_boot;
    if cli.no_picture {
        let running = runtime.block_on(join(options)).map_err(|error| fatal(&error))?;
        announce(runtime, &running);
        return runtime.block_on(running.ended()).map_err(|error| fatal(&error));
    }
    let (controller, end) = channel();
    let stage = Stage::new(controller);
    let (turn, picture) = stage.next(!cli.headless);
    options.picture = Some(Arc::new(picture));
    let running = runtime.block_on(join(options)).map_err(|error| fatal(&error))?;
    announce(runtime, &running);
    let node = running.node.clone();
    stage.open(turn, node.clone());
    // Without a window there is nobody to hear it.
    let sound = match cli.no_sound || cli.headless {
        true => SoundOutput::None,
        false => SoundOutput::Device { volume: cli.volume.unwrap_or(1.0) },
    };
    let config = EngineConfig {
        title: format!("Hearth: {name} in {address}"),
        size: cli.size,
        headless: cli.headless,
        peer: node.id(),
        glyph_cache: Some(glyph_cache),
        sound,
        draw_on_demand: cli.pictures_per_second.is_none(),
        frames_per_second_max: cli
            .pictures_per_second
            .unwrap_or(EngineConfig::default().frames_per_second_max),
        ..EngineConfig::default()
    };
    let closed = stage.clone();
    show(runtime, config, end, stage, cli.picture, move || async move {
        let mut ended = std::pin::pin!(running.ended());
        let ended = tokio::select! {
            ended = &mut ended => ended,
            () = closed.closed() => {
                node.shut_down();
                ended.await
            }
        };
        ended.map_err(|error| fatal(&error))
    })
}

/// Runs the engine on this thread, and beside it what it shows. Whatever ends the one ends the other.
fn show<L: Future<Output = Result<(), Fatal>> + Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    config: EngineConfig,
    end: EngineEnd,
    stage: Arc<Stage>,
    file: Option<PathBuf>,
    live: impl FnOnce() -> L,
) -> Result<(), Fatal> {
    let controller: Controller = stage.controller().clone();
    runtime.spawn(picture::events(stage.clone()));
    if let Some(file) = file {
        runtime.spawn(picture::write_file(controller.clone(), file));
    }
    let life = live();
    let life = runtime.spawn(async move {
        let ended = life.await;
        picture::send(&controller, hearth_engine::Command::Quit).await;
        ended
    });
    // The window system wants the main thread.
    let shown = hearth_engine::run(config, end);
    stage.close();
    let ended = runtime.block_on(life);
    shown.map_err(|error| Fatal::new(&error, None, yacexits::EX_UNAVAILABLE))?;
    ended.unwrap_or_else(|error| Err(Fatal::new(&error, None, yacexits::EX_SOFTWARE)))
}

/// Says that it is in, and ends the node when the system wants it.
fn announce(runtime: &tokio::runtime::Runtime, running: &RunningClient) {
    tracing::info!("joined as peer {}; local socket `{}`", running.node.id(), running.socket.display());
    say_ready(running.node.id());
    let node = running.node.clone();
    runtime.spawn(async move {
        asked_to_end().await;
        node.shut_down();
    });
}

/// A variable of the environment that names a folder.
fn folder_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where letters are kept that were made into pictures: in the data folder if it is known before it is known who
/// joins, else where such things are kept.
fn glyph_cache(cli: &Cli) -> Option<PathBuf> {
    if let Some(data) = &cli.data {
        // It holds a key, so that it is for this user alone from the beginning.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        return made.ok().map(|()| data.join("glyphs"));
    }
    let base = folder_of("XDG_CACHE_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("hearth/glyphs"))
}

fn default_data(name: &str) -> Result<PathBuf, Fatal> {
    let base = folder_of("XDG_DATA_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".local/share")));
    let base = base.ok_or_else(|| Fatal {
        what: "there is no folder to keep data in: neither $XDG_DATA_HOME nor $HOME is set".into(),
        causes: Vec::new(),
        hint: Some("name one with `--data DIR`".into()),
        code: yacexits::EX_CONFIG,
    })?;
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    Ok(base.join("hearth").join(format!("client-{plain}")))
}

fn password(file: Option<&Path>, address: &str) -> Result<Password, Fatal> {
    if let Some(password) = given_password(file)? {
        return Ok(password);
    }
    let asked = rpassword::prompt_password(format!("password of the space at {address}: "));
    check_password(asked.map_err(|error| Fatal {
        what: "could not ask for the password".into(),
        causes: vec![error.to_string()],
        hint: Some(format!("give it with `--password-file FILE`, or in ${PASSWORD_VARIABLE}")),
        code: yacexits::EX_NOINPUT,
    })?)
}

/// An error and its causes in a line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The same for the first screen, where what can be done next depends on it.
fn failure(error: &StartError) -> Failure {
    let mut fatal = fatal(error);
    match error {
        StartError::Join { error, .. } => match &**error {
            ConnectError::WrongPassword => Failure::Password(fatal),
            ConnectError::ServerKeyChanged { found, .. } => {
                fatal.causes.push(format!("the key found is {}", in_groups(found)));
                Failure::Key(fatal)
            }
            _ => Failure::Other(fatal),
        },
        _ => Failure::Other(fatal),
    }
}

/// A long number as people compare it, and lines are broken.
fn in_groups(digits: &str) -> String {
    let groups: Vec<String> =
        digits.chars().collect::<Vec<_>>().chunks(8).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

fn fatal(error: &StartError) -> Fatal {
    let (hint, code) = match error {
        StartError::Join { error, .. } => match &**error {
            ConnectError::WrongPassword => (
                Some("check the password; the host can change it with `hearth-ctl passwd`".into()),
                yacexits::EX_NOPERM,
            ),
            ConnectError::ServerKeyChanged { advice, .. } => (Some(advice.clone()), yacexits::EX_NOPERM),
            ConnectError::Unreachable { .. } => {
                (Some("is the server running, and the address right?".into()), yacexits::EX_NOHOST)
            }
            ConnectError::VersionMismatch { .. } => {
                (Some("use programs of the same version".into()), yacexits::EX_PROTOCOL)
            }
            ConnectError::TimedOut | ConnectError::Busy { .. } => (None, yacexits::EX_TEMPFAIL),
            _ => (None, yacexits::EX_PROTOCOL),
        },
        StartError::Manifest(_) => (Some("correct `peer.toml`, or move it away".into()), yacexits::EX_CONFIG),
        StartError::Folder(FolderError::InUse { .. }) => (
            Some(
                "end that peer first (`hearth-ctl shutdown`), or choose another folder with `--data`".into(),
            ),
            yacexits::EX_UNAVAILABLE,
        ),
        StartError::Folder(_) | StartError::File { .. } | StartError::Store(_) => {
            (None, yacexits::EX_CANTCREAT)
        }
        _ => (None, yacexits::EX_SOFTWARE),
    };
    Fatal::new(error, hint, code)
}
