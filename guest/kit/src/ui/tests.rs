// SPDX-License-Identifier: AGPL-3.0-or-later
//! Interfaces under hands: what is pressed, dragged and typed says the right things and shows them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod visitors;

use super::*;
use crate::*;
use hearth_sdk::{
    abi::{
        input,
        input::{Event, Press, key},
        pointer,
        pointer::Kind,
        scene::{Face, Op},
    },
    prelude::LumpId,
    testing,
};

/// What is in the scene.
#[derive(Default)]
struct World(BTreeMap<EntityId, Vec<Component>>);

impl World {
    /// Takes what has changed, and tells how many batches it was.
    fn update(&mut self) -> usize {
        let batches = testing::batches();
        for op in batches.iter().flatten() {
            match op {
                Op::Create(id, _) => drop(self.0.insert(*id, Vec::new())),
                Op::Remove(id) => drop(self.0.remove(id)),
                Op::Set(id, component) => {
                    let all = self.0.get_mut(id).expect("it was made");
                    all.retain(|old| old.kind() != component.kind());
                    all.push(component.clone());
                }
                Op::Unset(id, kind) => {
                    self.0.get_mut(id).expect("it was made").retain(|old| old.kind() != *kind)
                }
                _ => {}
            }
        }
        batches.len()
    }

    fn texts(&self) -> Vec<String> {
        let text = |component: &Component| match component {
            Component::Text(text) => Some(text.text.clone()),
            _ => None,
        };
        self.0.values().flatten().filter_map(text).collect()
    }

    fn shows(&self, wanted: &str) -> bool {
        self.texts().iter().any(|text| text == wanted)
    }

    fn colors(&self) -> Vec<Color> {
        let color = |component: &Component| match component {
            Component::Material(material) => {
                Some([material.base_color[0], material.base_color[1], material.base_color[2]])
            }
            _ => None,
        };
        self.0.values().flatten().filter_map(color).collect()
    }

    fn has(&self, color: Color) -> bool {
        self.colors().contains(&color)
    }
}

/// The user of the peer that the interface is on, and another.
const ADA: u32 = 1;
const BOB: u32 = 3;

/// An interface at the origin, and what is seen of it.
struct Bench<M> {
    ui: Ui<M>,
    world: World,
}

impl<M: Clone + PartialEq + std::fmt::Debug + 'static> Bench<M> {
    fn new(content: impl IntoNode<M>) -> Bench<M> {
        testing::batches();
        let ui = Ui::new(Place::at(Vec3::ZERO, Quat::IDENTITY), Theme::dusk(), content).unwrap();
        let mut world = World::default();
        assert_eq!(world.update(), 2, "the root, and all the rest");
        Bench { ui, world }
    }

    fn rect<W>(&self, handle: Handle<W>) -> Rect {
        self.ui.forest.slots[&self.ui.key_of(handle).unwrap()].rect.expect("it is in view")
    }

    fn settle(&mut self) -> usize {
        self.ui.settle().unwrap();
        self.world.update()
    }

    fn event(&self, user: u32, kind: Kind, [x, y]: [f32; 2]) -> pointer::Event {
        let [w, h] = self.ui.size;
        let mut event = testing::pointer_event(kind, self.ui.root);
        event.user = PeerId::new(user).unwrap();
        (event.from, event.way) = ([x - w * 0.5, h * 0.5 - y, 2.0], [0.0, 0.0, -1.0]);
        event
    }

    fn does(&mut self, user: u32, kind: Kind, at: [f32; 2]) {
        let event = self.event(user, kind, at);
        self.ui.pointer(&event);
        self.settle();
    }

    fn click(&mut self, at: [f32; 2]) {
        for kind in [Kind::Move, Kind::Press, Kind::Release, Kind::Click] {
            self.does(ADA, kind, at);
        }
    }

    fn wheel(&mut self, at: [f32; 2], up: f32) {
        let mut event = self.event(ADA, Kind::Wheel, at);
        event.wheel = [0.0, up];
        self.ui.pointer(&event);
        self.settle();
    }

    fn key(&mut self, code: u16) {
        for press in [Press::Pressed, Press::Released] {
            self.ui.input(&Event::Key { code, press });
        }
        self.settle();
    }

    fn with_held(&mut self, held: u16, code: u16) {
        self.ui.input(&Event::Key { code: held, press: Press::Pressed });
        self.key(code);
        self.ui.input(&Event::Key { code: held, press: Press::Released });
    }

    fn types(&mut self, text: &str) {
        self.ui.input(&Event::Text(text.into()));
        self.settle();
    }

    fn said(&mut self) -> Vec<M> {
        self.ui.said.drain(..).map(|said| said.message).collect()
    }
}

