// SPDX-License-Identifier: AGPL-3.0-or-later
//! Lumps of class `Scene`, and of class `Animation`: glTF 2.0, <https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html>, whose sections are
//! named here. All of a file is read and checked away from the frame; what is broken is refused with the reason.

mod accessor;
mod animation;
mod file;
mod json;
mod lent;
mod material;
mod mesh;

use super::{
    texture::{self, Use},
    vertices::pieces,
};
use accessor::{Floats, Numbers};
pub(crate) use animation::{Clip, Pose};
use bevy::{
    image::{
        CompressedImageFormats, ImageAddressMode, ImageFilterMode, ImageSampler, ImageSamplerDescriptor,
    },
    prelude::*,
    render::render_resource::Face,
};
pub(crate) use file::Beside;
use hearth_abi::{
    LumpId,
    scene::{self, LightKind},
};
pub(crate) use lent::{Clips, decode as decode_clips};
use material::{Part, Surface};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// Most nodes under nodes.
const DEPTH_MAX: usize = 64;
/// Most joints of a skin: as many as the renderer takes.
const JOINTS_MAX: usize = bevy::pbr::MAX_JOINTS;

/// Most primitives that all nodes of a file show together: each is something to draw.
const PRIMITIVES_MAX: usize = 65_536;
/// Most joints that all of these have together.
const JOINTS_SHOWN_MAX: usize = 1 << 20;

/// What a file shows.
pub(crate) struct Decoded {
    meshes: Vec<Mesh>,
    images: Vec<Image>,
    materials: Vec<(StandardMaterial, Vec<(Part, usize)>)>,
    skins: Vec<Skin>,
    nodes: Vec<Node>,
    roots: Vec<usize>,
    clips: Vec<Clip>,
    /// Its size in memory.
    pub(crate) weight: usize,
}

/// A node of a model.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) transform: Transform,
    pub(crate) children: Vec<usize>,
    pub(crate) primitives: Vec<Primitive>,
    pub(crate) skin: Option<usize>,
    /// Of its morph targets.
    pub(crate) weights: Vec<f32>,
    pub(crate) light: Option<scene::Light>,
}

/// What is seen at a node.
#[derive(Debug)]
pub(crate) struct Primitive {
    pub(crate) mesh: usize,
    pub(crate) material: usize,
    pub(crate) skinned: bool,
    /// Whether it casts a shadow.
    pub(crate) casts: bool,
}

/// The joints of meshes that bend.
#[derive(Debug)]
pub(crate) struct Skin {
    /// From the mesh to each joint.
    pub(crate) inverse_bind_matrices: Vec<Mat4>,
    /// Nodes.
    pub(crate) joints: Vec<usize>,
}

impl Decoded {
    /// What is given to the renderer first: its pictures and meshes.
    pub(crate) fn take_large(&mut self) -> (Vec<Image>, Vec<Mesh>) {
        (std::mem::take(&mut self.images), std::mem::take(&mut self.meshes))
    }

    /// Its parts for the renderer, in the order in which the others name them, with the pictures and meshes that were
    /// given.
    pub(crate) fn into_parts(self, images: &[Handle<Image>], meshes: Vec<Handle<Mesh>>) -> Parts {
        let materials = self.materials.into_iter().map(|(mut material, textures)| {
            for (part, image) in textures {
                part.put(&mut material, images[image].clone());
            }
            material
        });
        Parts {
            meshes,
            materials: materials.collect(),
            skins: self.skins,
            nodes: self.nodes,
            roots: self.roots,
            clips: self.clips,
        }
    }
}

/// What a model is made of.
pub(crate) struct Parts {
    pub(crate) meshes: Vec<Handle<Mesh>>,
    pub(crate) materials: Vec<StandardMaterial>,
    pub(crate) skins: Vec<Skin>,
    /// All of the file; only those below the roots are shown.
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<usize>,
    pub(crate) clips: Vec<Clip>,
}

/// What became of a file.
pub(crate) enum Outcome<T> {
    /// It was read.
    Whole(T),
    /// It refers to these lumps, which are not here.
    Lacks(BTreeSet<LumpId>),
}

