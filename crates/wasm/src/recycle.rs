// SPDX-License-Identifier: AGPL-3.0-or-later
//! Instances that are used again.
//!
//! To make an instance costs some microseconds, most of them in the system: a memory is mapped page by page as it is
//! touched, and unmapped. So when a guest has ended, its instance is kept, and the next process of the same module
//! gets it, after all that the guest can have changed is as it was in the beginning:
//!
//! - **Memory**: each page that was ever touched has the content of a new instance again. Which were is
//!   asked of the system (`slab`), for several instances at a time. One whose memory has grown, as that of most with an
//!   allocator has, is made as small again as it was.
//! - **Globals**: those that can change are exported, by names that the module does not use ([`prepare`]), and set.
//! - **Tables and segments**: a module with an instruction that changes them is not recycled. Neither is one with a
//!   start function, which would have to run again.
//!
//! What a module has that this file does not know of keeps it from being recycled, never the other way round.
#![expect(clippy::vec_box, reason = "from its turn to here and back an instance is moved as a pointer")]

use crate::{engine::Inner, host::Guest, program::Live, slab::Memories, touched::Touched};
use hearth_process::Context;
use parking_lot::Mutex;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, OnceLock},
};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Operator, Parser, Payload, ValType};
use wasmtime::{Global, Instance, Memory, Store, Val};

/// Most globals that are set again.
const GLOBALS_MAX: usize = 64;
/// Most bytes of memory of an instance that is kept, touched or not.
const MEMORY_MAX: usize = 2 << 20;
/// Most pages of an instance that is kept, which hold memory while it waits.
const PAGES_MAX: usize = 32;

/// What a module must have to be recycled: the globals that can change, by the names that they are exported by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recipe {
    globals: Vec<String>,
}

/// The module with its changing globals exported, and how instances of it are recycled; `None` if they are not. The
/// bytes are of a module that the engine accepts, or they are no module: then they are left as they are.
pub(crate) fn prepare(bytes: &[u8]) -> (Cow<'_, [u8]>, Option<Recipe>) {
    match rewrite(bytes) {
        Some((bytes, recipe)) => (bytes, Some(recipe)),
        None => (Cow::Borrowed(bytes), None),
    }
}

