// SPDX-License-Identifier: AGPL-3.0-or-later
//! What the renderer needs to draw terminals and text: two materials that share the atlas and the
//! table of glyphs.

use bevy::{
    asset::{embedded_asset, embedded_path, load_embedded_asset},
    ecs::system::SystemParamItem,
    mesh::{MeshVertexAttribute, MeshVertexBufferLayoutRef, VertexFormat},
    pbr::{Material, MaterialPipeline, MaterialPipelineKey},
    prelude::*,
    reflect::TypePath,
    render::{
        render_resource::{
            AsBindGroup, AsBindGroupError, BindGroupLayout, BindGroupLayoutEntry, BindingResources,
            BindingType, BlendComponent, BlendFactor, BlendOperation, BlendState, Buffer, BufferBindingType,
            CompareFunction, DepthBiasState, OwnedBindingResource, RenderPipelineDescriptor, ShaderStages,
            SpecializedMeshPipelineError, TextureSampleType, TextureView, TextureViewDimension,
            UnpreparedBindGroup,
        },
        renderer::RenderDevice,
    },
    shader::ShaderRef,
};
use std::{marker::PhantomData, path::PathBuf};

/// The pen of a vertex, and which corner of its glyph it is.
pub(crate) const PEN: MeshVertexAttribute =
    MeshVertexAttribute::new("Pen", 0x4865_6172_7468_0001, VertexFormat::Float32x4);
/// Added to how near something is: it is drawn after all that is in the scene.
const LAST: f32 = 1e9;
/// Number of a vertex's glyph in the table.
pub(crate) const GLYPH: MeshVertexAttribute =
    MeshVertexAttribute::new("Glyph", 0x4865_6172_7468_0002, VertexFormat::Uint32);

/// What all materials bind.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) table: Buffer,
    pub(crate) atlas: TextureView,
}

impl Shared {
    fn bindings(&self) -> Vec<(u32, OwnedBindingResource)> {
        vec![
            (0, OwnedBindingResource::Buffer(self.table.clone())),
            (1, OwnedBindingResource::TextureView(TextureViewDimension::D2Array, self.atlas.clone())),
        ]
    }

    fn layout() -> Vec<BindGroupLayoutEntry> {
        let atlas = BindingType::Texture {
            sample_type: TextureSampleType::Float { filterable: true },
            view_dimension: TextureViewDimension::D2Array,
            multisampled: false,
        };
        vec![entry(0, ShaderStages::VERTEX_FRAGMENT, STORAGE), entry(1, ShaderStages::FRAGMENT, atlas)]
    }
}

const STORAGE: BindingType = BindingType::Buffer {
    ty: BufferBindingType::Storage { read_only: true },
    has_dynamic_offset: false,
    min_binding_size: None,
};
const UNIFORM: BindingType =
    BindingType::Buffer { ty: BufferBindingType::Uniform, has_dynamic_offset: false, min_binding_size: None };

const fn entry(binding: u32, visibility: ShaderStages, ty: BindingType) -> BindGroupLayoutEntry {
    BindGroupLayoutEntry { binding, visibility, ty, count: None }
}

/// What is written in the scene, of a sort: it binds what all share, then its own buffers from binding 2 on.
#[derive(Asset, TypePath, Clone)]
pub(crate) struct Written<S: Sort> {
    pub(crate) shared: Shared,
    /// As many as [`Sort::BUFFERS`] says.
    pub(crate) buffers: Vec<Buffer>,
    /// Nothing is seen through it.
    pub(crate) is_opaque: bool,
    /// It is drawn over all else, however near that is.
    pub(crate) is_over: bool,
    sort: PhantomData<S>,
}

impl<S: Sort> Written<S> {
    pub(crate) fn new(shared: Shared, buffers: Vec<Buffer>, is_opaque: bool) -> Written<S> {
        Written { shared, buffers, is_opaque, is_over: false, sort: PhantomData }
    }

    /// Over all else, or not.
    pub(crate) fn over(self, is_over: bool) -> Written<S> {
        Written { is_over, ..self }
    }
}

/// What tells sorts of writing apart.
pub(crate) trait Sort: TypePath + Clone + Send + Sync {
    const NAME: &'static str;
    /// Who sees each of its buffers, and what that is.
    const BUFFERS: &'static [(ShaderStages, BindingType)];

    /// Both stages of it.
    fn shader() -> PathBuf;

    /// What a vertex has, in the order of the shader's locations.
    fn attributes() -> Vec<MeshVertexAttribute>;
}

/// A terminal in one place: its cells, and the view.
#[derive(TypePath, Clone)]
pub(crate) struct OfTerminal;
pub(crate) type TerminalMaterial = Written<OfTerminal>;

impl Sort for OfTerminal {
    const NAME: &'static str = "terminal";
    const BUFFERS: &'static [(ShaderStages, BindingType)] =
        &[(ShaderStages::VERTEX_FRAGMENT, STORAGE), (ShaderStages::FRAGMENT, UNIFORM)];