/// Reads a file, with the lumps that it refers to if they are here. `adapter` says which compressed textures can be shown.
pub(crate) fn decode(
    bytes: &[u8],
    beside: &Beside,
    adapter: CompressedImageFormats,
) -> Result<Outcome<Box<Decoded>>, String> {
    let (root, binary) = file::parse(bytes)?;
    let mut lacks = file::lumps(&root, true)?;
    lacks.retain(|lump| !beside.contains_key(lump));
    if !lacks.is_empty() {
        return Ok(Outcome::Lacks(lacks));
    }
    let numbers = Numbers::new(&root, file::buffers(&root, binary, beside)?);
    (0..root.buffer_views.len()).try_for_each(|view| numbers.view(view).map(drop))?;
    let scene = root.scenes.get(root.scene.unwrap_or(0)).ok_or("it has no scene to show")?;
    let parents = parents(&root)?;
    let shown = shown(&root, scene, &parents)?;
    let mut reader = Reader {
        root: &root,
        beside,
        numbers: &numbers,
        adapter,
        quantized: root.extensions_used.iter().any(|name| name == file::QUANTIZED),
        surfaces: HashMap::new(),
        meshes: HashMap::new(),
        materials: HashMap::new(),
        images: HashMap::new(),
        pixels: 0,
        primitives: 0,
        joints: 0,
        out: Decoded {
            meshes: Vec::new(),
            images: Vec::new(),
            materials: Vec::new(),
            skins: Vec::new(),
            nodes: Vec::new(),
            roots: scene.nodes.clone(),
            clips: Vec::new(),
            weight: 0,
        },
    };
    reader.skins(&shown)?;
    for index in 0..root.nodes.len() {
        let node =
            reader.node(index, &shown, &parents).map_err(|reason| format!("node {index}: {reason}"))?;
        reader.out.nodes.push(node);
    }
    let targets: Vec<usize> = reader.out.nodes.iter().map(|node| node.weights.len()).collect();
    reader.out.clips = animation::read(&numbers, &targets)?;
    let mut decoded = reader.out;
    // Numbers of clips and skins stay in memory as they are.
    decoded.weight += numbers.read() as usize * 4;
    Ok(Outcome::Whole(Box::new(decoded)))
}

/// Section 3.5.2: nodes are a forest.
fn parents(root: &json::Root) -> Result<Vec<Option<usize>>, String> {
    let mut parents = vec![None; root.nodes.len()];
    for (i, node) in root.nodes.iter().enumerate() {
        for child in &node.children {
            match parents.get_mut(*child).ok_or("a node has a child that is not there")? {
                Some(_) => return Err("a node has two parents".into()),
                parent => *parent = Some(i),
            }
        }
    }
    for start in 0..parents.len() {
        let depth = std::iter::successors(Some(start), |at| parents[*at]).take(DEPTH_MAX + 1).count();
        if depth > DEPTH_MAX {
            return Err(format!("its nodes are a ring, or more than {DEPTH_MAX} deep"));
        }
    }
    Ok(parents)
}

/// Which nodes are below the roots of the scene.
fn shown(root: &json::Root, scene: &json::Scene, parents: &[Option<usize>]) -> Result<Vec<bool>, String> {
    let mut shown = vec![false; root.nodes.len()];
    let mut next = Vec::new();
    for node in &scene.nodes {
        if parents.get(*node).ok_or("its scene has a node that is not there")?.is_some() {
            return Err("a root of its scene has a parent".into());
        }
        if std::mem::replace(&mut shown[*node], true) {
            return Err("its scene has a node twice".into());
        }
        next.push(*node);
    }
    while let Some(node) = next.pop() {
        for child in &root.nodes[node].children {
            shown[*child] = true;
            next.push(*child);
        }
    }
    Ok(shown)
}

/// What of a mesh was built.
#[derive(Clone)]
struct BuiltMesh {
    meshes: Range<usize>,
    unlit: bool,
    joints: usize,
}

/// A file being read. What several nodes use is built once.
struct Reader<'a> {
    root: &'a json::Root,
    beside: &'a Beside,
    numbers: &'a Numbers<'a>,
    adapter: CompressedImageFormats,
    quantized: bool,
    /// By index.
    surfaces: HashMap<Option<usize>, Surface>,
    /// By mesh, primitive, and whether it is skinned; `None` for what has nothing to see.
    meshes: HashMap<(usize, usize, bool), Option<BuiltMesh>>,
    /// By index, whether it is mirrored, and whether it is in its own colour.
    materials: HashMap<(Option<usize>, bool, bool), usize>,
    /// By texture, and what it is used as.
    images: HashMap<(usize, Use), usize>,
    /// So far, in all pictures.
    pixels: u64,
    /// So far, of all nodes.
    primitives: usize,
    joints: usize,
    out: Decoded,
}

