// SPDX-License-Identifier: AGPL-3.0-or-later
//! Stand 19: what is broken harms nobody: a checkered box is in its place, and the log of this script has the reason.

use super::{
    model, picture,
    stand::{Build, LOW, across, writing},
};
use hearth_sdk::{abi::mesh::Mesh, prelude::*};

pub(super) fn lumps(number: usize) -> Result<(), Error> {
    let caption = "Files that are damaged on purpose. What cannot be shown is a checkered box, with its reason in the log.";
    let mut stand = Build::new(number, "What is broken", caption);
    stand.bench(LOW);
    let whole = model::reed();
    let short = Lump::put(&whole[..whole.len() / 2])?;
    let garbage = Lump::put(b"This is no picture, whatever it is called.")?;
    let torn = picture::checks(64, 4, [[255; 3], [0; 3]]);
    let torn = Lump::put(&torn[..torn.len() / 3])?;
    let wild = Mesh {
        positions: vec![[0.0; 3], [0.3, 0.0, 0.0], [0.0, 0.3, 0.0]],
        indices: vec![0, 1, 7],
        ..Mesh::default()
    };
    let wild = Lump::put(&wild.encode())?;
    let cube = || Entity::new().mesh(MeshSource::Cuboid([0.4; 3]));
    let with = |lump: Lump| Material { base_color_texture: Some(lump.0), ..matte([0.8; 3]) };
    for (index, (name, entity, why)) in [
        ("half a glTF file", Entity::new().model(short.0).scaled(0.5), "not a glTF 2.0 file"),
        ("garbage as a texture", cube().material(with(garbage)), "none of PNG,\nJPEG, WebP, …"),
        ("a third of a PNG", cube().material(with(torn)), "unexpected\nend of file"),
        (
            "a mesh gone wild",
            Entity::new().mesh(MeshSource::Lump(wild.0)).scaled(0.5),
            "index points\nto no vertex",
        ),
        (
            "a lump nobody has",
            Entity::new().model(LumpId([0x5a; 32])).scaled(0.5),
            "no connected\npeer has it",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let x = across(index, 5);
        stand.add(entity.at(x, LOW.0 + 0.25, LOW.1));
        stand.label(LOW, x, name);
        stand.add(Entity::new().at(x, 1.42, LOW.1 - 0.2).with(writing(why, 0.07)));
    }
    stand.done()
}