    fn shader() -> PathBuf {
        embedded_path!("terminal.wgsl")
    }

    fn attributes() -> Vec<MeshVertexAttribute> {
        vec![Mesh::ATTRIBUTE_POSITION]
    }
}

/// A text: its colours.
#[derive(TypePath, Clone)]
pub(crate) struct OfLabel;
pub(crate) type LabelMaterial = Written<OfLabel>;

impl Sort for OfLabel {
    const NAME: &'static str = "writing";
    const BUFFERS: &'static [(ShaderStages, BindingType)] = &[(ShaderStages::FRAGMENT, UNIFORM)];

    fn shader() -> PathBuf {
        embedded_path!("label.wgsl")
    }

    fn attributes() -> Vec<MeshVertexAttribute> {
        vec![Mesh::ATTRIBUTE_POSITION, PEN, GLYPH]
    }
}

impl<S: Sort> AsBindGroup for Written<S> {
    /// Whether it is drawn over all else.
    type Data = bool;
    type Param = ();

    fn label() -> &'static str {
        S::NAME
    }

    fn bind_group_data(&self) -> bool {
        self.is_over
    }

    fn unprepared_bind_group(
        &self,
        _layout: &BindGroupLayout,
        _device: &RenderDevice,
        _param: &mut SystemParamItem<'_, '_, ()>,
        _no_bindless: bool,
    ) -> Result<UnpreparedBindGroup, AsBindGroupError> {
        let mut bindings = self.shared.bindings();
        bindings.extend((2..).zip(self.buffers.iter().cloned().map(OwnedBindingResource::Buffer)));
        Ok(UnpreparedBindGroup { bindings: BindingResources(bindings) })
    }

    fn bind_group_layout_entries(_device: &RenderDevice, _no_bindless: bool) -> Vec<BindGroupLayoutEntry> {
        let mut entries = Shared::layout();
        entries.extend(
            (2..).zip(S::BUFFERS).map(|(binding, (visibility, ty))| entry(binding, *visibility, *ty)),
        );
        entries
    }
}

impl<S: Sort> Material for Written<S> {
    fn vertex_shader() -> ShaderRef {
        path(S::shader())
    }

    fn fragment_shader() -> ShaderRef {
        path(S::shader())
    }

    fn alpha_mode(&self) -> AlphaMode {
        if self.is_opaque { AlphaMode::Opaque } else { AlphaMode::Blend }
    }

    fn depth_bias(&self) -> f32 {
        if self.is_over { LAST } else { 0.0 }
    }

    fn enable_prepass() -> bool {
        false
    }

    fn enable_shadows() -> bool {
        false
    }

    fn specialize(
        _pipeline: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        layout: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let attributes: Vec<_> = (0..)
            .zip(S::attributes())
            .map(|(location, attribute)| attribute.at_shader_location(location))
            .collect();
        descriptor.vertex.buffers = vec![layout.0.get_layout(&attributes)?];
        in_own_colors(descriptor);
        if let (true, Some(depth)) = (key.bind_group_data, &mut descriptor.depth_stencil) {
            depth.depth_compare = Some(CompareFunction::Always);
            depth.bias = DepthBiasState::default();
        }
        Ok(())
    }
}

fn path(path: PathBuf) -> ShaderRef {
    ShaderRef::Path(bevy::asset::AssetPath::from_path_buf(path).with_source("embedded"))
}

/// Colours are premultiplied, both sides are drawn, and what is covered has an opacity of 0 in the
/// picture: that tells the tone mapping to leave it as it is.
fn in_own_colors(descriptor: &mut RenderPipelineDescriptor) {
    descriptor.primitive.cull_mode = None;
    let Some(fragment) = &mut descriptor.fragment else { return };
    for target in fragment.targets.iter_mut().flatten() {
        let rest = if target.blend.is_some() { BlendFactor::OneMinusSrcAlpha } else { BlendFactor::Zero };
        let part =
            |src_factor| BlendComponent { src_factor, dst_factor: rest, operation: BlendOperation::Add };
        target.blend = Some(BlendState { color: part(BlendFactor::One), alpha: part(BlendFactor::Zero) });
    }
}

/// Makes the materials known, and has their shaders loaded before they are needed.
pub(crate) fn build(app: &mut App) -> [Handle<Shader>; 3] {
    embedded_asset!(app, "glyph.wgsl");
    embedded_asset!(app, "terminal.wgsl");
    embedded_asset!(app, "label.wgsl");
    app.add_plugins((
        MaterialPlugin::<TerminalMaterial>::default(),
        MaterialPlugin::<LabelMaterial>::default(),
    ));
    [
        load_embedded_asset!(app, "glyph.wgsl"),
        load_embedded_asset!(app, "terminal.wgsl"),
        load_embedded_asset!(app, "label.wgsl"),
    ]
}
