// SPDX-License-Identifier: AGPL-3.0-or-later
//! The local socket.

use crate::Dice;
use bytes::BytesMut;
use hearth_ipc::frame::{Frame, FrameDecoder, encode};
use hearth_protocol::operator::{
    Failure, FrameKind, LogEvent, LumpInfo, PeerInfo, ProcessInfo, Request, Spawned, Status,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use tokio_util::codec::Decoder;

/// The first byte chooses how the rest is cut in pieces, as a socket may.
pub fn operator_frame(data: &[u8]) -> bool {
    let mut dice = Dice(data);
    let piece = usize::from(dice.byte()) + 1;
    let whole = dice.0;
    let in_pieces = frames(&mut dice, piece);
    assert_eq!(in_pieces, frames(&mut Dice(whole), whole.len()), "it does not matter how they are cut");
    let mut written = BytesMut::new();
    in_pieces.iter().for_each(|frame| encode(frame.kind, &frame.body, &mut written));
    assert!(whole.starts_with(&written));
    let mut understood = false;
    for frame in &in_pieces {
        match frame.kind {
            FrameKind::Json => {
                understood |= reads_back::<Request>(&frame.body);
                understood |= reads_back::<LogEvent>(&frame.body) | reads_back::<Status>(&frame.body);
                understood |= reads_back::<ProcessInfo>(&frame.body) | reads_back::<PeerInfo>(&frame.body);
                understood |= reads_back::<LumpInfo>(&frame.body) | reads_back::<Spawned>(&frame.body);
            }
            FrameKind::Error => understood |= reads_back::<Failure>(&frame.body),
            FrameKind::Data | FrameKind::End => understood = true,
        }
    }
    understood
}

/// The frames until the first that is broken.
fn frames(dice: &mut Dice<'_>, piece: usize) -> Vec<Frame> {
    let (mut decoder, mut buffer, mut frames) = (FrameDecoder::default(), BytesMut::new(), Vec::new());
    while !dice.is_empty() {
        buffer.extend_from_slice(dice.bytes(piece));
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
    }
    let _cut = decoder.decode_eof(&mut buffer);
    frames
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(json) else { return false };
    let written = serde_json::to_vec(&value).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), value);
    true
}