impl Reader<'_> {
    fn skins(&mut self, shown: &[bool]) -> Result<(), String> {
        for (i, skin) in self.root.skins.iter().enumerate() {
            let error = |what: &str| format!("skin {i} {what}");
            if skin.joints.is_empty() || skin.joints.len() > JOINTS_MAX {
                return Err(error(&format!("has no joints, or more than {JOINTS_MAX}")));
            }
            if skin.joints.iter().any(|joint| *joint >= shown.len()) {
                return Err(error("has a joint that is not there"));
            }
            let mut matrices = vec![Mat4::IDENTITY; skin.joints.len()];
            if let Some(index) = skin.inverse_bind_matrices {
                let read = self.numbers.floats::<16>(index, Floats::Only)?;
                if read.len() < matrices.len() {
                    return Err(error("has fewer inverse bind matrices than joints"));
                }
                mesh::within_bounds(&read).map_err(|reason| error(&reason))?;
                matrices = read[..skin.joints.len()].iter().map(Mat4::from_cols_array).collect();
            }
            self.out.skins.push(Skin { inverse_bind_matrices: matrices, joints: skin.joints.clone() });
        }
        Ok(())
    }

    fn node(&mut self, index: usize, shown: &[bool], parents: &[Option<usize>]) -> Result<Node, String> {
        let node = &self.root.nodes[index];
        let mut out = Node {
            name: node.name.clone().unwrap_or_default(),
            transform: transform(node)?,
            children: node.children.clone(),
            primitives: Vec::new(),
            skin: None,
            weights: Vec::new(),
            light: None,
        };
        if let Some(light) = &node.extensions.light {
            let light = self.root.extensions.lights.lights.get(light.light);
            out.light = Some(read_light(light.ok_or("its light is not there")?)?);
        }
        let Some(mesh_index) = node.mesh else { return Ok(out) };
        let mesh = self.root.meshes.get(mesh_index).ok_or("its mesh is not there")?;
        let targets = mesh.primitives.first().map_or(0, |primitive| primitive.targets.len());
        if mesh.primitives.iter().any(|primitive| primitive.targets.len() != targets) {
            return Err("parts of its mesh have different numbers of morph targets".into());
        }
        let weights = node.weights.as_ref().or(mesh.weights.as_ref());
        out.weights = weights.cloned().unwrap_or_else(|| vec![0.0; targets]);
        if out.weights.len() != targets || out.weights.iter().any(|weight| !weight.is_finite()) {
            return Err("the weights are not finite, or not as many as its mesh has morph targets".into());
        }
        if !shown[index] {
            return Ok(out);
        }
        if let Some(skin) = node.skin {
            let skin = self.out.skins.get(skin).ok_or("its skin is not there")?;
            if !skin.joints.iter().all(|joint| shown[*joint]) {
                return Err("its skin has a joint outside the scene".into());
            }
            out.skin = node.skin;
        }
        self.primitives += mesh.primitives.len();
        if self.primitives > PRIMITIVES_MAX {
            return Err(format!("the nodes show more than {PRIMITIVES_MAX} primitives"));
        }
        let joints = node.skin.map_or(0, |skin| self.out.skins[skin].joints.len());
        self.joints += joints * mesh.primitives.len();
        if self.joints > JOINTS_SHOWN_MAX {
            return Err(format!("the nodes show more than {JOINTS_SHOWN_MAX} joints"));
        }
        let mirrored = node.skin.is_none() && is_mirrored(self.root, index, parents);
        for primitive in 0..mesh.primitives.len() {
            let made = self
                .primitive(mesh_index, primitive, node.skin, mirrored)
                .map_err(|reason| format!("mesh {mesh_index}: {reason}"))?;
            out.primitives.extend(made);
        }
        Ok(out)
    }

    fn primitive(
        &mut self,
        mesh: usize,
        primitive: usize,
        skin: Option<usize>,
        mirrored: bool,
    ) -> Result<Vec<Primitive>, String> {
        let from = &self.root.meshes[mesh].primitives[primitive];
        self.surface(from.material)?;
        let surface = &self.surfaces[&from.material];
        let key = (mesh, primitive, skin.is_some());
        let built = match self.meshes.get(&key) {
            Some(known) => known.clone(),
            None => {
                let built = mesh::build(self.numbers, from, surface, self.quantized, skin.is_some())?;
                let known = built.map(|built| {
                    self.out.weight += built.weight;
                    let first = self.out.meshes.len();
                    self.out.meshes.extend(pieces(built.mesh));
                    let meshes = first..self.out.meshes.len();
                    BuiltMesh { meshes, unlit: built.unlit, joints: built.joints }
                });
                self.meshes.insert(key, known.clone());
                known
            }
        };
        let Some(built) = built else { return Ok(Vec::new()) };
        if let Some(skin) = skin
            && built.joints > self.out.skins[skin].joints.len()
        {
            return Err(format!("a vertex names joint {}, which skin {skin} has not", built.joints - 1));
        }
        let casts = surface.casts;
        let material = self.material(from.material, mirrored, built.unlit)?;
        let skinned = built.joints > 0;
        Ok(built.meshes.map(|mesh| Primitive { mesh, material, skinned, casts }).collect())
    }

    /// Reads a material, if it was not yet.
    fn surface(&mut self, index: Option<usize>) -> Result<(), String> {
        if self.surfaces.contains_key(&index) {
            return Ok(());
        }
        let surface = match index {
            None => material::unnamed(),
            Some(index) => {
                let from = self.root.materials.get(index).ok_or("its material is not there")?;
                material::surface(from).map_err(|reason| format!("material {index}: {reason}"))?
            }
        };
        self.surfaces.insert(index, surface);
        Ok(())
    }

    /// A material that was read, with its textures.
    fn material(&mut self, index: Option<usize>, mirrored: bool, unlit: bool) -> Result<usize, String> {
        let key = (index, mirrored, unlit);
        if let Some(known) = self.materials.get(&key) {
            return Ok(*known);
        }
        let surface = &self.surfaces[&index];
        let mut material = surface.material.clone();
        material.unlit |= unlit;
        // Section 3.7.4: what is mirrored is seen from its other side.
        if mirrored && material.cull_mode == Some(Face::Back) {
            material.cull_mode = Some(Face::Front);
        }
        let wanted: Vec<_> =
            surface.textures.iter().map(|slot| (slot.part, slot.texture, slot.usage)).collect();
        let mut textures = Vec::new();
        for (part, texture, usage) in wanted {
            textures.push((part, self.image(texture, usage)?));
        }
        self.out.materials.push((material, textures));
        self.materials.insert(key, self.out.materials.len() - 1);
        Ok(self.out.materials.len() - 1)
    }

    /// The picture of a texture.
    fn image(&mut self, texture: usize, usage: Use) -> Result<usize, String> {
        if let Some(known) = self.images.get(&(texture, usage)) {
            return Ok(*known);
        }
        let from = self.root.textures.get(texture).ok_or_else(|| format!("there is no texture {texture}"))?;
        // Of several pictures the first that can be shown.
        let extended = [&from.extensions.ktx2, &from.extensions.webp];
        let extended = extended.into_iter().filter_map(|source| source.as_ref()?.source);
        let mut found = Err(format!("texture {texture} has no picture"));
        for source in extended.chain(from.source) {
            let read = self.read_image(source, usage);
            if found.is_err() || read.is_ok() {
                found = read.map_err(|reason| format!("image {source}: {reason}"));
            }
            if found.is_ok() {
                break;
            }
        }
        let (mut image, weight) = found?;
        if let Some(sampler) = from.sampler {
            let sampler =
                self.root.samplers.get(sampler).ok_or("a texture has a sampler that is not there")?;
            image.sampler = ImageSampler::Descriptor(read_sampler(sampler));
        }
        self.out.weight += weight;
        self.out.images.push(image);
        self.images.insert((texture, usage), self.out.images.len() - 1);
        Ok(self.out.images.len() - 1)
    }

    fn read_image(&mut self, index: usize, usage: Use) -> Result<(Image, usize), String> {
        let image = self.root.images.get(index).ok_or("it is not there")?;
        let bytes = match (&image.uri, image.buffer_view) {
            (Some(uri), _) => file::resource(uri, self.beside)?,
            (None, Some(view)) => Cow::Borrowed(self.numbers.view(view)?),
            (None, None) => return Err("it has no bytes".into()),
        };
        let (width, height) = texture::size(&bytes)?;
        self.pixels += u64::from(width) * u64::from(height);
        if self.pixels > texture::PIXELS_MAX * 4 {
            return Err("the images have too many pixels together".into());
        }
        texture::decode(&bytes, usage, self.adapter)
    }
}