const TAB: u16 = 0x2B;

#[test]
fn a_button_is_lit_pressed_and_let_go() {
    let ring = Handle::new();
    let mut bench = Bench::new(col![label("door"), button("ring", 7).handle(ring)].panel());
    assert!(bench.world.shows("door") && bench.world.shows("ring"));
    let theme = Theme::dusk();
    let middle = bench.rect(ring).middle();
    let plain = theme.raised;
    let [hover, down] = [theme.hover, theme.press].map(|part| theme::mixed(plain, theme.ink, part));
    assert!(bench.world.has(plain));
    bench.does(ADA, Kind::Move, middle);
    assert!(bench.world.has(hover) && !bench.world.has(plain));
    bench.does(ADA, Kind::Press, middle);
    assert!(bench.world.has(down));
    assert!(bench.said().is_empty(), "not before it is let go");
    bench.does(ADA, Kind::Release, middle);
    assert_eq!(bench.ui.said.pop_front(), Some(Said { message: 7, user: PeerId::new(ADA).unwrap() }));
    // Let go beside it: nothing.
    bench.does(ADA, Kind::Press, middle);
    bench.does(ADA, Kind::Move, [0.0, 0.0]);
    assert!(!bench.world.has(down));
    bench.does(ADA, Kind::Release, [0.0, 0.0]);
    bench.does(ADA, Kind::Out, [0.0, 0.0]);
    assert!(bench.said().is_empty() && bench.world.has(plain));
    assert!(bench.ui.hands.is_empty(), "who is gone is forgotten");
    // Disabled it does nothing, and looks so.
    bench.ui.enable(ring, false).unwrap();
    bench.click(middle);
    assert!(bench.said().is_empty() && !bench.world.has(plain));
}

#[test]
fn only_what_changes_is_sent() {
    let handle = Handle::new();
    let mut bench = Bench::new(col![label("a").handle(handle), label("b"), button("c", ())].panel());
    assert_eq!(bench.settle(), 0);
    bench.ui.edit(handle, |label| label.set("z")).unwrap();
    bench.ui.settle().unwrap();
    let batches = testing::batches();
    assert!(
        matches!(&batches[..], [ops] if matches!(&ops[..], [Op::Set(_, Component::Text(_))])),
        "{batches:?}"
    );
    bench.ui.edit(handle, |label| label.set("z")).unwrap();
    assert_eq!(bench.settle(), 0);
    assert_eq!(bench.ui.get(handle).unwrap().text(), "z");
    assert_eq!(bench.ui.edit(Handle::<Label>::new(), |_| ()), Err(KitError::NotFound));
}

#[test]
fn a_ring_changes_nothing_but_itself() {
    let (a, b, c, d) = (Handle::new(), Handle::new(), Handle::new(), Handle::new());
    let mut bench = Bench::new(col![
        button("a", ()).handle(a),
        field("text").on_change(|_| ()).handle(b),
        list(["x", "y"], 2, |_| ()).handle(c),
        slider(0.0..=1.0, 0.5, |_| ()).handle(d),
    ]);
    bench.ui.input(&Event::Focus(true));
    bench.settle();
    let mut changes = |focus: &dyn Fn(&mut Ui<()>)| {
        focus(&mut bench.ui);
        bench.ui.settle().unwrap();
        let ops = testing::batches().concat();
        ops.iter().filter(|op| !matches!(op, Op::SetParent(..))).count()
    };
    // A ring is made: it, its place, shape and material; the one before is removed; a field has a caret too, and both
    // take keys.
    assert_eq!(changes(&|ui| ui.focus(a).unwrap()), 4);
    assert_eq!(changes(&|ui| ui.focus(b).unwrap()), 11);
    assert_eq!(changes(&|ui| ui.focus(c).unwrap()), 6);
    assert_eq!(changes(&|ui| ui.focus(d).unwrap()), 5);
    assert_eq!(changes(&|ui| ui.blur()), 1);
}

