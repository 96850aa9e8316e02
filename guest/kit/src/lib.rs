// SPDX-License-Identifier: AGPL-3.0-or-later
//! Interfaces for scripts of a Hearth space: panels, buttons, sliders, fields and more, made of the same entities and
//! components as anything else.
//!
//! An interface is a tree of widgets, put together by [`row!`] and [`col!`] and given to a [`Ui`], which shows it in the
//! space or fixed to the view, keeps its state, and tells by [`Ui::next`] what was done. Of what changes only the
//! difference is sent, as one batch.
//!
//! ```
//! use hearth_kit::*;
//! use hearth_sdk::prelude::*;
//!
//! hearth_sdk::main!(run);
//!
//! async fn run() -> Result<(), Error> {
//!     let place = Place::at(vec3(0.0, 1.5, 0.0), Quat::IDENTITY);
//!     let content = col![title("Doorbell"), button("ring", "ring").main()].panel();
//!     let mut ui = Ui::new(place, Theme::dusk(), content)?;
//!     loop {
//!         let said = ui.next().await?;
//!         ui.toast(format!("peer {} is at the door", said.user));
//!     }
//! }
//! # hearth_sdk::testing::run_for(run(), Duration::from_secs(1));
//! # assert_eq!(hearth_sdk::testing::batches().len(), 3);
//! ```
//!
//! Lengths are metres, colours linear. A script on the server has no keyboard: there a [`Field`] shows keys that anybody
//! presses. On a client [`Ui::listen_to_keyboard`] has Tab, arrows, Enter, Space and Escape do what they do elsewhere.
//!
//! It must depend on nothing but the SDK and pure libraries: it is compiled into scripts.

mod color;
mod edit;
mod error;
mod layout;
pub mod measure;
mod paint;
mod place;
mod shown;
mod theme;
mod toast;
mod ui;
mod widget;

pub use color::{Hsv, color_of, web_color};
pub use edit::{LEN_MAX, Line, Step};
pub use error::KitError;
pub use layout::{Cross, Flow, Length, Rect, Window};
pub use paint::{Letters, Paint};
pub use place::{Place, eye};
pub use theme::{Color, Theme, contrast};
pub use toast::TOASTS_MAX;
pub use ui::{DEPTH_MAX, NODES_MAX, Said, Ui};
pub use widget::{
    At, Deed, Focus, Handle, IntoNode, Key, Look, Node, Stroke, Touch, Widget, With,
    button::{Button, Toggle, button, toggle},
    field::{Field, field},
    group::{Group, column_of, row_of, scroll},
    label::{Label, Paragraph, Space, hint, label, paragraph, space, title},
    list::{LINES_MAX, List, list},
    menu::{Menu, menu},
    picker::{Picker, picker},
    progress::{Progress, progress},
    slider::{Slider, slider},
};

/// The examples of the guide, run as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide/interface.md")]
    mod interface {}
}
