// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the four lanes between two peers that have logged in.

use bytes::Bytes;
use hearth_abi::pointer;
use hearth_protocol::{bulk, control::Control, hot, screen};

/// The first byte chooses the lane, the rest is the frame.
pub fn peer_frames(data: &[u8]) -> bool {
    let Some((lane, frame)) = data.split_first() else { return false };
    match lane % 4 {
        0 => {
            let Ok(read) = Control::decode(frame) else { return false };
            // Postcard reads some numbers in more than one form, and writes the shortest.
            let written = read.encode().unwrap();
            assert_eq!(Control::decode(&written).unwrap(), read);
        }
        1 => {
            let route = hot::route(frame);
            let Ok(read) = hot::Frame::decode(&Bytes::copy_from_slice(frame)) else { return false };
            assert_eq!(&read.encode()[..], frame);
            if hot::check(frame).is_err() {
                // A relay passes on no command that its receiver would not read.
                return matches!(read, hot::Frame::Terminal { .. });
            }
            let told = match read {
                hot::Frame::Message { to, from, .. } => Some((to.to_bits(), from.to_bits())),
                hot::Frame::Kill { to, from, .. } => Some((to.to_bits(), from.map_or(0, |id| id.to_bits()))),
                hot::Frame::Terminal { terminal, from, .. } => Some((terminal.to_bits(), from.to_bits())),
                hot::Frame::Pointer { to, user, .. } | hot::Frame::Keyboard { to, user, .. } => {
                    Some((to.to_bits(), pointer::user_bits(user)))
                }
                hot::Frame::Leave { user, from } => Some((pointer::user_bits(user), from.to_bits())),
                hot::Frame::Forsake { peer, from, .. } => Some((pointer::user_bits(peer), from.to_bits())),
                hot::Frame::Tie { to, from, .. } => Some((to.to_bits(), from.to_bits())),
                hot::Frame::ExitTo { to, from, .. } => {
                    Some((to.to_bits(), from.map_or(0, |id| id.to_bits())))
                }
                hot::Frame::Scene(_)
                | hot::Frame::Gone { .. }
                | hot::Frame::Hail { .. }
                | hot::Frame::Received(_) => None,
            };
            let route = route.unwrap().map(|route| (route.to.to_bits(), route.from.to_bits()));
            assert_eq!(route, told, "a relay sends it where it says");
        }
        2 => {
            let Ok(read) = bulk::Frame::decode(&Bytes::copy_from_slice(frame)) else { return false };
            assert_eq!(&read.encode()[..], frame);
        }
        _ => {
            let Ok(read) = screen::Frame::decode(&Bytes::copy_from_slice(frame)) else { return false };
            assert_eq!(&read.encode()[..], frame);
        }
    }
    true
}