#[test]
fn a_slider_is_dragged_beyond_its_end_and_held_by_one() {
    let handle = Handle::new();
    let mut bench = Bench::new(slider(0.0..=10.0, 5.0, |value| value).step(1.0).handle(handle).width(0.4));
    let rect = bench.rect(handle);
    let middle = rect.middle();
    bench.does(ADA, Kind::Press, middle);
    bench.does(ADA, Kind::Move, [rect.x + rect.w * 0.75, middle[1]]);
    assert_eq!(bench.said(), [8.0]);
    // Another hand does nothing meanwhile, and may hold it once the first has let go.
    bench.does(BOB, Kind::Press, [rect.x, middle[1]]);
    bench.does(BOB, Kind::Move, [rect.x, middle[1]]);
    assert!(bench.said().is_empty());
    bench.does(ADA, Kind::Move, [rect.x + 9.0, middle[1] + 3.0]);
    bench.does(ADA, Kind::Release, [rect.x + 9.0, middle[1] + 3.0]);
    assert_eq!(bench.said(), [10.0]);
    bench.does(BOB, Kind::Press, [rect.x, middle[1]]);
    assert_eq!(bench.said(), [0.0]);
    assert_eq!(bench.ui.get(handle).unwrap().value(), 0.0);
    bench.does(BOB, Kind::Release, [rect.x, middle[1]]);
    bench.key(key::RIGHT);
    bench.key(0x4B);
    bench.key(0x4D);
    assert_eq!(bench.said(), [1.0, 10.0]);
}

#[test]
fn numbers_that_are_none_do_no_harm() {
    let mut slider: Slider<()> = slider(f32::NAN..=f32::INFINITY, f32::NAN, |_| ()).step(f32::NAN);
    slider.set(f32::NEG_INFINITY);
    assert_eq!(slider.value(), 0.0);
    assert_eq!(progress(f32::NAN).part(), Some(0.0));
    let mut bench: Bench<()> =
        Bench::new(col![progress(7.0), space(f32::NAN), label("x").width(f32::INFINITY)]);
    let mut event = bench.event(ADA, Kind::Press, [0.0; 2]);
    event.way = [0.0; 3];
    bench.ui.pointer(&event);
    assert!(bench.ui.size.iter().all(|side| side.is_finite()));
}

#[test]
fn tab_goes_through_all_and_arrows_help() {
    let (a, b, c, d) = (Handle::new(), Handle::new(), Handle::new(), Handle::new());
    let mut bench = Bench::new(col![
        button("a", "a").handle(a),
        button("b", "b").handle(b).disabled(),
        row![toggle("c", false, |on| if on { "on" } else { "off" }).handle(c), button("d", "d").handle(d)],
    ]);
    // Nobody points at it: keys are not for it.
    bench.key(TAB);
    bench.key(key::ENTER);
    assert!(!bench.ui.is_focused() && bench.said().is_empty());
    bench.ui.focus(a).unwrap();
    bench.settle();
    assert!(bench.world.has(Theme::dusk().focus), "a ring is seen");
    bench.key(key::ENTER);
    bench.key(TAB);
    bench.key(key::SPACE);
    bench.key(key::LEFT);
    bench.key(TAB);
    bench.key(key::ENTER);
    bench.key(TAB);
    bench.key(key::SPACE);
    bench.with_held(key::LEFT_SHIFT, TAB);
    bench.key(key::ENTER);
    bench.key(key::UP);
    bench.key(key::UP);
    bench.key(key::ENTER);
    assert_eq!(bench.said(), ["a", "on", "off", "d", "a", "d", "a"]);
    bench.key(key::ESCAPE);
    assert!(!bench.ui.is_focused() && !bench.world.has(Theme::dusk().focus));
    bench.key(key::ENTER);
    assert!(bench.said().is_empty());
    assert_eq!(bench.ui.focus(b), Err(KitError::NotFound));
    // With the pointer on it Tab begins; whose keys these are is this peer.
    let me = hearth_sdk::peer().number();
    bench.does(me, Kind::Move, [0.01, 0.01]);
    bench.key(TAB);
    bench.key(key::ENTER);
    assert_eq!(bench.ui.said.pop_front().map(|said| said.user), Some(hearth_sdk::peer()));
    bench.ui.remove(a).unwrap();
    assert!(!bench.ui.is_focused());
}

#[test]
fn a_theme_is_exchanged_at_once() {
    let mut bench = Bench::new(col![title("lamp"), button("on", ())].panel());
    let size = bench.ui.size();
    assert!(bench.world.has(Theme::dusk().ground) && !bench.world.has(Theme::paper().ground));
    bench.ui.set_theme(Theme::paper());
    assert_eq!(bench.settle(), 1);
    assert!(!bench.world.has(Theme::dusk().ground) && bench.world.has(Theme::paper().ground));
    assert_eq!(bench.ui.size(), size);
    bench.ui.set_theme(Theme::paper().scaled(2.0));
    bench.settle();
    assert!((bench.ui.size()[0] / size[0] - 2.0).abs() < 1e-3);
}

