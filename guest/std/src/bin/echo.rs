// SPDX-License-Identifier: AGPL-3.0-or-later
//! Sends every message back to who sent it, byte for byte.
#![cfg_attr(target_arch = "wasm32", no_main)]

hearth_sdk::main!(run);

async fn run() {
    loop {
        let message = hearth_sdk::recv_bytes().await;
        // The sender may be gone, or its mailbox full: its own affair.
        hearth_sdk::send_bytes(message.from, &message.body).ok();
    }
}
