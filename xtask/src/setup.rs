// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask setup`: what this machine lacks, said first and then installed.
//!
//! `run`, `test` and `ci` begin with it. When nothing is missing it says nothing and asks for nothing.

use crate::exec::{self, Failure, Result, progress};
use crate::project::Project;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// How to set up.
#[derive(clap::Args, Debug, Clone, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Only name what is missing, install nothing
    #[arg(long)]
    pub no_install: bool,
}

/// What the command that begins will do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Compile.
    Build,
    /// Compile and show pictures.
    Picture,
    /// Also what only tests use.
    Everything,
}

/// A Debian package.
struct Package {
    name: &'static str,
    need: Need,
    why: &'static str,
    /// Whether what it is for is there, even if it did not come from that package.
    elsewhere: fn() -> bool,
}

const fn library(name: &'static str, need: Need, why: &'static str) -> Package {
    Package { name, need, why, elsewhere: || false }
}

const PACKAGES: [Package; 18] = [
    Package {
        name: "gcc",
        need: Need::Build,
        why: "the C compiler and linker that Rust uses",
        elsewhere: || exec::on_path("cc"),
    },
    library("libc6-dev", Need::Build, "the C library's headers"),
    Package {
        name: "make",
        need: Need::Build,
        why: "builds the memory allocator",
        elsewhere: || exec::on_path("make"),
    },
    Package {
        name: "libclang1",
        need: Need::Build,
        why: "reads a C header while the crate `yacexits` is built",
        elsewhere: has_libclang,
    },
    Package {
        name: "pkg-config",
        need: Need::Build,
        why: "finds the three libraries below",
        elsewhere: || exec::on_path("pkg-config"),
    },
    library("libwayland-dev", Need::Build, "windows under Wayland"),
    library("libxkbcommon-dev", Need::Build, "keyboard layouts"),
    library("libasound2-dev", Need::Build, "sound"),
    library("libvulkan1", Need::Picture, "finds the graphics driver"),
    library("mesa-vulkan-drivers", Need::Picture, "graphics drivers, and pictures without a GPU"),
    // winit opens these at run time.
    library("libxkbcommon-x11-0", Need::Picture, "keyboard layouts under X11"),
    library("libx11-xcb1", Need::Picture, "windows under X11"),
    library("libxcursor1", Need::Picture, "the mouse pointer under X11"),
    library("libxi6", Need::Picture, "mouse and keyboard under X11"),
    library("libxrandr2", Need::Picture, "screens under X11"),
    Package {
        name: "xvfb",
        need: Need::Everything,
        why: "a display in memory, for tests of the window",
        elsewhere: || exec::on_path("Xvfb"),
    },
    Package {
        name: "xdotool",
        need: Need::Everything,
        why: "presses keys in tests of the window",
        elsewhere: || exec::on_path("xdotool"),
    },
    Package {
        name: "vim",
        need: Need::Everything,
        why: "an editor, for tests of terminals",
        elsewhere: || exec::on_path("vim"),
    },
];

/// Whether some version of libclang is where bindgen looks for it. It comes in packages named by version.
fn has_libclang() -> bool {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let holds_it =
        |folder: &Path| entries(folder).any(|entry| is_libclang(&entry.file_name().to_string_lossy()));
    std::env::var_os("LIBCLANG_PATH").is_some()
        || entries(Path::new("/usr/lib"))
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
            .any(|llvm| holds_it(&llvm.path().join("lib")))
}

