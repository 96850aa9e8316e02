// SPDX-License-Identifier: AGPL-3.0-or-later
//! The imports of a guest, each in a wrapper that is safe to call.
#![expect(unsafe_code, reason = "imports are foreign functions, and take pointers")]

/// Bytes of the length of what the host puts before a call of `wake`.
const INBOX_HEAD_LEN: usize = 8;

/// Declares the imports of one module under their names in the contract.
mod import {
    #[link(wasm_import_module = "hearth/1")]
    unsafe extern "C" {
        #[link_name = "self"]
        pub(super) fn self_() -> u64;
        pub(super) fn peer() -> u32;
        pub(super) fn origin() -> u32;
        pub(super) fn args(ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn exit(ptr: *const u8, len: usize) -> !;
        pub(super) fn try_recv(ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn try_recv_many(ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn wake_with(ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn send(to: u64, ptr: *const u8, len: usize) -> i32;
        pub(super) fn spawn(
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
        ) -> i64;
        pub(super) fn spawn_on(
            peer: u32,
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
            tag: u64,
        ) -> i32;
        pub(super) fn spawn_on_link(
            peer: u32,
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
            tag: u64,
        ) -> i32;
        pub(super) fn spawn_on_monitor(
            peer: u32,
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
            tag: u64,
            monitor_tag: u64,
        ) -> i32;
        pub(super) fn spawn_link(
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
        ) -> i64;
        pub(super) fn spawn_monitor(
            module: *const u8,
            name: *const u8,
            name_len: usize,
            args: *const u8,
            args_len: usize,
            tag: u64,
        ) -> i64;
        pub(super) fn link(who: u64) -> i32;
        pub(super) fn unlink(who: u64) -> i32;
        pub(super) fn monitor(who: u64, tag: u64) -> i32;
        pub(super) fn demonitor(tag: u64) -> i32;
        pub(super) fn trap_exits(on: u32) -> i32;
        pub(super) fn exit_to(who: u64, reason: *const u8, len: usize) -> i32;
        pub(super) fn exit_with(reason: *const u8, len: usize) -> !;
        pub(super) fn global_register(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn global_unregister(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn global_whereis(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn group_join(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn group_leave(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn group_members(name: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn kill(who: u64, reason: *const u8, len: usize) -> i32;
        pub(super) fn register(name: *const u8, len: usize) -> i32;
        pub(super) fn unregister(name: *const u8, len: usize) -> i32;
        pub(super) fn whereis(name: *const u8, len: usize) -> i64;
        pub(super) fn clock_monotonic() -> u64;
        pub(super) fn clock_wall() -> u64;
        pub(super) fn throttled() -> u64;
        pub(super) fn timer(after: u64, tag: u64) -> i32;
        pub(super) fn cancel_timer(tag: u64) -> i32;
        pub(super) fn random(ptr: *mut u8, len: usize) -> i32;
        pub(super) fn log(
            level: i32,
            target: *const u8,
            target_len: usize,
            text: *const u8,
            text_len: usize,
        ) -> i32;
        pub(super) fn lump_put(ptr: *const u8, len: usize, out: *mut u8, tag: u64) -> i32;
        pub(super) fn lump_read(id: *const u8, offset: u64, len: u32, timeout_ms: u32, tag: u64) -> i32;
        pub(super) fn lump_size(id: *const u8, timeout_ms: u32, tag: u64) -> i32;
        pub(super) fn lump_push(id: *const u8, peer: u32, tag: u64) -> i32;
        pub(super) fn asset_load(class: *const u8, len: usize, id: *const u8, tag: u64) -> i32;
        pub(super) fn asset_drop(class: *const u8, len: usize, id: *const u8) -> i32;
        pub(super) fn entity_ids(count: u32) -> i64;
        pub(super) fn scene_apply(ptr: *const u8, len: usize) -> i32;
        pub(super) fn scene_read(entity: u64, kind: u32, ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn scene_cast(cast: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn input_subscribe(mask: u32) -> i32;
        pub(super) fn pointer_capture(on: u32) -> i32;
        pub(super) fn peer_name(peer: u32, ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn file_load(path: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn terminal_open(open: *const u8, len: usize, tag: u64) -> i32;
        pub(super) fn terminal_command(terminal: u64, command: *const u8, len: usize) -> i32;
        pub(super) fn terminal_views(after: u64, ptr: *mut u8, cap: usize) -> i32;
        pub(super) fn keyboard_focus(terminal: u64) -> i32;
        pub(super) fn keyboard_leave(user: u32) -> i32;
        pub(super) fn clipboard_write(text: *const u8, len: usize) -> i32;
        pub(super) fn clipboard_read(tag: u64) -> i32;
        pub(super) fn command(args: *const u8, len: usize, tag: u64) -> i32;
    }

    pub(super) mod blocking {
        #[link(wasm_import_module = "hearth/1/blocking")]
        unsafe extern "C" {
            pub(in super::super) fn recv(ptr: *mut u8, cap: usize, timeout_ms: i32) -> i32;
            pub(in super::super) fn sleep(ns: u64) -> i32;
        }
    }
}

/// This process.
pub fn self_() -> u64 {
    // SAFETY: no pointers.
    unsafe { import::self_() }
}

/// The peer it runs on.
pub fn peer() -> u32 {
    // SAFETY: no pointers.
    unsafe { import::peer() }
}

/// The peer whose authority it has.
pub fn origin() -> u32 {
    // SAFETY: no pointers.
    unsafe { import::origin() }
}

/// Its arguments, encoded.
pub fn args(out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::args(out.as_mut_ptr(), out.len()) }
}

/// Ends the process.
pub fn exit(reason: &str) -> ! {
    // SAFETY: the host reads within the slice.
    unsafe { import::exit(reason.as_ptr(), reason.len()) }
}

/// Takes the next signal.
pub fn try_recv(out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::try_recv(out.as_mut_ptr(), out.len()) }
}

/// Takes the next signals, as many as there is room for.
pub fn try_recv_many(out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::try_recv_many(out.as_mut_ptr(), out.len()) }
}

/// Where the host puts signals before each call of `wake`.
pub struct Inbox(*mut [u8]);

impl Inbox {
    /// Of so many bytes, which stay where they are for as long as the script lives.
    pub fn new(len: usize) -> Inbox {
        let room = Box::into_raw(vec![0; INBOX_HEAD_LEN + len].into_boxed_slice());
        // SAFETY: the box is never freed, and referred to in `open` alone, which is not called across calls of `wake`. If the host does
        // not write there, there is never anything.
        unsafe { import::wake_with(room.cast(), room.len()) };
        Inbox(room)
    }

    /// How many bytes the host has put there before this call of `wake`, and the room for them.
    pub fn open(&mut self) -> (usize, &mut [u8]) {
        // SAFETY: it is a box that was leaked; the host writes there only while the script does not run.
        let (head, room) = unsafe { &mut *self.0 }.split_at_mut(INBOX_HEAD_LEN);
        let len = head.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
        (usize::try_from(len).map_or(0, |len| len.min(room.len())), room)
    }
}

/// Sends a message.
pub fn send(to: u64, body: &[u8]) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::send(to, body.as_ptr(), body.len()) }
}

/// Spawns a process on this peer. An empty name is none.
pub fn spawn(module: &[u8; 32], name: &str, args: &[u8]) -> i64 {
    // SAFETY: the host reads within the slices.
    unsafe { import::spawn(module.as_ptr(), name.as_ptr(), name.len(), args.as_ptr(), args.len()) }
}

/// Spawns a process on a peer.
pub fn spawn_on(peer: u32, module: &[u8; 32], name: &str, args: &[u8], tag: u64) -> i32 {
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: the host reads within the slices.
    unsafe { import::spawn_on(peer, module.as_ptr(), name, name_len, args.as_ptr(), args.len(), tag) }
}

/// Spawns a process on a peer that is linked with this one when the reply is there.
pub fn spawn_on_link(peer: u32, module: &[u8; 32], name: &str, args: &[u8], tag: u64) -> i32 {
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: the host reads within the slices.
    unsafe { import::spawn_on_link(peer, module.as_ptr(), name, name_len, args.as_ptr(), args.len(), tag) }
}

/// Spawns a process on a peer that this one monitors, by the second tag, when the reply is there.
pub fn spawn_on_monitor(
    peer: u32,
    module: &[u8; 32],
    name: &str,
    args: &[u8],
    tag: u64,
    monitor_tag: u64,
) -> i32 {
    let ((name, name_len), (args, args_len)) = ((name.as_ptr(), name.len()), (args.as_ptr(), args.len()));
    // SAFETY: the host reads within the slices.
    unsafe {
        import::spawn_on_monitor(peer, module.as_ptr(), name, name_len, args, args_len, tag, monitor_tag)
    }
}

/// Spawns a process on this peer that is linked with this one. An empty name is none.
pub fn spawn_link(module: &[u8; 32], name: &str, args: &[u8]) -> i64 {
    // SAFETY: the host reads within the slices.
    unsafe { import::spawn_link(module.as_ptr(), name.as_ptr(), name.len(), args.as_ptr(), args.len()) }
}

/// Spawns a process on this peer that this one monitors. An empty name is none.
pub fn spawn_monitor(module: &[u8; 32], name: &str, args: &[u8], tag: u64) -> i64 {
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: the host reads within the slices.
    unsafe { import::spawn_monitor(module.as_ptr(), name, name_len, args.as_ptr(), args.len(), tag) }
}

/// Links this process with another.
pub fn link(who: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::link(who) }
}

/// Takes a link away.
pub fn unlink(who: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::unlink(who) }
}

/// Monitors a process.
pub fn monitor(who: u64, tag: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::monitor(who, tag) }
}

/// Takes a monitor away.
pub fn demonitor(tag: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::demonitor(tag) }
}

/// Whether exit signals come as signals.
pub fn trap_exits(on: bool) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::trap_exits(u32::from(on)) }
}

/// Sends an exit signal with a reason in the contract's form.
pub fn exit_to(who: u64, reason: &[u8]) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::exit_to(who, reason.as_ptr(), reason.len()) }
}

/// Ends the process with a reason in the contract's form.
pub fn exit_with(reason: &[u8]) -> ! {
    // SAFETY: the host reads within the slice.
    unsafe { import::exit_with(reason.as_ptr(), reason.len()) }
}

/// Gives this process a name in the space.
pub fn global_register(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::global_register(name.as_ptr(), name.len(), tag) }
}