fn rewrite(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, Recipe)> {
    let mut changing: Vec<u32> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut exports = ExportSection::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::StartSection { .. } => return None,
            // The contract has no globals to import, so those defined are all.
            Payload::GlobalSection(globals) => {
                for (index, global) in globals.into_iter().enumerate() {
                    let ty = global.ok()?.ty;
                    if ty.mutable {
                        if !matches!(
                            ty.content_type,
                            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
                        ) {
                            return None;
                        }
                        changing.push(u32::try_from(index).ok()?);
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    let kind = match export.kind {
                        ExternalKind::Func => ExportKind::Func,
                        ExternalKind::Table => ExportKind::Table,
                        ExternalKind::Memory => ExportKind::Memory,
                        ExternalKind::Global => ExportKind::Global,
                        _ => return None,
                    };
                    exports.export(export.name, kind, export.index);
                    names.push(export.name);
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().ok()? {
                    if changes_more(&operator.ok()?) {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    if changing.len() > GLOBALS_MAX {
        return None;
    }
    if changing.is_empty() {
        return Some((Cow::Borrowed(bytes), Recipe::default()));
    }
    // A prefix that no export has makes names that none has.
    let mut prefix = String::from("recycled");
    while names.iter().any(|name| name.starts_with(&prefix)) {
        prefix.push('\'');
    }
    let globals: Vec<String> = changing.iter().map(|index| format!("{prefix} {index}")).collect();
    for (index, name) in changing.iter().zip(&globals) {
        exports.export(name, ExportKind::Global, *index);
    }
    Some((Cow::Owned(with_exports(bytes, &exports)?), Recipe { globals }))
}

/// Whether an instruction changes what is neither in a memory nor in a global.
fn changes_more(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
    )
}

/// The module with these exports in the place of its own.
fn with_exports(bytes: &[u8], exports: &ExportSection) -> Option<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.ok()?;
        if matches!(payload, Payload::ExportSection(_)) {
            module.section(exports);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            module.section(&RawSection { id, data: bytes.get(range)? });
        }
    }
    Some(module.finish())
}

/// Most instances of an engine that wait to be used again. When there are as many, half of those of the module
/// go that was used longest ago.
const SPARES_MAX: usize = 512;

/// The instances of an engine that wait to be used again.
pub(crate) struct Recycling {
    touched: Touched,
    memories: Memories,
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    /// By the number of their module.
    of: BTreeMap<u64, Shelf>,
    /// How many wait.
    count: usize,
    modules: u64,
    uses: u64,
}

#[derive(Default)]
struct Shelf {
    /// Instances that are as new.
    waiting: Vec<Box<Live>>,
    /// Instances as their guests have left them, until there are [`LEFT_MAX`].
    left: Vec<Box<Live>>,
    used: u64,
}

/// Slots of memories that lie so far apart are near each other.
const NEAR: usize = 128;

/// As many instances of a module are made new at a time: to ask the system takes most of the time, and takes no longer for
/// neighbours than for one.
const LEFT_MAX: usize = 32;

impl Shelves {
    fn used(&mut self, module: u64) -> &mut Shelf {
        self.uses += 1;
        let shelf = self.of.entry(module).or_default();
        shelf.used = self.uses;
        shelf
    }

    /// Half of those of the module that was used longest ago, if there is no room for more.
    fn clear(&mut self) -> Vec<Box<Live>> {
        if self.count < SPARES_MAX {
            return Vec::new();
        }
        let oldest = self.of.values_mut().filter(|shelf| !shelf.waiting.is_empty() || !shelf.left.is_empty());
        let Some(oldest) = oldest.min_by_key(|shelf| shelf.used) else { return Vec::new() };
        let mut cleared = oldest.waiting.split_off(oldest.waiting.len() / 2);
        cleared.append(&mut oldest.left);
        self.count -= cleared.len();
        cleared
    }
}

impl Recycling {
    /// `None` where the system does not tell what a guest has touched.
    pub(crate) fn new(memories: Memories) -> Option<Arc<Recycling>> {
        Some(Arc::new(Recycling { touched: Touched::open()?, memories, shelves: Mutex::default() }))
    }

    /// Instances that wait, of all modules.
    pub(crate) fn count(&self) -> usize {
        self.shelves.lock().count
    }
}

/// How instances of one module are used again.
pub(crate) struct Spares {
    recipe: Recipe,
    recycling: Arc<Recycling>,
    /// The number of the module.
    module: u64,
    /// What a new instance is like; `None` if that is too much to restore.
    original: OnceLock<Option<Original>>,
}

impl Spares {
    pub(crate) fn new(recipe: Recipe, recycling: &Arc<Recycling>) -> Spares {
        let module = {
            let mut shelves = recycling.shelves.lock();
            shelves.modules += 1;
            shelves.modules
        };
        Spares { recipe, recycling: recycling.clone(), module, original: OnceLock::new() }
    }

    /// What a new instance is like, if one was ever made and can be used again.
    pub(crate) fn original(&self) -> Option<&Original> {
        self.original.get()?.as_ref()
    }

    /// Tells what a guest has touched.
    pub(crate) fn touched(&self) -> &Touched {
        &self.recycling.touched
    }

    /// Whether it is worth while to keep one more: when many guests end or hibernate at once, few come after them.
    pub(crate) fn has_room(&self) -> bool {
        self.recycling.count() < SPARES_MAX / 2
    }

    /// One that is as new and has no guest.
    pub(crate) fn spare(&self) -> Option<Box<Live>> {
        let mut shelves = self.recycling.shelves.lock();
        let live = shelves.used(self.module).waiting.pop()?;
        shelves.count -= 1;
        Some(live)
    }

    /// One for a new guest. If there is none that it may have, its context comes back.
    pub(crate) fn take(&self, wasm: &Arc<Inner>, context: Context) -> Result<Box<Live>, Context> {
        let Some(original) = self.original() else { return Err(context) };
        let Some(mut live) = self.spare() else { return Err(context) };
        // What it may not have is said by who makes a new one.
        live.store.data_mut().enter(wasm, context, original.memory_bytes)?;
        Ok(live)
    }

    /// Notes what it takes to recycle a new instance, in which nothing has run.
    pub(crate) fn note(&self, instance: &Instance, store: &mut Store<Guest>) -> Option<Recyclable> {
        let recyclable = Recyclable::new(&self.recipe, instance, store)?;
        let original = self.original.get_or_init(|| recyclable.original(&self.recycling.touched, store));
        original.is_some().then_some(recyclable)
    }

    /// Keeps an instance whose guest has ended, or hibernates, if it can be used again.
    pub(crate) fn give(&self, mut live: Box<Live>) {
        let Some(original) = self.original() else { return };
        if !live.recyclable.as_ref().is_some_and(|recyclable| recyclable.may_be_kept(original, &live.store)) {
            return;
        }
        live.store.data_mut().leave();
        let (cleared, left) = {
            let mut shelves = self.recycling.shelves.lock();
            let cleared = shelves.clear();
            let shelf = shelves.used(self.module);
            shelf.left.push(live);
            let is_much = shelf.left.len() >= LEFT_MAX;
            let left = if is_much { std::mem::take(&mut shelf.left) } else { Vec::new() };
            shelves.count += 1;
            shelves.count -= left.len();
            (cleared, left)
        };
        // Not under the lock: both take a while.
        drop(cleared);
        if !left.is_empty() {
            self.put(self.restore(original, left));
        }
    }

    /// Makes instances new; those with which that is not possible, or not worth it, are dropped.
    fn restore(&self, original: &Original, mut left: Vec<Box<Live>>) -> Vec<Box<Live>> {
        left.sort_unstable_by_key(|live| live.memory().as_ptr());
        self.drop_scattered(&mut left);
        let ranges: Vec<_> = left.iter_mut().map(|live| live.range_used()).collect();
        let touched = &self.recycling.touched;
        let Some(pages) = touched.pages(&ranges) else { return Vec::new() };
        let mut pages = pages.iter();
        left.retain_mut(|live| {
            let Live { store, recyclable, .. } = &mut **live;
            let (Some(recyclable), Some(pages)) = (recyclable, pages.next()) else { return false };
            recyclable.restore(original, touched.page_len(), pages, store)
        });
        left
    }

    /// What a crowd has left is all over the memory of the crowd, and to ask what was touched takes once for each. So those that
    /// lie far above free places are dropped, one for each place: the next that are made lie there.
    fn drop_scattered(&self, left: &mut Vec<Box<Live>>) {
        let Some(last) = left.last() else { return };
        for distance in self.recycling.memories.free_below(last.memory(), left.len()) {
            // The others may be nearer, so that one goes that need not.
            if distance > NEAR {
                drop(left.pop());
            }
        }
    }

    fn put(&self, restored: Vec<Box<Live>>) {
        let mut shelves = self.recycling.shelves.lock();
        shelves.count += restored.len();
        shelves.used(self.module).waiting.extend(restored);
    }
}

impl Live {
    /// The memory of the instance; none if it is not recycled.
    fn memory(&self) -> &[u8] {
        self.recyclable.as_ref().map_or(&[], |recyclable| recyclable.memory.data(&self.store))
    }

    /// The addresses of all that its guests can have touched since its slot was taken.
    fn range_used(&mut self) -> Range<usize> {
        let Live { store, recyclable, .. } = self;
        let Some(recyclable) = recyclable else { return 0..0 };
        let data = recyclable.memory.data(&*store);
        recyclable.most_bytes = recyclable.most_bytes.max(data.len());
        let start = data.as_ptr().addr();
        start..start + recyclable.most_bytes
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // The module is forgotten, and its instances with it.
        let mut shelves = self.recycling.shelves.lock();
        let shelf = shelves.of.remove(&self.module).unwrap_or_default();
        shelves.count -= shelf.waiting.len() + shelf.left.len();
        drop(shelves);
    }
}

/// What a new instance is like: what a recycled one is like again.
pub(crate) struct Original {
    memory_bytes: usize,
    /// The pages that are not all zero, by their number.
    pages: Vec<(usize, Box<[u8]>)>,
    globals: Vec<Val>,
}

impl Original {
    /// The pages that are not all zero, by their number, in order.
    pub(crate) fn pages(&self) -> &[(usize, Box<[u8]>)] {
        &self.pages
    }
}

/// Where this is.
pub(crate) fn addresses(data: &[u8]) -> Range<usize> {
    let Range { start, end } = data.as_ptr_range();
    start.addr()..end.addr()
}

/// Whether a global has this value, bit for bit.
fn is_same(one: &Val, other: &Val) -> bool {
    match (one, other) {
        (Val::I32(one), Val::I32(other)) => one == other,
        (Val::I64(one), Val::I64(other)) => one == other,
        (Val::F32(one), Val::F32(other)) => one == other,
        (Val::F64(one), Val::F64(other)) => one == other,
        _ => false,
    }
}

/// An instance that can be recycled, with what is needed for it at hand.
pub(crate) struct Recyclable {
    memory: Memory,
    /// The most bytes that it ever had. What lies beyond those that it has is zeros, and still holds memory.
    most_bytes: usize,
    globals: Vec<Global>,
}

impl Recyclable {
    /// Looks up in a new instance what it takes to recycle it.
    pub(crate) fn new(recipe: &Recipe, instance: &Instance, store: &mut Store<Guest>) -> Option<Recyclable> {
        let memory = instance.get_memory(&mut *store, "memory")?;
        let globals = recipe.globals.iter().map(|name| instance.get_global(&mut *store, name));
        Some(Recyclable { memory, most_bytes: 0, globals: globals.collect::<Option<_>>()? })
    }

    pub(crate) fn memory(&self) -> Memory {
        self.memory
    }

    /// The globals that are not as in a new instance, by their place.
    pub(crate) fn changed_globals(&self, original: &Original, store: &mut Store<Guest>) -> Box<[(u8, Val)]> {
        let now = self.globals.iter().map(|global| global.get(&mut *store));
        let changed =
            now.zip(&original.globals).enumerate().filter(|(_, (now, before))| !is_same(now, before));
        // There are at most GLOBALS_MAX.
        changed.map(|(place, (now, _))| (place as u8, now)).collect()
    }

    /// Sets globals by their place.
    ///
    /// # Errors
    /// They are of another module.
    pub(crate) fn set_globals(
        &self,
        globals: &[(u8, Val)],
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<()> {
        for (place, value) in globals {
            self.globals[usize::from(*place)].set(&mut *store, *value)?;
        }
        Ok(())
    }

    /// What this instance is like, which no guest has run in. `None` if it is too large to be kept.
    pub(crate) fn original(&self, touched: &Touched, store: &mut Store<Guest>) -> Option<Original> {
        let data = self.memory.data(&*store);
        if data.len() > MEMORY_MAX {
            return None;
        }
        let page_len = touched.page_len();
        let mut pages = Vec::new();
        for number in touched.pages(&[addresses(data)])?.remove(0) {
            let page = &data[number * page_len..];
            let page = &page[..page.len().min(page_len)];
            if page.iter().any(|byte| *byte != 0) {
                pages.push((number, page.into()));
            }
        }
        let memory_bytes = data.len();
        let globals = self.globals.iter().map(|global| global.get(&mut *store)).collect();
        (pages.len() <= PAGES_MAX).then_some(Original { memory_bytes, pages, globals })
    }

    /// Whether the memory is not too large to be kept.
    fn may_be_kept(&self, original: &Original, store: &Store<Guest>) -> bool {
        (original.memory_bytes..=MEMORY_MAX).contains(&self.memory.data_size(store))
    }

    /// Makes an instance as it was in the beginning, whose guest has touched these pages; `false` if it is not worth
    /// it, or cannot be.
    fn restore(
        &self,
        original: &Original,
        page_len: usize,
        pages: &[usize],
        store: &mut Store<Guest>,
    ) -> bool {
        if !self.may_be_kept(original, store) || pages.len() > PAGES_MAX {
            return false;
        }
        let data = self.memory.data_mut(&mut *store);
        let mut originals = original.pages.iter().peekable();
        // What lies beyond its end is new already, but counts.
        let len = data.len();
        for &number in pages.iter().take_while(|number| **number * page_len < len) {
            let end = len.min((number + 1) * page_len);
            let page = &mut data[number * page_len..end];
            match originals.next_if(|(of, _)| *of == number) {
                Some((_, content)) => page.copy_from_slice(content),
                None => page.fill(0),
            }
        }
        // One that was not touched is not there any more: the memory is not what it was taken for.
        if originals.next().is_some() {
            return false;
        }
        if len > original.memory_bytes && !Memories::shrink(&self.memory, store, original.memory_bytes) {
            return false;
        }
        let mut globals = self.globals.iter().zip(&original.globals);
        globals.all(|(global, value)| global.set(&mut *store, *value).is_ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn recipe(body: &str) -> Option<Vec<String>> {
        let bytes = wat::parse_str(format!(r#"(module (memory (export "memory") 1) {body})"#)).unwrap();
        let (prepared, recipe) = prepare(&bytes);
        wasmparser::validate(&prepared).unwrap();
        recipe.map(|recipe| recipe.globals)
    }

    #[test]
    fn globals_that_change_are_exported() {
        assert_eq!(recipe(""), Some(vec![]));
        assert_eq!(recipe("(global i32 (i32.const 1))"), Some(vec![]));
        assert_eq!(recipe("(global (mut i32) (i32.const 1))"), Some(vec!["recycled 0".into()]));
        let many = r#"(global $a i64 (i64.const 1)) (global $b (mut f32) (f32.const 1)) (global $c (mut i64) (i64.const 1))
            (func (export "start") (global.set $c (i64.const 5)))"#;
        assert_eq!(recipe(many), Some(vec!["recycled 1".into(), "recycled 2".into()]));
        // Names that are in use, and those that could be taken for them.
        let taken = r#"(global (export "recycled 0") (mut i32) (i32.const 1)) (func (export "recycled' x"))"#;
        assert_eq!(recipe(taken), Some(vec!["recycled'' 0".into()]));
    }

    #[test]
    fn a_module_that_changes_more_is_not_recycled() {
        for body in [
            "(func $f) (start $f)",
            "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
            "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
            "(table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1)))",
            "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))",
            "(table 1 funcref) (elem $e func) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(elem $e func) (func (elem.drop $e))",
            r#"(data $d "x") (func (data.drop $d))"#,
            "(global (mut funcref) (ref.null func))",
        ] {
            assert_eq!(recipe(body), None, "{body}");
        }
        // Reading is fine.
        assert!(recipe("(table 1 funcref) (func (drop (table.get (i32.const 0))))").is_some());
        assert!(
            recipe(r#"(data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))"#)
                .is_some()
        );
    }

    #[test]
    fn what_is_no_module_is_left_as_it_is() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x07\xff\xff\xff\xff\x0f", b"nonsense"] {
            let (prepared, _) = prepare(bytes);
            assert_eq!(&*prepared, bytes);
        }
    }

    #[test]
    fn everything_else_of_a_module_stays() {
        let bytes = wat::parse_str(
            r#"(module $named (import "hearth/1" "self" (func $self (result i64))) (memory (export "memory") 2)
            (global $g (mut i64) (i64.const 7)) (table 2 funcref) (elem (i32.const 0) $start)
            (data (i32.const 8) "hello") (func $start (export "start") (global.set $g (call $self)))
            (@custom "note" "kept"))"#,
        )
        .unwrap();
        let (prepared, recipe) = prepare(&bytes);
        assert_eq!(recipe.unwrap().globals, ["recycled 0"]);
        let sections = |bytes: &[u8]| -> Vec<(u8, Vec<u8>)> {
            let payloads = Parser::new(0).parse_all(bytes).map(Result::unwrap);
            let sections = payloads.filter_map(|payload| payload.as_section());
            sections
                .map(|(id, range)| (id, bytes[range.start as usize..range.end as usize].to_vec()))
                .collect()
        };
        let (before, after) = (sections(&bytes), sections(&prepared));
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            // All but the section of exports, whose id is 7.
            assert!(before == after || (before.0, after.0) == (7, 7));
        }
    }
}
