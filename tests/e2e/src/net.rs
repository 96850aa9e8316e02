// SPDX-License-Identifier: AGPL-3.0-or-later
//! Two machines with a wire between them: network namespaces, which only root can make.

use std::process::Command;

/// Two network namespaces, joined by one wire. They go when this is dropped.
pub struct Net {
    names: [String; 2],
}

/// The addresses of the two.
const ADDRESSES: [&str; 2] = ["10.199.77.1", "10.199.77.2"];
/// The name of the wire's end in each.
const DEVICE: &str = "wire";

impl Net {
    /// Makes them.
    ///
    /// # Errors
    /// This user or this system cannot; the reason.
    pub fn new() -> Result<Net, String> {
        let names = ["a", "b"].map(|end| format!("hearth-e2e-{}-{end}", std::process::id()));
        ip(&["netns", "add", &names[0]])?;
        // From now on what was made is removed, also if the rest fails.
        let net = Net { names };
        let [a, b] = &net.names;
        ip(&["netns", "add", b])?;
        ip(&["link", "add", DEVICE, "netns", a, "type", "veth", "peer", "name", DEVICE, "netns", b])?;
        for (name, address) in net.names.iter().zip(ADDRESSES) {
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", DEVICE])?;
            ip(&["-n", name, "link", "set", DEVICE, "up"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(net)
    }

    /// The address of one of the two.
    pub fn address(&self, which: usize) -> &'static str {
        ADDRESSES[which]
    }

    /// What starts a program in one of the two.
    pub fn within(&self, which: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[which]]
    }

    /// Cuts the wire at the second end: nothing is told to anybody, packets are lost.
    pub fn cut(&self) {
        self.wire("down");
    }

    /// Joins the wire.
    pub fn join(&self) {
        self.wire("up");
    }

    fn wire(&self, state: &str) {
        ip(&["-n", &self.names[1], "link", "set", DEVICE, state]).expect("the wire can be switched");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            // The second may not have been made.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("`ip`: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}