/// Takes a name in the space away from this process.
pub fn global_unregister(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::global_unregister(name.as_ptr(), name.len(), tag) }
}

/// The process of that name in the space.
pub fn global_whereis(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::global_whereis(name.as_ptr(), name.len(), tag) }
}

/// Puts this process into a group.
pub fn group_join(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::group_join(name.as_ptr(), name.len(), tag) }
}

/// Takes this process out of a group.
pub fn group_leave(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::group_leave(name.as_ptr(), name.len(), tag) }
}

/// Who is in a group.
pub fn group_members(name: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::group_members(name.as_ptr(), name.len(), tag) }
}

/// Ends a process.
pub fn kill(who: u64, reason: &str) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::kill(who, reason.as_ptr(), reason.len()) }
}

/// Gives this process a name.
pub fn register(name: &str) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::register(name.as_ptr(), name.len()) }
}

/// Takes a name of this process away.
pub fn unregister(name: &str) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::unregister(name.as_ptr(), name.len()) }
}

/// The process of that name on this peer.
pub fn whereis(name: &str) -> i64 {
    // SAFETY: the host reads within the slice.
    unsafe { import::whereis(name.as_ptr(), name.len()) }
}

/// Nanoseconds since the peer started.
pub fn clock_monotonic() -> u64 {
    // SAFETY: no pointers.
    unsafe { import::clock_monotonic() }
}