/// Section 3.5.3: a matrix, or translation, rotation and scale.
fn transform(node: &json::Node) -> Result<Transform, String> {
    let transform = match node.matrix {
        Some(matrix) => Transform::from_matrix(Mat4::from_cols_array(&matrix)),
        None => Transform {
            translation: Vec3::from(node.translation.unwrap_or_default()),
            rotation: Quat::from_array(node.rotation.unwrap_or([0.0, 0.0, 0.0, 1.0])),
            scale: Vec3::from(node.scale.unwrap_or([1.0; 3])),
        },
    };
    let Transform { translation, rotation, scale } = transform;
    if !translation.is_finite() || !rotation.is_finite() || !scale.is_finite() {
        return Err("its transform is not finite".into());
    }
    let rotation = crate::place::sane_rotation(rotation);
    Ok(Transform { translation, rotation, scale })
}

/// Whether the node turns what it shows inside out.
fn is_mirrored(root: &json::Root, index: usize, parents: &[Option<usize>]) -> bool {
    let flips = |at: usize| {
        let node = &root.nodes[at];
        match (node.matrix, node.scale) {
            (Some(matrix), _) => Mat4::from_cols_array(&matrix).determinant() < 0.0,
            (None, Some([x, y, z])) => x * y * z < 0.0,
            (None, None) => false,
        }
    };
    std::iter::successors(Some(index), |at| parents[*at]).filter(|at| flips(*at)).count() % 2 == 1
}

