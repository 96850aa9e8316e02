// SPDX-License-Identifier: AGPL-3.0-or-later
//! Which terminals there are to see in the space, for whoever wants to point at one.

use crate::node::Inner;
use hearth_abi::{EntityId, terminal::View};

impl Inner {
    /// The entities that show terminals, in order of id from behind `after` on, `count` at most.
    pub(crate) fn terminal_views(&self, after: EntityId, count: usize) -> Vec<View> {
        let shown = self.world.terminals_shown(after, count);
        let view = shown.into_iter().map(|(entity, view, in_world)| {
            let terminal = view.terminal;
            let is_own = terminal.peer() == self.me;
            let screen = match is_own {
                true => self.terminals.get(terminal).map(|terminal| terminal.screen()),
                false => self.screens.get(terminal),
            };
            let (columns, rows) = screen.map_or((0, 0), |screen| (screen.columns(), screen.rows()));
            let may_type = match is_own {
                true => columns > 0,
                false => self.may_type(terminal).is_ok(),
            };
            View { entity, terminal, columns, rows, may_type, cell_height: view.cell_height, in_world }
        });
        view.collect()
    }
}