/// Nanoseconds since 1970-01-01 UTC.
pub fn clock_wall() -> u64 {
    // SAFETY: no pointers.
    unsafe { import::clock_wall() }
}

/// Nanoseconds for which this process was held up.
pub fn throttled() -> u64 {
    // SAFETY: no pointers.
    unsafe { import::throttled() }
}

/// A timeout signal after so many nanoseconds.
pub fn timer(after_ns: u64, tag: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::timer(after_ns, tag) }
}

/// Stops a timer.
pub fn cancel_timer(tag: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::cancel_timer(tag) }
}

/// Fills the slice with random bytes.
pub fn random(out: &mut [u8]) -> i32 {
    // SAFETY: the host writes `len` bytes there.
    unsafe { import::random(out.as_mut_ptr(), out.len()) }
}

/// A line in this process's log.
pub fn log(level: i32, target: &str, text: &str) -> i32 {
    // SAFETY: the host reads within the slices.
    unsafe { import::log(level, target.as_ptr(), target.len(), text.as_ptr(), text.len()) }
}

/// Makes a lump; its id is written at once.
pub fn lump_put(bytes: &[u8], id: &mut [u8; 32], tag: u64) -> i32 {
    // SAFETY: the host reads within the slice, and writes 32 bytes to `id`.
    unsafe { import::lump_put(bytes.as_ptr(), bytes.len(), id.as_mut_ptr(), tag) }
}

