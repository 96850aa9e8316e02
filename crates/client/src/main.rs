// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth-client`: joins a space and shows it.

mod picture;

use clap::Parser;
use hearth_engine::{EngineConfig, SoundOutput, channel};
use hearth_node::{
    ClientOptions, ConnectError, FolderError, Password, RunningClient, StartError, join,
    program::{
        Fatal, PASSWORD_VARIABLE, asked_to_end, check_password, finish, given_password, say_ready,
        start_logging,
    },
};
use picture::EnginePicture;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// How long threads that are still at work may hold up the end of the program.
const LAST_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  hearth-client --connect hearth.example:4320 --name ada
  hearth-client --connect 127.0.0.1:4320 --name bot --no-picture --password-file pw
  hearth-client --connect 127.0.0.1:4320 --name eye --headless --picture eye.png

The password is asked for, unless it comes from `--password-file` or $HEARTH_PASSWORD. In the window, F1 shows
the keys. What a client starts (camera, avatar) is in DIR/peer.toml.

Environment:
  HEARTH_PASSWORD     the space's password
  HEARTH_STD          folder of the scripts that come with Hearth
  HEARTH_RUNTIME_DIR  folder of the local socket, else $XDG_RUNTIME_DIR/hearth
  HEARTH_LOG          what is logged, as `info` or `hearth_net=debug`";

/// Joins a Hearth space: shows it, runs your processes, and takes what you do to them.
#[derive(Parser)]
#[command(name = "hearth-client", version, after_help = AFTER_HELP)]
struct Cli {
    /// Address of the space's server
    #[arg(long, value_name = "ADDR")]
    connect: String,
    /// Name that others see
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Folder that keeps this peer's key, lumps and manifest [default: $XDG_DATA_HOME/hearth/client-NAME]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File whose first line is the space's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Render without a window
    #[arg(long, conflicts_with = "no_picture")]
    headless: bool,
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
    /// How loud all sound is, 0 to 1
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = volume)]
    volume: f32,
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
    let data = match &cli.data {
        Some(data) => data.clone(),
        None => default_data(&cli.name)?,
    };
    let password = password(cli.password_file.as_deref(), &cli.connect)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new(&error, None, yacexits::EX_OSERR))?;
    let result = run_on(&runtime, cli, data, password);
    // Everything is on disk: what a thread still reads or compiles is for nobody.
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

fn run_on(
    runtime: &tokio::runtime::Runtime,
    cli: Cli,
    data: PathBuf,
    password: Password,
) -> Result<(), Fatal> {
    let glyph_cache = data.join("glyphs");
    let mut options = ClientOptions::new(data, cli.connect.clone(), cli.name.clone(), password);
    options.boot = !cli.no_boot;
    if cli.no_picture {
        let running = runtime.block_on(join(options)).map_err(|error| fatal(&error))?;
        announce(runtime, &running);
        return runtime.block_on(running.ended()).map_err(|error| fatal(&error));
    }
    let (controller, end) = channel();
    let has_window = !cli.headless;
    options.picture = Some(Arc::new(EnginePicture { controller: controller.clone(), has_window }));
    let running = runtime.block_on(join(options)).map_err(|error| fatal(&error))?;
    announce(runtime, &running);
    let node = running.node.clone();
    // Without a window there is nobody to hear it.
    let sound = match cli.no_sound || cli.headless {
        true => SoundOutput::None,
        false => SoundOutput::Device { volume: cli.volume },
    };
    let config = EngineConfig {
        title: format!("Hearth: {} in {}", cli.name, cli.connect),
        size: cli.size,
        headless: cli.headless,
        peer: node.id(),
        glyph_cache: Some(glyph_cache),
        sound,
        ..EngineConfig::default()
    };
    runtime.spawn(picture::events(controller.clone(), node.clone()));
    if let Some(file) = cli.picture {
        runtime
            .spawn(picture::write_file(EnginePicture { controller: controller.clone(), has_window }, file));
    }
    // Whatever ends the node ends the engine, and the other way round.
    let quitter = runtime.spawn(async move {
        let ended = running.ended().await;
        while let Err(hearth_engine::SendError::Full(_)) = controller.send(hearth_engine::Command::Quit) {
            controller.room().await;
        }
        ended
    });
    // The window system wants the main thread.
    let shown = hearth_engine::run(config, end);
    node.shut_down();
    let ended = runtime.block_on(quitter);
    shown.map_err(|error| Fatal::new(&error, None, yacexits::EX_UNAVAILABLE))?;
    match ended {
        Ok(result) => result.map_err(|error| fatal(&error)),
        Err(error) => Err(Fatal::new(&error, None, yacexits::EX_SOFTWARE)),
    }
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

fn default_data(name: &str) -> Result<PathBuf, Fatal> {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
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