#[test]
fn a_theme_brings_its_letters() {
    let lamp = Handle::new();
    let content = col![title("lamp"), label("by the wall").handle(lamp), field("Ada")];
    let mut bench: Bench<u32> = Bench::new(content.panel());
    let faces = |bench: &Bench<u32>| -> Vec<(String, Face)> {
        let text = |component: &Component| match component {
            Component::Text(text) => Some((text.text.clone(), text.face)),
            _ => None,
        };
        bench.world.0.values().flatten().filter_map(text).collect()
    };
    let wide = bench.ui.size()[0];
    assert!(faces(&bench).contains(&("lamp".into(), Face::Sans)));
    let own = Face::Lump(LumpId([7; 32]));
    bench.ui.set_theme(Theme::dusk().in_face(own, 1.5));
    assert_eq!(bench.settle(), 1, "all changes at once");
    // Fields keep theirs, in which a caret stands where it is drawn.
    for (text, face) in faces(&bench) {
        assert_eq!(face, if text == "Ada" { Face::Mono } else { own }, "{text}");
    }
    assert!(bench.ui.size()[0] >= wide);
    // What comes later is written in it too.
    bench.ui.edit(lamp, |lamp| lamp.set("by the door")).unwrap();
    bench.settle();
    assert!(faces(&bench).contains(&("by the door".into(), own)));
    bench.ui.set_theme(Theme::dusk());
    bench.settle();
    assert!(faces(&bench).contains(&("by the door".into(), Face::Sans)));
}

#[test]
fn rows_scroll_by_wheel_bar_and_keys() {
    let (area, last) = (Handle::new(), Handle::new());
    let mut rows: Vec<Node<u32>> = (0..19).map(|n| button(format!("row {n}"), n).into_node()).collect();
    rows.push(button("row 19", 19).handle(last));
    let mut bench = Bench::new(col![scroll(rows).handle(area).height(0.3)].panel().width(0.5));
    let shown = |bench: &Bench<u32>| bench.world.texts().len();
    let count = shown(&bench);
    assert!((3..8).contains(&count) && bench.world.shows("row 0"), "{:?}", bench.world.texts());
    let rect = bench.rect(area);
    bench.wheel(rect.middle(), -2.0);
    assert!(!bench.world.shows("row 1") && bench.world.shows("row 2"));
    assert_eq!(shown(&bench), count);
    bench.click([rect.middle()[0], rect.y + 0.03]);
    assert_eq!(bench.said(), [2], "what is seen is what is pressed");
    // The bar, to its end and back.
    let end = [rect.right() - 0.01, rect.bottom() - 0.015];
    bench.click(end);
    assert!(bench.world.shows("row 19"));
    bench.does(ADA, Kind::Press, end);
    bench.does(ADA, Kind::Move, [end[0], rect.y - 1.0]);
    bench.does(ADA, Kind::Release, [end[0], rect.y - 1.0]);
    assert!(bench.world.shows("row 0"));
    // What has the keyboard comes into view.
    bench.ui.focus(last).unwrap();
    bench.settle();
    assert!(bench.world.shows("row 19"));
    bench.key(0x4A);
    assert!(bench.world.shows("row 0"));
    bench.wheel(rect.middle(), f32::MIN);
    bench.ui.clear(area).unwrap();
    bench.settle();
    assert_eq!(shown(&bench), 0);
    bench.ui.add(area, label("alone")).unwrap();
    bench.settle();
    assert!(bench.world.shows("alone"));
}

#[test]
fn a_list_is_chosen_from() {
    #[derive(Clone, Debug, PartialEq)]
    enum Does {
        Choose(usize),
        Pick(usize),
    }
    let handle = Handle::new();
    let lines = (0..50).map(|n| format!("line {n}"));
    let mut bench = Bench::new(list(lines, 4, Does::Choose).on_pick(Does::Pick).handle(handle));
    let rect = bench.rect(handle);
    let second = [rect.x + 0.05, rect.y + rect.h * 0.375];
    bench.click(second);
    assert_eq!(bench.said(), [Does::Choose(1)]);
    bench.click(second);
    assert_eq!(bench.said(), [Does::Pick(1)], "pressed twice");
    bench.wheel(second, -3.0);
    assert!(bench.world.shows("line 3") && !bench.world.shows("line 0"));
    bench.click(second);
    assert_eq!(bench.said(), [Does::Choose(4)]);
    for code in [key::DOWN, 0x4E, key::ENTER, 0x4D, key::DOWN, 0x4A] {
        bench.key(code);
    }
    let all = [Does::Choose(5), Does::Choose(9), Does::Pick(9), Does::Choose(49), Does::Choose(0)];
    assert_eq!(bench.said(), all);
    bench.ui.edit(handle, |list| list.set(["one"])).unwrap();
    bench.settle();
    assert!(bench.world.shows("one"));
    assert_eq!(bench.ui.get(handle).unwrap().chosen(), Some(0));
    assert_eq!(bench.world.texts().len(), 1);
}

