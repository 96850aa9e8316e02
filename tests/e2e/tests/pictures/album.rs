// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures that are kept, and waiting for what they show.

use crate::first_five_minutes::named;
use hearth_e2e::{LONG, Peer, screenshot, wait_until};
use image::RgbaImage;
use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

/// A folder with the pictures of one test, in order.
pub(crate) struct Album {
    folder: PathBuf,
    page: Cell<u32>,
}

impl Album {
    pub(crate) fn new(name: &str) -> Album {
        Album { folder: emptied(name), page: Cell::new(0) }
    }

    /// Waits until the picture of a client is so, and keeps it. If that does not come, the last one
    /// is kept for a person to look at.
    #[track_caller]
    pub(crate) fn wait(&self, client: &Peer, title: &str, is_so: impl Fn(&RgbaImage) -> bool) -> RgbaImage {
        self.page.set(self.page.get() + 1);
        let file = self.folder.join(format!("{:02}-{}-{title}.png", self.page.get(), client.name));
        let what = format!("the picture shows `{title}`: see {}", file.display());
        wait_until(&what, LONG, || {
            let picture = screenshot(client, &file);
            is_so(&picture).then_some(picture)
        })
    }
}

/// The pictures that a client writes by itself, of which those that are waited for are kept: in its first screen it cannot be
/// asked for any.
pub(crate) struct Roll {
    picture: PathBuf,
    folder: PathBuf,
}

impl Roll {
    /// Of a client that writes its picture there.
    pub(crate) fn new(name: &str, picture: &Path) -> Roll {
        Roll { picture: picture.to_owned(), folder: emptied(name) }
    }

    /// Waits until the picture is so, and keeps it, as an [`Album`] does.
    #[track_caller]
    pub(crate) fn wait(&self, title: &str, is_so: impl Fn(&RgbaImage) -> bool) -> RgbaImage {
        let kept = self.folder.join(format!("{title}.png"));
        wait_until(&format!("the picture shows `{title}`: see {}", kept.display()), LONG, || {
            let picture = image::open(&self.picture).ok()?.to_rgba8();
            picture.save(&kept).unwrap();
            is_so(&picture).then_some(picture)
        })
    }
}

/// The folder of the pictures of one test.
fn emptied(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Those of an earlier run would be taken for this one's.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    eprintln!("pictures of this test: {}", folder.display());
    folder
}

/// Waits until the furnished place is made and each of these clients has loaded what it shows of it: what comes later would
/// look as if something had changed.
pub(crate) fn settled_in(server: &Peer, clients: &[&Peer]) {
    let place = named(server, "place");
    wait_until("the place is ready", LONG, || server.log(&place).contains("ready").then_some(()));
    for client in clients {
        wait_until("all that is shown is loaded", LONG, || {
            let assets = client.ok(&["list-assets"]);
            let is_on_its_way = ["fetching", "decoding"].iter().any(|state| assets.contains(state));
            (assets.contains("ready") && !is_on_its_way).then_some(())
        });
    }
}
