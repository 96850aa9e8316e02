// SPDX-License-Identifier: AGPL-3.0-or-later
//! The terminals of other peers that are to be seen in the space. Their owner may have granted this user to type there;
//! if not, a line below says how they would.

use super::{
    board::{FRAME, Form, LINE, Part},
    ray::{Pose, Ray},
    shown::hint,
};
use hearth_sdk::{
    abi::{
        TerminalId,
        scene::{Component, TerminalView},
    },
    prelude::*,
    process::{peer, peer_name},
    terminal::{self, View},
};

/// Between two looks for what there is.
const LOOK: Duration = Duration::from_millis(250);
/// No more of them are looked at, those of the lowest ids first.
const OTHERS_MAX: usize = 256;

/// A terminal of another peer.
pub(super) struct Other {
    view: View,
    pub(super) pose: Pose,
    pub(super) form: Form,
    /// What goes wrong with it, and until when that is said.
    pub(super) note: Option<(String, Duration)>,
    /// The line below, and what is written there.
    sign: Option<(EntityId, String)>,
}

impl Other {
    fn new(view: View) -> Other {
        let [_, scale, _] = view.in_world.scale;
        let form = Form { columns: view.columns, rows: view.rows, cell: view.cell_height * scale };
        Other { view, pose: Pose::of(&view.in_world), form, note: None, sign: None }
    }

    pub(super) const fn terminal(&self) -> TerminalId {
        self.view.terminal
    }

    pub(super) const fn may_type(&self) -> bool {
        self.view.may_type
    }

    /// Where a ray meets its cells: metres to the right of its middle and up, what is there, and metres along the ray.
    pub(super) fn meets(&self, ray: &Ray) -> Option<([f32; 2], Part, f32)> {
        let (at, distance) = self.pose.meets(ray)?;
        let [width, height] = self.form.size();
        let is_within = at[0].abs() < width * 0.5 && at[1].abs() < height * 0.5;
        is_within.then(|| (at, Part::Grid(self.form.cells(at)), distance))
    }

    /// Who has it, and how they let this user type there.
    pub(super) fn how_to_type(&self) -> String {
        let owner = peer_name(self.terminal().peer()).unwrap_or_else(|| "its owner".into());
        let me = peer_name(peer()).unwrap_or_else(|| peer().to_string());
        format!("{owner} has not let you type here yet: `hearth-ctl grant {me} terminal` does")
    }

    /// Shows a line below it to this user; an empty one takes it away.
    pub(super) fn say(&mut self, line: String) {
        match &self.sign {
            Some((_, shown)) if *shown == line => return,
            None if line.is_empty() => return,
            _ => {}
        }
        if let Some((sign, _)) = self.sign.take()
            && let Err(error) = scene::remove(sign)
        {
            // It went with what it hung under.
            debug!("a sign is gone: {error}");
        }
        if line.is_empty() {
            return;
        }
        let cell = self.view.cell_height;
        let [_, height] = TerminalView::size(cell, self.view.columns, self.view.rows);
        let text = Component::Text(Box::new(hint(&line, cell)));
        let sign = Entity::new().local().name("hint").parent(self.view.entity);
        match sign.at(0.0, -height * 0.5 - (FRAME + LINE) * cell, 0.006).with(text).spawn() {
            Ok(sign) => self.sign = Some((sign, line)),
            Err(error) => debug!("a sign below another's terminal: {error}"),
        }
    }
}

/// Those that there are.
#[derive(Default)]
pub(super) struct Others {
    all: Vec<Other>,
    looked: Option<Duration>,
}

impl Others {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Other> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Other> {
        self.all.iter_mut()
    }

    pub(super) fn get(&self, terminal: TerminalId) -> Option<&Other> {
        self.all.iter().find(|other| other.terminal() == terminal)
    }

    pub(super) fn get_mut(&mut self, terminal: TerminalId) -> Option<&mut Other> {
        self.all.iter_mut().find(|other| other.terminal() == terminal)
    }

    /// Looks what there is, now and then. Gives back those that are new.
    pub(super) fn look(&mut self, now: Duration) -> Vec<TerminalId> {
        if self.looked.is_some_and(|then| now < then + LOOK) {
            return Vec::new();
        }
        self.looked = Some(now);
        let me = peer();
        let is_other = |view: &View| view.terminal.peer() != me && view.columns > 0;
        let mut before = std::mem::take(&mut self.all);
        let mut new = Vec::new();
        for view in terminal::views().into_iter().filter(is_other).take(OTHERS_MAX) {
            let known = before.iter().position(|other| other.view.entity == view.entity);
            let mut other = Other::new(view);
            match known.map(|at| before.swap_remove(at)) {
                Some(known) if known.terminal() == view.terminal => {
                    (other.note, other.sign) = (known.note, known.sign);
                }
                Some(mut replaced) => {
                    replaced.say(String::new());
                    new.push(view.terminal);
                }
                None => new.push(view.terminal),
            }
            self.all.push(other);
        }
        new
    }
}