#[test]
fn a_menu_opens_and_closes() {
    let handle = Handle::new();
    let content = col![menu(["tea", "coffee", "milk"], 0, |n| n).handle(handle), label("below").grow()];
    let mut bench = Bench::new(content.panel().width(0.5));
    let rect = bench.rect(handle);
    assert!(bench.world.shows("tea") && !bench.world.shows("milk"));
    bench.click(rect.middle());
    assert!(bench.world.shows("milk"));
    let over = bench.ui.overs()[0].1;
    assert!(over.y >= rect.bottom());
    // It stands over what is below it.
    let milk = [over.x + 0.05, over.bottom() - 0.02];
    bench.does(ADA, Kind::Move, milk);
    assert!(bench.world.has(Theme::dusk().accent), "the line under the pointer is lit");
    bench.click(milk);
    assert_eq!(bench.said(), [2]);
    assert!(!bench.world.shows("coffee") && bench.world.shows("milk"));
    // Closed by a press elsewhere, by Escape, and by nobody being there.
    bench.click(rect.middle());
    bench.click([0.01, 0.01]);
    assert!(!bench.world.shows("coffee"));
    bench.ui.focus(handle).unwrap();
    bench.key(key::DOWN);
    assert!(bench.world.shows("coffee"));
    bench.key(key::ESCAPE);
    assert!(!bench.world.shows("coffee") && bench.ui.is_focused());
    bench.key(key::ENTER);
    bench.key(key::UP);
    bench.key(key::ENTER);
    assert_eq!(bench.said(), [1]);
    bench.key(key::ENTER);
    bench.ui.input(&Event::Button { button: 0, press: Press::Pressed, at: [0.0; 2] });
    bench.settle();
    assert!(!bench.world.shows("milk"), "a press into the space closes it");
}

#[test]
fn what_is_forgotten_closes() {
    let run = async {
        let handle = Handle::new();
        let mut ui = Ui::new(
            Place::at(Vec3::ZERO, Quat::IDENTITY),
            Theme::dusk(),
            menu(["a"], 0, |_| ()).handle(handle),
        )?;
        ui.edit(handle, |_| ())?;
        let mut press = testing::pointer_event(Kind::Press, ui.root());
        (press.from, press.way) = ([0.0, 0.0, 2.0], [0.0, 0.0, -1.0]);
        testing::pointer(&press);
        assert_eq!(race(ui.next(), sleep(Duration::from_secs(19))).await, hearth_sdk::Either::Right(()));
        assert!(ui.get(handle)?.is_open());
        race(ui.next(), sleep(Duration::from_secs(2))).await;
        assert!(!ui.get(handle)?.is_open());
        Ok::<(), KitError>(())
    };
    assert_eq!(testing::run_for(run, Duration::from_secs(60)), Some(Ok(())));
}

#[derive(Clone, Debug, PartialEq)]
enum Typed {
    Changed(String),
    Entered(String),
}

fn typed(texts: &[&str]) -> Vec<Typed> {
    texts.iter().map(|text| Typed::Changed((*text).into())).collect()
}

#[test]
fn a_field_is_typed_into() {
    let handle = Handle::new();
    let name =
        field("").placeholder("name").on_change(Typed::Changed).on_enter(Typed::Entered).handle(handle);
    let mut bench = Bench::new(col![name].width(0.5));
    assert!(bench.world.shows("name"));
    bench.ui.input(&Event::Focus(true));
    bench.click(bench.rect(handle).middle());
    assert!(bench.world.shows("name") && bench.world.has(Theme::dusk().focus), "empty, with a caret");
    for text in ["L", "ü", " ", "\r", "👩‍👧"] {
        bench.types(text);
    }
    assert_eq!(bench.said(), typed(&["L", "Lü", "Lü ", "Lü 👩‍👧"]));
    bench.key(0x2A);
    bench.key(0x2A);
    bench.key(key::LEFT);
    bench.types("a");
    assert_eq!(bench.said(), typed(&["Lü ", "Lü", "Laü"]));
    bench.key(key::ENTER);
    assert_eq!(bench.said(), [Typed::Entered("Laü".into())]);
    assert!(bench.world.shows("Laü"));
    // Marked with Shift, copied, cut.
    bench.with_held(key::LEFT_SHIFT, 0x4A);
    assert_eq!(bench.ui.get(handle).unwrap().selected(), "La");
    bench.with_held(key::LEFT_CONTROL, key::C);
    assert_eq!(testing::clipboard(), "La");
    bench.with_held(key::LEFT_CONTROL, key::X);
    assert_eq!(bench.said(), typed(&["ü"]));
    // Ctrl with a letter writes nothing.
    bench.ui.input(&Event::Key { code: key::LEFT_CONTROL, press: Press::Pressed });
    bench.types("q");
    bench.ui.input(&Event::Focus(false));
    assert!(bench.said().is_empty());
    bench.with_held(key::LEFT_CONTROL, key::A);
    bench.types("new");
    assert_eq!(bench.said(), typed(&["new"]));
}

