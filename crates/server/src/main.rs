// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth-server`: keeps a space.

use clap::{Args, Parser, Subcommand};
use hearth_node::{
    FolderError, ServerOptions, StartError,
    program::{Fatal, asked_to_end, finish, given_password, say_ready, start_logging},
    serve,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Small things go to and fro between threads here, and what ends or hibernates is to be the system's again, which its own
/// allocator does not manage.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long threads that are still at work may hold up the end of the program.
const LAST_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  hearth-server --data ~/space                        on 127.0.0.1:4320, for this machine
  hearth-server --data ~/space --listen 0.0.0.0:4320  for everybody who knows the password
  hearth-server repair --data ~/space                 after the server said that a file is damaged

At its first start a server makes a password and writes it to DIR/password; `hearth-ctl passwd` changes it.
What the space starts is in DIR/space.toml.

Environment:
  HEARTH_PASSWORD     the space's password from now on
  HEARTH_STD          folder of the scripts that come with Hearth
  HEARTH_RUNTIME_DIR  folder of the local socket, else $XDG_RUNTIME_DIR/hearth
  HEARTH_LOG          what is logged, as `info` or `hearth_net=debug`";

/// Keeps a Hearth space: lets peers in, orders and saves the scene, relays messages, runs processes.
#[derive(Parser)]
#[command(name = "hearth-server", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
}

#[derive(Args)]
struct Run {
    /// Folder that keeps the space; made if it is not there
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4320")]
    listen: String,
    /// Name of the space
    #[arg(long, default_value = "hearth")]
    name: String,
    /// File whose first line is the space's password from now on
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Do not start the services of space.toml
    #[arg(long)]
    no_boot: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Save what can be read of damaged files, and move the damaged ones aside
    Repair {
        /// Folder that keeps the space; its server must not run
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging("info");
    finish(match cli.action {
        Some(Action::Repair { data }) => repair(&data),
        None => run(cli.run),
    })
}

fn run(options: Run) -> Result<(), Fatal> {
    let data = options.data.unwrap_or_default();
    let password = given_password(options.password_file.as_deref())?;
    let mut server = ServerOptions::new(&data, options.listen);
    server.name = options.name;
    server.password = password;
    server.boot = !options.no_boot;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new(&error, None, yacexits::EX_OSERR))?;
    let result = runtime.block_on(async {
        let running = serve(server).await.map_err(|error| started(&error, &data))?;
        if let Some(file) = &running.first_password {
            tracing::info!("made a password for this space; it is in `{}`", file.display());
        }
        tracing::info!("local socket `{}`", running.socket.display());
        say_ready(running.address);
        let node = running.node.clone();
        tokio::spawn(async move {
            asked_to_end().await;
            node.shut_down();
        });
        running.ended().await;
        tracing::info!("ended in good order");
        Ok(())
    });
    // Everything is on disk: what a thread still reads or compiles is for nobody.
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

fn started(error: &StartError, data: &Path) -> Fatal {
    let repair = format!("run `hearth-server repair --data {}`", data.display());
    let (hint, code) = match error {
        StartError::Listen { .. } => (
            Some("choose another address with `--listen`, or end the program that uses this one".into()),
            yacexits::EX_UNAVAILABLE,
        ),
        StartError::Folder(FolderError::InUse { .. }) => (
            Some(
                "end that peer first (`hearth-ctl shutdown`), or choose another folder with `--data`".into(),
            ),
            yacexits::EX_UNAVAILABLE,
        ),
        StartError::Store(_) | StartError::Scene(_) => (Some(repair), yacexits::EX_IOERR),
        StartError::Manifest(_) => {
            (Some("correct `space.toml`, or move it away".into()), yacexits::EX_CONFIG)
        }
        StartError::Folder(_) | StartError::File { .. } => (None, yacexits::EX_CANTCREAT),
        _ => (None, yacexits::EX_SOFTWARE),
    };
    Fatal::new(error, hint, code)
}

fn repair(data: &Path) -> Result<(), Fatal> {
    let lines = hearth_node::repair(data).map_err(|error| Fatal::new(&error, None, yacexits::EX_IOERR))?;
    for line in lines {
        tracing::info!("{line}");
    }
    Ok(())
}
