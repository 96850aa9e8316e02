// SPDX-License-Identifier: AGPL-3.0-or-later
//! The numbers of a glTF file: buffers, views of them, and accessors (sections 3.6.1 and 3.6.2 of the specification).

use super::json;
use std::{borrow::Cow, cell::Cell};

/// Most numbers that are read from a file, counted each time: a file may refer to one list from everywhere.
pub(super) const NUMBERS_MAX: u64 = 64 << 20;
/// Bytes from one element of a view to the next.
const STRIDE_MAX: usize = 252;

/// What of a file numbers are read from.
pub(super) struct Numbers<'a> {
    pub(super) root: &'a json::Root,
    pub(super) buffers: Vec<Cow<'a, [u8]>>,
    /// How many more may be read.
    left: Cell<u64>,
}

/// Sorts of numbers, by their code in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    I8,
    U8,
    I16,
    U16,
    U32,
    F32,
}

impl Kind {
    fn of(code: u32) -> Option<Kind> {
        Some(match code {
            5120 => Kind::I8,
            5121 => Kind::U8,
            5122 => Kind::I16,
            5123 => Kind::U16,
            5125 => Kind::U32,
            5126 => Kind::F32,
            _ => return None,
        })
    }

    const fn len(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::U32 | Kind::F32 => 4,
        }
    }

    /// The number in these bytes, which are as many as it has.
    fn read(self, bytes: &[u8]) -> f64 {
        let word = |i: usize| bytes.get(i).copied().unwrap_or_default();
        let two = [word(0), word(1)];
        let four = [word(0), word(1), word(2), word(3)];
        match self {
            Kind::I8 => f64::from(i8::from_le_bytes([word(0)])),
            Kind::U8 => f64::from(word(0)),
            Kind::I16 => f64::from(i16::from_le_bytes(two)),
            Kind::U16 => f64::from(u16::from_le_bytes(two)),
            Kind::U32 => f64::from(u32::from_le_bytes(four)),
            Kind::F32 => f64::from(f32::from_le_bytes(four)),
        }
    }

    /// What a normalised number of this sort is divided by.
    const fn scale(self) -> f64 {
        match self {
            Kind::I8 => 127.0,
            Kind::U8 => 255.0,
            Kind::I16 => 32_767.0,
            Kind::U16 => 65_535.0,
            Kind::U32 | Kind::F32 => 1.0,
        }
    }
}

/// The elements of an accessor without gaps.
struct Packed {
    bytes: Vec<u8>,
    kind: Kind,
    normalized: bool,
}

impl Packed {
    fn numbers(&self) -> impl Iterator<Item = f64> {
        self.bytes.chunks_exact(self.kind.len()).map(|bytes| {
            let value = self.kind.read(bytes);
            if self.normalized { (value / self.kind.scale()).max(-1.0) } else { value }
        })
    }
}