#[test]
fn a_secret_is_neither_shown_nor_copied() {
    let handle = Handle::new();
    let password = field("").secret().on_change(Typed::Changed).on_enter(Typed::Entered).handle(handle);
    let mut bench = Bench::new(col![password].width(0.5));
    bench.ui.input(&Event::Focus(true));
    bench.click(bench.rect(handle).middle());
    bench.types("two wö");
    assert_eq!(bench.said(), typed(&["two wö"]));
    assert!(bench.world.shows("••••••") && !bench.world.texts().concat().contains('w'));
    bench.with_held(key::LEFT_CONTROL, key::A);
    bench.with_held(key::LEFT_CONTROL, key::C);
    assert_eq!(testing::clipboard(), "");
    // Where its words end is not told either.
    bench.key(0x4D);
    bench.with_held(key::LEFT_CONTROL, key::LEFT);
    bench.types("a ");
    assert_eq!(bench.said(), typed(&["a two wö"]));
    bench.with_held(key::LEFT_CONTROL, key::A);
    bench.with_held(key::LEFT_CONTROL, key::X);
    assert_eq!((bench.said(), testing::clipboard()), (typed(&[""]), String::new()));
}

#[test]
fn a_field_is_marked_with_the_pointer_and_scrolls() {
    let handle = Handle::new();
    let text = "the old lamp above the hearth of the house";
    let mut bench: Bench<Typed> = Bench::new(col![field(text).handle(handle)].width(0.25));
    bench.ui.input(&Event::Focus(true));
    let rect = bench.rect(handle);
    let theme = Theme::dusk();
    let cell = theme.text * 0.92 * measure::CELL;
    let letter = |n: f32| [rect.x + theme.gap * 0.6 + n * cell, rect.middle()[1]];
    // It shows its end, where the caret is.
    assert!(bench.world.texts()[0].ends_with("house"));
    bench.click(letter(0.1));
    bench.key(0x4A);
    assert!(bench.world.texts()[0].starts_with("the old lamp"));
    bench.does(ADA, Kind::Press, letter(4.1));
    bench.does(ADA, Kind::Move, letter(6.9));
    bench.does(ADA, Kind::Release, letter(6.9));
    assert_eq!(bench.ui.get(handle).unwrap().selected(), "old");
    bench.click([letter(9.5)[0], rect.y + 0.001]);
    bench.click([letter(9.5)[0], rect.y + 0.001]);
    assert_eq!(bench.ui.get(handle).unwrap().selected(), "lamp");
    bench.click([letter(9.5)[0], rect.y + 0.001]);
    assert_eq!(bench.ui.get(handle).unwrap().selected(), text);
    // A blank at its begin, and wide letters.
    bench.types("  漢字漢字漢字漢字漢字");
    bench.key(key::LEFT);
    let shown = bench.world.texts()[0].chars().count();
    assert!((5..12).contains(&shown), "{:?}", bench.world.texts());
}

#[test]
fn a_field_without_a_keyboard_shows_keys() {
    let handle = Handle::new();
    let name = field("").on_change(Typed::Changed).on_enter(Typed::Entered).handle(handle);
    let mut bench = Bench::new(col![name, label("below")].width(0.5));
    bench.click(bench.rect(handle).middle());
    assert!(bench.world.shows("q") && bench.world.shows("Shift"));
    let panel = bench.ui.overs()[0].1.inset(Theme::dusk().gap);
    let (column, row) = (panel.w / 10.0, panel.h / 5.0);
    let mut tap = |column_at: f32, row_at: f32| {
        bench.click([panel.x + column * column_at, panel.y + row * (row_at + 0.5)]);
        bench.said()
    };
    assert_eq!(tap(0.5, 4.0), [], "Shift");
    assert_eq!(tap(1.5, 1.0), typed(&["W"]));
    assert_eq!(tap(2.5, 1.0), typed(&["We"]));
    assert_eq!(tap(4.0, 4.0), typed(&["We "]));
    assert_eq!(tap(9.5, 3.0), typed(&["We"]));
    assert_eq!(tap(2.0, 4.0), [], "signs");
    assert_eq!(tap(2.5, 2.0), typed(&["Weü"]));
    assert_eq!(tap(9.0, 4.0), [Typed::Entered("Weü".into())]);
    bench.settle();
    assert!(!bench.world.shows("Shift"), "they go with Enter");
    bench.click(bench.rect(handle).middle());
    assert!(bench.world.shows("Shift"));
    bench.click([0.25, bench.ui.size()[1] + 2.0]);
    assert!(!bench.world.shows("Shift"), "and by a press elsewhere");
}