/// Reads a part of a lump.
pub fn lump_read(id: &[u8; 32], offset: u64, len: u32, timeout_ms: u32, tag: u64) -> i32 {
    // SAFETY: the host reads 32 bytes.
    unsafe { import::lump_read(id.as_ptr(), offset, len, timeout_ms, tag) }
}

/// Tells the size of a lump.
pub fn lump_size(id: &[u8; 32], timeout_ms: u32, tag: u64) -> i32 {
    // SAFETY: the host reads 32 bytes.
    unsafe { import::lump_size(id.as_ptr(), timeout_ms, tag) }
}

/// Sends a lump to a peer.
pub fn lump_push(id: &[u8; 32], peer: u32, tag: u64) -> i32 {
    // SAFETY: the host reads 32 bytes.
    unsafe { import::lump_push(id.as_ptr(), peer, tag) }
}

/// Loads a lump as an asset.
pub fn asset_load(class: &str, id: &[u8; 32], tag: u64) -> i32 {
    // SAFETY: the host reads within the slice, and 32 bytes of `id`.
    unsafe { import::asset_load(class.as_ptr(), class.len(), id.as_ptr(), tag) }
}

/// Lets go of an asset.
pub fn asset_drop(class: &str, id: &[u8; 32]) -> i32 {
    // SAFETY: the host reads within the slice, and 32 bytes of `id`.
    unsafe { import::asset_drop(class.as_ptr(), class.len(), id.as_ptr()) }
}

/// The first of so many consecutive entity ids.
pub fn entity_ids(count: u32) -> i64 {
    // SAFETY: no pointers.
    unsafe { import::entity_ids(count) }
}

/// Applies a batch of scene operations.
pub fn scene_apply(batch: &[u8]) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::scene_apply(batch.as_ptr(), batch.len()) }
}

/// The bytes of a component.
pub fn scene_read(entity: u64, kind: u32, out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::scene_read(entity, kind, out.as_mut_ptr(), out.len()) }
}

/// Sends a ray or a ball through the scene.
pub fn scene_cast(cast: &[u8], tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::scene_cast(cast.as_ptr(), cast.len(), tag) }
}

/// Asks for input events.
pub fn input_subscribe(mask: u32) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::input_subscribe(mask) }
}

/// Captures or frees the mouse pointer.
pub fn pointer_capture(on: u32) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::pointer_capture(on) }
}

/// The name that a peer goes by.
pub fn peer_name(peer: u32, out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::peer_name(peer, out.as_mut_ptr(), out.len()) }
}

/// Makes a lump of a file of this machine.
pub fn file_load(path: &str, tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::file_load(path.as_ptr(), path.len(), tag) }
}

/// Opens a terminal of this machine.
pub fn terminal_open(open: &[u8], tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::terminal_open(open.as_ptr(), open.len(), tag) }
}

/// Something for a terminal to do.
pub fn terminal_command(terminal: u64, command: &[u8]) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::terminal_command(terminal, command.as_ptr(), command.len()) }
}

/// The entities that show terminals, in order of id from behind this one on.
pub fn terminal_views(after: u64, out: &mut [u8]) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::terminal_views(after, out.as_mut_ptr(), out.len()) }
}

/// Gives the user's keyboard to a terminal, or back to the scripts with 0.
pub fn keyboard_focus(terminal: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::keyboard_focus(terminal) }
}

/// Gives back the keyboard that a user has given to an entity of this process.
pub fn keyboard_leave(user: u32) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::keyboard_leave(user) }
}

/// Puts text on the user's clipboard.
pub fn clipboard_write(text: &str) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::clipboard_write(text.as_ptr(), text.len()) }
}

/// Reads the user's clipboard.
pub fn clipboard_read(tag: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::clipboard_read(tag) }
}

/// Runs a program of this machine.
pub fn command(args: &[u8], tag: u64) -> i32 {
    // SAFETY: the host reads within the slice.
    unsafe { import::command(args.as_ptr(), args.len(), tag) }
}

/// Waits for a signal on the guest's own stack (`hearth/1/blocking`).
pub fn recv(out: &mut [u8], timeout_ms: i32) -> i32 {
    // SAFETY: the host writes at most `len` bytes there.
    unsafe { import::blocking::recv(out.as_mut_ptr(), out.len(), timeout_ms) }
}

/// Waits on the guest's own stack (`hearth/1/blocking`).
pub fn sleep(ns: u64) -> i32 {
    // SAFETY: no pointers.
    unsafe { import::blocking::sleep(ns) }
}