impl<'a> Numbers<'a> {
    pub(super) fn new(root: &'a json::Root, buffers: Vec<Cow<'a, [u8]>>) -> Numbers<'a> {
        Numbers { root, buffers, left: Cell::new(NUMBERS_MAX) }
    }

    /// How many numbers were read, or made of what was read.
    pub(super) fn read(&self) -> u64 {
        NUMBERS_MAX - self.left.get()
    }

    /// Counts numbers that are made of what was read: a few of a file may stand for many.
    pub(super) fn charge(&self, numbers: u64) -> Result<(), String> {
        let left = self.left.get().checked_sub(numbers);
        self.left.set(left.ok_or_else(|| format!("it describes more than {NUMBERS_MAX} numbers"))?);
        Ok(())
    }

    /// The bytes of a view.
    pub(super) fn view(&self, index: usize) -> Result<&[u8], String> {
        let view =
            self.root.buffer_views.get(index).ok_or_else(|| format!("there is no buffer view {index}"))?;
        let buffer =
            self.buffers.get(view.buffer).ok_or_else(|| format!("buffer view {index} has no buffer"))?;
        buffer
            .get(view.byte_offset..)
            .and_then(|rest| rest.get(..view.byte_length))
            .ok_or_else(|| format!("buffer view {index} is outside its buffer"))
    }

    /// Elements of floats, from any of these sorts of numbers.
    pub(super) fn floats<const N: usize>(
        &self,
        index: usize,
        kinds: Floats,
    ) -> Result<Vec<[f32; N]>, String> {
        let packed = self.packed(index, N)?;
        let normalized = packed.normalized;
        let fits = match packed.kind {
            Kind::F32 => true,
            Kind::U8 | Kind::U16 => match kinds {
                Floats::Only => false,
                Floats::OrUnsigned | Floats::OrNormalized => normalized,
                Floats::OrAny => true,
            },
            Kind::I8 | Kind::I16 => match kinds {
                Floats::Only | Floats::OrUnsigned => false,
                Floats::OrNormalized => normalized,
                Floats::OrAny => true,
            },
            Kind::U32 => false,
        };
        if !fits {
            return Err(format!("accessor {index} has numbers of a sort that is not allowed for its use"));
        }
        let mut out = Vec::with_capacity(packed.bytes.len() / packed.kind.len() / N);
        let mut numbers = packed.numbers();
        while let Some(first) = numbers.next() {
            let mut element = [0.0; N];
            element[0] = first as f32;
            element.iter_mut().skip(1).zip(&mut numbers).for_each(|(to, value)| *to = value as f32);
            if element.iter().any(|value| !value.is_finite()) {
                return Err(format!("accessor {index} has a number that is not finite"));
            }
            out.push(element);
        }
        Ok(out)
    }

    /// Elements of whole numbers, of these sorts.
    pub(super) fn integers<const N: usize>(
        &self,
        index: usize,
        kinds: &[Kind],
    ) -> Result<Vec<[u32; N]>, String> {
        let packed = self.packed(index, N)?;
        if !kinds.contains(&packed.kind) || packed.normalized {
            return Err(format!("accessor {index} has numbers of a sort that is not allowed for its use"));
        }
        let numbers: Vec<u32> = packed.numbers().map(|value| value as u32).collect();
        Ok(numbers.chunks_exact(N).map(|chunk| std::array::from_fn(|i| chunk[i])).collect())
    }

    /// How many numbers an element of an accessor has.
    pub(super) fn width(&self, index: usize) -> Result<usize, String> {
        let accessor = self.accessor(index)?;
        components(&accessor.kind).ok_or_else(|| format!("accessor {index} has an unknown type"))
    }

    fn accessor(&self, index: usize) -> Result<&'a json::Accessor, String> {
        self.root.accessors.get(index).ok_or_else(|| format!("there is no accessor {index}"))
    }

    fn packed(&self, index: usize, width: usize) -> Result<Packed, String> {
        let accessor = self.accessor(index)?;
        let error = |what: &str| format!("accessor {index} {what}");
        let kind = Kind::of(accessor.component_type).ok_or_else(|| error("has an unknown component type"))?;
        let components = components(&accessor.kind).ok_or_else(|| error("has an unknown type"))?;
        if components != width {
            return Err(error("has a type that does not fit its use"));
        }
        self.charge((accessor.count as u64).saturating_mul(components as u64))?;
        if accessor.count == 0 {
            return Err(error("has no elements"));
        }
        if accessor.normalized && matches!(kind, Kind::U32 | Kind::F32) {
            return Err(error("normalises numbers that are not to be normalised"));
        }
        let len = kind.len() * components;
        let mut bytes = match accessor.buffer_view {
            Some(view) => self
                .gather(view, accessor.byte_offset, kind, len, accessor.count)
                .map_err(|reason| format!("accessor {index}: {reason}"))?,
            None => vec![0; len * accessor.count],
        };
        if let Some(sparse) = &accessor.sparse {
            self.replace(&mut bytes, sparse, kind, len, accessor.count)
                .map_err(|reason| format!("accessor {index}, sparse: {reason}"))?;
        }
        Ok(Packed { bytes, kind, normalized: accessor.normalized })
    }

    /// Takes the elements out of a view.
    fn gather(
        &self,
        view: usize,
        offset: usize,
        kind: Kind,
        len: usize,
        count: usize,
    ) -> Result<Vec<u8>, String> {
        let bytes = self.view(view)?;
        let view = &self.root.buffer_views[view];
        let stride = match view.byte_stride {
            None => len,
            Some(stride) if (4..=STRIDE_MAX).contains(&stride) && stride % 4 == 0 && stride >= len => stride,
            Some(stride) => return Err(format!("a stride of {stride} bytes is not allowed")),
        };
        let is_even = |at: usize| at.is_multiple_of(kind.len());
        if !is_even(offset) || !is_even(view.byte_offset.wrapping_add(offset)) {
            return Err("it does not begin at a multiple of the size of its numbers".into());
        }
        let end = (count - 1)
            .checked_mul(stride)
            .and_then(|last| last.checked_add(offset)?.checked_add(len))
            .filter(|end| *end <= bytes.len());
        let Some(end) = end else { return Err("it is longer than its buffer view".into()) };
        let bytes = &bytes[offset..end];
        if stride == len {
            return Ok(bytes.to_vec());
        }
        Ok(bytes.chunks(stride).flat_map(|element| &element[..len]).copied().collect())
    }

    /// Puts other elements in the place of some.
    fn replace(
        &self,
        bytes: &mut [u8],
        sparse: &json::Sparse,
        kind: Kind,
        len: usize,
        count: usize,
    ) -> Result<(), String> {
        if sparse.count == 0 || sparse.count > count {
            return Err("the number of elements is none, or more than there are".into());
        }
        let (places, values) = (&sparse.indices, &sparse.values);
        let place_kind = Kind::of(places.component_type)
            .filter(|kind| matches!(kind, Kind::U8 | Kind::U16 | Kind::U32))
            .ok_or("the indices are no whole numbers")?;
        let places =
            self.gather(places.buffer_view, places.byte_offset, place_kind, place_kind.len(), sparse.count)?;
        let values = self.gather(values.buffer_view, values.byte_offset, kind, len, sparse.count)?;
        let mut least = 0;
        for (place, value) in places.chunks_exact(place_kind.len()).zip(values.chunks_exact(len)) {
            let place = place_kind.read(place) as usize;
            if place < least || place >= count {
                return Err("the indices do not grow, or are beyond the elements".into());
            }
            least = place + 1;
            bytes[place * len..][..len].copy_from_slice(value);
        }
        Ok(())
    }
}