#[test]
fn what_is_on_the_clipboard_is_pasted() {
    let run = async {
        let handle = Handle::new();
        let content = field("ab").on_change(|text| text).handle(handle);
        let mut ui = Ui::new(Place::at(Vec3::ZERO, Quat::IDENTITY), Theme::dusk(), content)?;
        ui.input(&Event::Focus(true));
        ui.focus(handle)?;
        clipboard::write("x\ny")?;
        ui.input(&Event::Key { code: key::LEFT_CONTROL, press: Press::Pressed });
        ui.input(&Event::Key { code: 0x19, press: Press::Pressed });
        let said = ui.next().await?.message;
        Ok::<String, KitError>(said)
    };
    assert_eq!(testing::run_for(run, Duration::from_secs(9)), Some(Ok("abx y".into())));
}

#[test]
fn who_else_listens_to_the_keyboard_is_told() {
    let run = async {
        let handle = Handle::new();
        let mut ui = Ui::new(
            Place::at(Vec3::ZERO, Quat::IDENTITY),
            Theme::dusk(),
            field("").on_change(|_| ()).handle(handle),
        )?;
        hearth_sdk::process::register("avatar")?;
        ui.listen_to_keyboard()?;
        assert_eq!(testing::input_mask(), input::mask::KEYBOARD | input::mask::MOUSE);
        ui.focus(handle)?;
        race(ui.next(), sleep(Duration::from_millis(2500))).await;
        ui.blur();
        let mut told = Vec::new();
        // The test is the avatar.
        while let Ok(message) =
            hearth_sdk::timeout(Duration::from_secs(9), hearth_sdk::recv::<BTreeMap<String, u64>>()).await
        {
            told.push(message.body["typing"]);
        }
        Ok::<Vec<u64>, KitError>(told)
    };
    let told = testing::run_for(run, Duration::from_secs(60));
    assert_eq!(told, Some(Ok(vec![2500, 2500, 2500, 0])));
}

#[test]
fn a_colour_is_picked() {
    let handle = Handle::new();
    let red = hearth_sdk::scene::srgb(0xff0000);
    let mut bench = Bench::new(col![picker(red, web_color).handle(handle)]);
    bench.ui.input(&Event::Focus(true));
    assert!(bench.world.shows("#ff0000"));
    let rect = bench.rect(handle);
    // The square's left upper corner is white, its lower edge black; the strip's middle is cyan.
    bench.click([rect.x, rect.y]);
    assert_eq!(bench.said(), ["#ffffff"]);
    bench.does(ADA, Kind::Press, [rect.x + 0.1, rect.y + 0.1]);
    bench.does(ADA, Kind::Move, [rect.x + 9.0, rect.y - 9.0]);
    bench.does(ADA, Kind::Release, [rect.x + 9.0, rect.y - 9.0]);
    assert_eq!(bench.said().last().unwrap(), "#ff0000");
    bench.does(ADA, Kind::Press, [rect.right() - 0.01, rect.y + 0.001]);
    bench.does(ADA, Kind::Move, [rect.right() - 0.01, rect.y + 0.1]);
    bench.does(ADA, Kind::Release, [rect.right() - 0.01, rect.y + 0.1]);
    let said = bench.said();
    assert!(said.last().is_some_and(|color| color != "#ff0000" && color.contains("ff")), "{said:?}");
    // By Tab to the number, which is typed.
    bench.ui.focus(handle).unwrap();
    bench.key(TAB);
    bench.with_held(key::LEFT_CONTROL, key::A);
    for letter in ["#", "0", "0", "f"] {
        bench.types(letter);
    }
    assert_eq!(bench.said(), ["#0000ff"], "three digits are a colour");
    bench.key(TAB);
    bench.key(key::RIGHT);
    assert_eq!(bench.said(), ["#ffffff"], "the first swatch");
    bench.click([rect.x + 0.01, rect.bottom() - 0.015]);
    bench.click([rect.right() - 0.015, rect.bottom() - 0.015]);
    assert_eq!(bench.said(), ["#a060d0"]);
    bench.ui.edit(handle, |picker| picker.set([0.0; 3])).unwrap();
    bench.settle();
    assert!(bench.world.shows("#000000"));
}