/// Whether a file of this name is the library. (`libclang-cpp.so.14`, which lies beside it, is another one, and
/// may be there alone.)
fn is_libclang(file: &str) -> bool {
    let versioned =
        file.strip_prefix("libclang-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    file == "libclang.so" || file.starts_with("libclang.so.") || versioned && file.contains(".so")
}

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Names all that is missing for `need` and installs it, unless told not to.
///
/// # Errors
/// If something that the build needs stays missing. What only tests or pictures need is named again by
/// those who need it.
pub(crate) fn run(project: &Project, need: Need, options: &Options) -> Result<()> {
    let has_target = has_wasm_target(project)?;
    let is_debian = exec::on_path("dpkg-query");
    let wanted: Vec<&Package> = PACKAGES.iter().filter(|package| package.need <= need).collect();
    let missing = if is_debian { missing(project, &wanted)? } else { Vec::new() };
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let add_target = format!("rustup target add {WASM_TARGET}");
    let add_packages = format!("apt-get install {}", names.join(" "));
    if !has_target || !missing.is_empty() {
        progress("missing on this machine:");
    }
    if !has_target {
        println!("   {WASM_TARGET:22} the Rust target for which scripts are built");
    }
    for package in &missing {
        println!("   {:22} {}", package.name, package.why);
    }
    if !is_debian {
        other_system(need);
    }
    let needed_to_build = missing.iter().any(|package| package.need == Need::Build);
    if options.no_install && (!has_target || needed_to_build) {
        let by_hand: Vec<&str> =
            [(!has_target).then_some(&add_target), (!names.is_empty()).then_some(&add_packages)]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
        return Err(Failure::new("not installed, as told by `--no-install`")
            .hint(format!("install it yourself: `{}`", by_hand.join("` and `"))));
    }
    if !has_target {
        add_wasm_target(project)?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let outcome = if options.no_install {
        Err(Failure::new("not installed, as told by `--no-install`"))
    } else {
        install(project, &names)
    };
    match outcome {
        Err(failure) if needed_to_build => {
            Err(failure.hint(format!("install them yourself: `{add_packages}`")))
        }
        Err(failure) => {
            print!("{failure}");
            progress(format!("going on without; to have them: `{add_packages}`"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn has_wasm_target(project: &Project) -> Result<bool> {
    let sysroot = exec::output(exec::command("rustc", &project.root).args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).is_dir())
}

fn add_wasm_target(project: &Project) -> Result<()> {
    if !exec::on_path("rustup") {
        return Err(Failure::new(format!("there is no `rustup` to add {WASM_TARGET} with"))
            .hint("install that target of Rust in the way you installed Rust"));
    }
    exec::run(exec::command("rustup", &project.root).args(["target", "add", WASM_TARGET]))
}

fn missing<'a>(project: &Project, wanted: &[&'a Package]) -> Result<Vec<&'a Package>> {
    let output = exec::command("dpkg-query", &project.root)
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(wanted.iter().map(|package| package.name))
        .stderr(Stdio::null())
        .output()
        .map_err(|error| Failure::new("could not run `dpkg-query`").cause(error))?;
    // It ends with 1 when it does not know a package; what it knows it has printed.
    let text = String::from_utf8_lossy(&output.stdout);
    let installed: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(wanted
        .iter()
        .copied()
        .filter(|package| !installed.contains(package.name))
        .filter(|package| !(package.elsewhere)())
        .collect())
}

fn install(project: &Project, names: &[&str]) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    if !root && !exec::on_path("sudo") {
        return Err(Failure::new("installing needs root, and there is no `sudo`"));
    }
    if !root {
        progress("installing needs root: `sudo` may ask for your password");
    }
    let apt = |arguments: &[&str]| -> Command {
        let mut command =
            if root { exec::command("apt-get", &project.root) } else { exec::command("sudo", &project.root) };
        if !root {
            command.arg("apt-get");
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install = || exec::run(apt(&["install", "--yes", "--no-install-recommends"]).args(names));
    if knows_packages() && install().is_ok() {
        return Ok(());
    }
    // The lists are absent, or older than the mirror.
    exec::run(&mut apt(&["update"]))?;
    install()
}

/// Whether `apt-get update` was ever run here.
fn knows_packages() -> bool {
    std::fs::read_dir("/var/lib/apt/lists").is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}

/// Names what to install where packages have other names, unless all that a build needs is there.
fn other_system(need: Need) {
    let has_compiler = exec::on_path("cc");
    if has_compiler && exec::on_path("pkg-config") {
        let found = |library| exec::answers("pkg-config", &["--exists", library]);
        if found("wayland-client") && found("xkbcommon") && found("alsa") {
            return;
        }
    }
    progress("this is not a Debian: install the counterparts of these Debian packages yourself:");
    for package in PACKAGES.iter().filter(|package| package.need <= need) {
        println!("   {:22} {}", package.name, package.why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_told_from_what_lies_beside_it() {
        for file in ["libclang.so", "libclang.so.1", "libclang-14.so.1", "libclang-14.so.14.0.6"] {
            assert!(is_libclang(file), "{file}");
        }
        for file in ["libclang-cpp.so.14", "libclang-cpp.so", "libclang-common", "libclangAST.a", "libclang"]
        {
            assert!(!is_libclang(file), "{file}");
        }
    }
}