/// Sorts of numbers from which floats may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Floats {
    /// No others.
    Only,
    /// Also normalised ones from 0 to 1.
    OrUnsigned,
    /// Also normalised ones from −1 to 1.
    OrNormalized,
    /// Also whole ones (KHR_mesh_quantization).
    OrAny,
}

fn components(kind: &str) -> Option<usize> {
    Some(match kind {
        "SCALAR" => 1,
        "VEC2" => 2,
        "VEC3" => 3,
        "VEC4" | "MAT2" => 4,
        "MAT3" => 9,
        "MAT4" => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn root(accessor: &str) -> json::Root {
        let json = format!(
            r#"{{"accessors":[{accessor}],
                "bufferViews":[{{"buffer":0,"byteLength":32}},
                               {{"buffer":0,"byteOffset":4,"byteLength":16,"byteStride":8}},
                               {{"buffer":0,"byteOffset":1,"byteLength":8}},
                               {{"buffer":0,"byteOffset":30,"byteLength":8}},
                               {{"buffer":0,"byteLength":32,"byteStride":6}},
                               {{"buffer":1,"byteLength":1}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    /// Floats 0, 1, … 7.
    fn buffer() -> Vec<u8> {
        (0..8u8).flat_map(|i| f32::from(i).to_le_bytes()).collect()
    }

    fn read<const N: usize>(accessor: &str, buffer: &[u8]) -> Result<Vec<[f32; N]>, String> {
        let root = root(accessor);
        Numbers::new(&root, vec![Cow::Borrowed(buffer)]).floats(0, Floats::OrNormalized)
    }

    fn refused(accessor: &str, expect: &str) {
        let reason = read::<1>(accessor, &buffer()).unwrap_err();
        assert!(reason.contains(expect), "{accessor}: {reason}");
    }

    #[test]
    fn elements_are_read_with_offset_stride_and_scale() {
        let plain = r#"{"bufferView":0,"byteOffset":8,"componentType":5126,"count":2,"type":"VEC2"}"#;
        assert_eq!(read::<2>(plain, &buffer()).unwrap(), [[2.0, 3.0], [4.0, 5.0]]);
        let strided = r#"{"bufferView":1,"componentType":5126,"count":2,"type":"SCALAR"}"#;
        assert_eq!(read::<1>(strided, &buffer()).unwrap(), [[1.0], [3.0]]);
        let scaled = r#"{"bufferView":0,"componentType":5120,"normalized":true,"count":3,"type":"SCALAR"}"#;
        let mut signed = buffer();
        signed[..3].copy_from_slice(&[127, 0x80, 0]);
        assert_eq!(read::<1>(scaled, &signed).unwrap(), [[1.0], [-1.0], [0.0]]);
        let zeros = r#"{"componentType":5126,"count":2,"type":"SCALAR"}"#;
        assert_eq!(read::<1>(zeros, &buffer()).unwrap(), [[0.0]; 2]);
    }

    #[test]
    fn sparse_elements_take_the_place_of_others() {
        let sparse = |indices: &str, count: usize| {
            format!(
                r#"{{"componentType":5126,"count":4,"type":"SCALAR","sparse":{{"count":{count},
                    "indices":{{"bufferView":0,"byteOffset":28,"componentType":{indices}}},
                    "values":{{"bufferView":0,"byteOffset":4}}}}}}"#
            )
        };
        let mut bytes = buffer();
        bytes[28..32].copy_from_slice(&[1, 3, 3, 9]);
        assert_eq!(read::<1>(&sparse("5121", 2), &bytes).unwrap(), [[0.0], [1.0], [0.0], [2.0]]);
        assert!(read::<1>(&sparse("5121", 3), &bytes).unwrap_err().contains("do not grow"));
        bytes[29] = 9;
        assert!(read::<1>(&sparse("5121", 2), &bytes).unwrap_err().contains("beyond"));
        assert!(read::<1>(&sparse("5121", 5), &bytes).unwrap_err().contains("more than there are"));
        assert!(read::<1>(&sparse("5126", 1), &bytes).unwrap_err().contains("no whole numbers"));
    }

    #[test]
    fn what_is_broken_is_refused() {
        let accessor = |view: usize, rest: &str| format!(r#"{{"bufferView":{view},{rest},"type":"SCALAR"}}"#);
        refused(&accessor(0, r#""componentType":5126,"count":9"#), "longer than its buffer view");
        refused(
            &accessor(0, r#""componentType":5126,"count":2,"byteOffset":28"#),
            "longer than its buffer view",
        );
        refused(
            &accessor(0, r#""componentType":5126,"count":18446744073709551615"#),
            "more than 67108864 numbers",
        );
        refused(&accessor(0, r#""componentType":5126,"count":0"#), "no elements");
        refused(&accessor(0, r#""componentType":5126,"count":1,"byteOffset":2"#), "multiple of the size");
        refused(&accessor(2, r#""componentType":5126,"count":1"#), "multiple of the size");
        refused(&accessor(3, r#""componentType":5121,"count":1"#), "outside its buffer");
        refused(&accessor(4, r#""componentType":5126,"count":1"#), "stride of 6 bytes");
        refused(&accessor(5, r#""componentType":5121,"count":1"#), "has no buffer");
        refused(&accessor(9, r#""componentType":5126,"count":1"#), "no buffer view 9");
        refused(&accessor(0, r#""componentType":5124,"count":1"#), "unknown component type");
        refused(&accessor(0, r#""componentType":5125,"count":1"#), "not allowed for its use");
        refused(&accessor(0, r#""componentType":5121,"count":1"#), "not allowed for its use");
        refused(&accessor(0, r#""componentType":5126,"normalized":true,"count":1"#), "not to be normalised");
        refused(r#"{"componentType":5126,"count":1,"type":"VEC5"}"#, "unknown type");
        refused(r#"{"componentType":5126,"count":1,"type":"VEC2"}"#, "does not fit its use");
        let mut bytes = buffer();
        bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let one = accessor(0, r#""componentType":5126,"count":1"#);
        assert_eq!(read::<1>(&one, &bytes).unwrap_err(), "accessor 0 has a number that is not finite");
    }

    #[test]
    fn numbers_are_counted_each_time_they_are_read() {
        let root = root(r#"{"componentType":5126,"count":4,"type":"VEC3"}"#);
        let numbers = Numbers::new(&root, vec![]);
        numbers.left.set(20);
        assert_eq!(numbers.floats::<3>(0, Floats::Only).unwrap(), [[0.0; 3]; 4]);
        assert!(numbers.floats::<3>(0, Floats::Only).unwrap_err().contains("more than"));
    }
}