#[test]
fn progress_runs_while_nobody_knows() {
    let run = async {
        let handle = Handle::new();
        let mut ui: Ui<()> =
            Ui::new(Place::at(Vec3::ZERO, Quat::IDENTITY), Theme::dusk(), progress(None).handle(handle))?;
        testing::batches();
        race(ui.next(), sleep(Duration::from_secs(2))).await;
        let batches = testing::batches();
        assert!((15..=21).contains(&batches.len()), "{}", batches.len());
        let moves = |op: &Op| matches!(op, Op::Set(_, Component::Transform(_)));
        assert!(batches.iter().flatten().all(moves), "only places change");
        ui.edit(handle, |progress| progress.set(0.5))?;
        race(ui.next(), sleep(Duration::from_secs(2))).await;
        assert_eq!(testing::batches().len(), 1);
        // Out of sight it stands still, and nothing of it is left.
        ui.edit(handle, |progress| progress.set(None))?;
        ui.show(handle, false)?;
        race(ui.next(), sleep(Duration::from_secs(2))).await;
        assert_eq!(testing::batches().len(), 1);
        Ok::<(), KitError>(())
    };
    assert_eq!(testing::run_for(run, Duration::from_secs(9)), Some(Ok(())));
}

#[test]
fn a_pointer_that_moves_does_not_stop_what_runs() {
    let run = async {
        let content = col![button("x", ()), progress(None)];
        let mut ui = Ui::new(Place::at(Vec3::ZERO, Quat::IDENTITY), Theme::dusk(), content)?;
        testing::batches();
        let root = ui.root();
        hearth_sdk::spawn_local(async move {
            for step in 0..40 {
                sleep(Duration::from_millis(30)).await;
                let mut event = testing::pointer_event(Kind::Move, root);
                (event.from, event.way) = ([0.001 * step as f32, 0.01, 2.0], [0.0, 0.0, -1.0]);
                testing::pointer(&event);
            }
        });
        race(ui.next(), sleep(Duration::from_millis(1205))).await;
        let ops = testing::batches();
        // Lit once, and what runs goes on; nothing else is sent.
        assert!((9..=16).contains(&ops.len()), "{}", ops.len());
        Ok::<(), KitError>(())
    };
    assert_eq!(testing::run_for(run, Duration::from_secs(9)), Some(Ok(())));
}

#[test]
fn notes_go_by_themselves_and_by_a_press() {
    let mut bench = Bench::new(col![label("x"), button("y", ())].panel());
    bench.ui.toast("first");
    bench.ui.toast("second");
    bench.settle();
    assert!(bench.world.shows("first") && bench.world.shows("second"));
    let below = [bench.ui.size()[0] * 0.5, bench.ui.size()[1] + Theme::dusk().gap * 1.5];
    bench.click(below);
    assert!(!bench.world.shows("second"));
    let Bench { mut ui, mut world } = bench;
    let run = async move {
        race(ui.next(), sleep(Duration::from_secs(5))).await;
        world.update();
        world.shows("first")
    };
    assert_eq!(testing::run_for(run, Duration::from_secs(9)), Some(false));
}

#[test]
fn an_interface_has_bounds() {
    let group = Handle::new();
    let mut bench: Bench<()> = Bench::new(col![label("x")].handle(group));
    let many = (0..NODES_MAX).map(|_| label("y").into_node()).collect();
    assert_eq!(bench.ui.add(group, column_of(many)), Err(KitError::TooMany { most: NODES_MAX }));
    let mut deep = col![label("z")];
    for _ in 0..DEPTH_MAX {
        deep = col![deep];
    }
    assert_eq!(bench.ui.add(group, deep), Err(KitError::TooDeep { most: DEPTH_MAX }));
    assert_eq!(bench.ui.forest.slots.len(), 2, "what was not taken leaves nothing");
    for user in 10..200 {
        bench.does(user, Kind::Move, [0.01, 0.01]);
    }
    assert_eq!(bench.ui.hands.len(), 64);
    let root = bench.ui.root;
    drop(bench);
    assert_eq!(testing::batches(), [[Op::Remove(root)]]);
}

#[test]
fn what_is_hidden_makes_room() {
    let handle = Handle::new();
    let mut bench: Bench<()> = Bench::new(col![label("a"), label("b").handle(handle)]);
    let high = bench.ui.size()[1];
    bench.ui.show(handle, false).unwrap();
    bench.settle();
    assert!(!bench.world.shows("b") && bench.ui.size()[1] < high);
    bench.ui.show(handle, true).unwrap();
    bench.settle();
    assert!(bench.world.shows("b") && bench.ui.size()[1] == high);
}