/// KHR_lights_punctual: colours are linear, and intensities of points are in candela.
fn read_light(light: &json::Light) -> Result<scene::Light, String> {
    let (kind, intensity) = match light.kind.as_str() {
        "directional" => (LightKind::Directional, light.intensity),
        "point" => (LightKind::Point, light.intensity * 4.0 * std::f32::consts::PI),
        "spot" => (LightKind::Spot, light.intensity * 4.0 * std::f32::consts::PI),
        other => return Err(format!("its light is of the unknown type `{other}`")),
    };
    let (inner, outer) = (light.spot.inner_cone_angle, light.spot.outer_cone_angle);
    if !(0.0..=outer).contains(&inner) || outer > std::f32::consts::FRAC_PI_2 {
        return Err("the cone of its light is out of range".into());
    }
    Ok(scene::Light {
        kind,
        shadows: false,
        color: light.color,
        intensity,
        range: light.range.unwrap_or(0.0),
        inner_angle: inner,
        outer_angle: outer.min(1.57),
    })
}

/// Section 3.8.4.
fn read_sampler(from: &json::Sampler) -> ImageSamplerDescriptor {
    let address = |wrap: Option<u32>| match wrap {
        Some(33_071) => ImageAddressMode::ClampToEdge,
        Some(33_648) => ImageAddressMode::MirrorRepeat,
        _ => ImageAddressMode::Repeat,
    };
    let (nearest, linear) = (ImageFilterMode::Nearest, ImageFilterMode::Linear);
    let (min, mip, levels) = match from.min_filter {
        Some(9728) => (nearest, nearest, false),
        Some(9729) => (linear, nearest, false),
        Some(9984) => (nearest, nearest, true),
        Some(9985) => (linear, nearest, true),
        Some(9986) => (nearest, linear, true),
        _ => (linear, linear, true),
    };
    let mag = if from.mag_filter == Some(9728) { nearest } else { linear };
    let plain = texture::sampler();
    // The renderer draws out samples only where all is smooth.
    let smooth = [min, mip, mag].iter().all(|filter| *filter == linear);
    ImageSamplerDescriptor {
        address_mode_u: address(from.wrap_s),
        address_mode_v: address(from.wrap_t),
        mag_filter: mag,
        min_filter: min,
        mipmap_filter: mip,
        lod_max_clamp: if levels { plain.lod_max_clamp } else { 0.0 },
        anisotropy_clamp: if smooth { plain.anisotropy_clamp } else { 1 },
        ..plain
    }
}

#[cfg(test)]
mod tests;
