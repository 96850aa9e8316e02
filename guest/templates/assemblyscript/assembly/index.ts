// A script of my own: an orb that glows, and takes another colour when it is told to.
// Send it "red", "green" or "blue".

@external("hearth/1", "entity_ids")
declare function entity_ids(count: i32): i64;
@external("hearth/1", "scene_apply")
declare function scene_apply(ptr: usize, len: i32): i32;
@external("hearth/1", "try_recv")
declare function try_recv(ptr: usize, cap: i32): i32;
@external("hearth/1", "log")
declare function log(level: i32, targetPtr: usize, targetLen: i32, ptr: usize, len: i32): i32;
@external("hearth/1", "exit")
declare function exit(ptr: usize, len: i32): void;

// The largest signal: a header of 24 bytes, and 1 MiB.
const SIGNAL_LEN: i32 = 24 + (1 << 20);
const signal: usize = heap.alloc(SIGNAL_LEN);

// A batch of scene operations.
const batch: usize = heap.alloc(256);
let at: usize = batch;
let orb: i64 = 0;

function putU8(value: i32): void { store<u8>(at, value); at += 1; }
function putU16(value: i32): void { store<u16>(at, value); at += 2; }
function putU32(value: i32): void { store<u32>(at, value); at += 4; }
function putU64(value: i64): void { store<u64>(at, value); at += 8; }
function putFloats(values: StaticArray<f32>): void {
  for (let i = 0; i < values.length; i++) { store<f32>(at, values[i]); at += 4; }
}

// Operation 4: this component of the orb, with so many bytes.
function set(kind: i32, len: i32): void { putU8(4); putU64(orb); putU16(kind); putU32(len); }

function commit(): void {
  const result = scene_apply(batch, i32(at - batch));
  at = batch;
  if (result < 0) end("the scene did not take the orb");
}

function material(red: f32, green: f32, blue: f32): void {
  set(4, 44);
  putFloats([0.2, 0.2, 0.2, 1.0]);       // base colour
  putFloats([0.0, 0.6]);                 // metallic, roughness
  putFloats([red, green, blue]);         // emissive
  putU32(0);                           // flags
  putU32(0);                           // no textures
}

function say(text: string): void {
  const bytes = String.UTF8.encode(text);
  log(3, 0, 0, changetype<usize>(bytes), bytes.byteLength);
}

function end(reason: string): void {
  const bytes = String.UTF8.encode(reason);
  exit(changetype<usize>(bytes), bytes.byteLength);
}

// What the compiler calls when something is wrong.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "abort" : message;
  const where = file === null ? "" : file + ":" + line.toString() + ":" + column.toString();
  end("panic: " + what + " (" + where + ")");
}

export function start(): void {
  orb = entity_ids(1);
  putU8(1); putU64(orb); putU8(0);           // operation 1: create, shared
  set(1, 40);                       // component 1: place, rotation, scale
  putFloats([0.0, 1.5, 2.0]);
  putFloats([0.0, 0.0, 0.0, 1.0]);
  putFloats([1.0, 1.0, 1.0]);
  set(3, 5); putU8(2); putFloats([0.25]);   // component 3: a mesh, which is a ball
  material(1.0, 0.6, 0.1);
  commit();
  say("the orb glows");
}

// Called whenever signals have arrived.
export function wake(): void {
  for (;;) {
    const len = try_recv(signal, SIGNAL_LEN);
    if (len < 0) return;
    // A message (kind 1) with a text in CBOR: a byte of length, then letters.
    if (load<u16>(signal) != 1 || len < 26) continue;
    const letter = load<u8>(signal, 25);
    material(f32(letter == 0x72), f32(letter == 0x67), f32(letter == 0x62));
    commit();
  }
}
