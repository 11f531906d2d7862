//! The globals that a checkpoint may name.

use crate::{Dtype, Error, Result};

/// The meaning of an allowed global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    /// `dict` and its subclasses without behavior of interest.
    Dict,
    /// `set` or `frozenset`.
    Set,
    /// `_codecs.encode`: how protocol 2 spells bytes.
    Encode,
    /// `torch.Size`, a tuple.
    Size,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`.
    RebuildFromType,
    /// `torch.storage._load_from_bytes`.
    LoadFromBytes,
    /// `torch.FloatStorage` and its siblings.
    Storage(Dtype),
    /// `torch_utils.persistence._reconstruct_persistent_obj`.
    PersistentObject,
    /// `dnnlib.tflib.network.Network`.
    TfNetwork,
    /// A class of modules that are pickled with their attributes: those of R3GAN and of the discriminator of
    /// StyleGAN-XL, and those of torch that they are made of.
    Module,
    /// A class of a `TorchScript` archive: a module whose attributes are its state.
    ScriptModule,
    /// `numpy.core.multiarray._reconstruct`: an array whose content is its state.
    NumpyArray,
    /// `numpy.core.numeric._frombuffer`: an array of protocol 5.
    NumpyFromBuffer,
    /// `numpy.core.multiarray.scalar`.
    NumpyScalar,
    /// `numpy.dtype`.
    NumpyDtype,
    /// `dill._dill._import_module`: the name of a module of allowed globals.
    ImportModule,
    /// `dill._dill._get_attr`: a global by its module and its name.
    GetAttr,
    /// A type that is only mentioned; its objects hold no weights.
    Inert,
}

/// Module, name and meaning of each allowed global.
const ALLOWED: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("collections", "defaultdict", Global::Dict),
    ("collections", "Counter", Global::Dict),
    ("dnnlib.util", "EasyDict", Global::Dict),
    ("dnnlib", "EasyDict", Global::Dict),
    ("builtins", "dict", Global::Dict),
    ("builtins", "set", Global::Set),
    ("builtins", "frozenset", Global::Set),
    ("__builtin__", "set", Global::Set),
    ("__builtin__", "frozenset", Global::Set),
    ("_codecs", "encode", Global::Encode),
    ("torch", "Size", Global::Size),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch._tensor", "_rebuild_from_type_v2", Global::RebuildFromType),
    ("torch.storage", "_load_from_bytes", Global::LoadFromBytes),
    ("torch", "BoolStorage", Global::Storage(Dtype::Bool)),
    ("torch", "ByteStorage", Global::Storage(Dtype::U8)),
    ("torch", "CharStorage", Global::Storage(Dtype::I8)),
    ("torch", "ShortStorage", Global::Storage(Dtype::I16)),
    ("torch", "IntStorage", Global::Storage(Dtype::I32)),
    ("torch", "LongStorage", Global::Storage(Dtype::I64)),
    ("torch", "HalfStorage", Global::Storage(Dtype::F16)),
    ("torch", "BFloat16Storage", Global::Storage(Dtype::Bf16)),
    ("torch", "FloatStorage", Global::Storage(Dtype::F32)),
    ("torch", "DoubleStorage", Global::Storage(Dtype::F64)),
    ("torch_utils.persistence", "_reconstruct_persistent_obj", Global::PersistentObject),
    ("dnnlib.tflib.network", "Network", Global::TfNetwork),
    ("numpy.core.multiarray", "_reconstruct", Global::NumpyArray),
    ("numpy._core.multiarray", "_reconstruct", Global::NumpyArray),
    ("numpy.core._multiarray_umath", "_reconstruct", Global::NumpyArray),
    ("numpy._core._multiarray_umath", "_reconstruct", Global::NumpyArray),
    ("numpy.core.numeric", "_frombuffer", Global::NumpyFromBuffer),
    ("numpy._core.numeric", "_frombuffer", Global::NumpyFromBuffer),
    ("numpy.core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy._core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy.core._multiarray_umath", "scalar", Global::NumpyScalar),
    ("numpy._core._multiarray_umath", "scalar", Global::NumpyScalar),
    ("numpy", "dtype", Global::NumpyDtype),
    ("dill._dill", "_import_module", Global::ImportModule),
    ("dill._dill", "_get_attr", Global::GetAttr),
    ("numpy", "ndarray", Global::Inert),
    ("argparse", "Namespace", Global::Inert),
    ("builtins", "list", Global::Inert),
    ("builtins", "int", Global::Inert),
    ("builtins", "float", Global::Inert),
    ("torch", "device", Global::Inert),
    ("torch", "Tensor", Global::Inert),
    ("torch", "float16", Global::Inert),
    ("torch", "bfloat16", Global::Inert),
    ("torch", "float32", Global::Inert),
    ("torch", "float64", Global::Inert),
    ("torch.nn.parameter", "Parameter", Global::Inert),
    ("R3GAN.FusedOperators", "BiasedActivationCUDA", Global::Module),
    ("R3GAN.Networks", "Convolution", Global::Module),
    ("R3GAN.Networks", "DiscriminativeBasis", Global::Module),
    ("R3GAN.Networks", "Discriminator", Global::Module),
    ("R3GAN.Networks", "DiscriminatorStage", Global::Module),
    ("R3GAN.Networks", "DownsampleLayer", Global::Module),
    ("R3GAN.Networks", "GenerativeBasis", Global::Module),
    ("R3GAN.Networks", "Generator", Global::Module),
    ("R3GAN.Networks", "GeneratorStage", Global::Module),
    ("R3GAN.Networks", "ResidualBlock", Global::Module),
    ("R3GAN.Networks", "UpsampleLayer", Global::Module),
    ("R3GAN.Resamplers", "InterpolativeDownsamplerCUDA", Global::Module),
    ("R3GAN.Resamplers", "InterpolativeUpsamplerCUDA", Global::Module),
    ("BaselineGAN.FusedOperators", "BiasedActivationCUDA", Global::Module),
    ("BaselineGAN.Networks", "Convolution", Global::Module),
    ("BaselineGAN.Networks", "DiscriminativeBasis", Global::Module),
    ("BaselineGAN.Networks", "Discriminator", Global::Module),
    ("BaselineGAN.Networks", "DiscriminatorStage", Global::Module),
    ("BaselineGAN.Networks", "DownsampleLayer", Global::Module),
    ("BaselineGAN.Networks", "GenerativeBasis", Global::Module),
    ("BaselineGAN.Networks", "Generator", Global::Module),
    ("BaselineGAN.Networks", "GeneratorStage", Global::Module),
    ("BaselineGAN.Networks", "ResidualBlock", Global::Module),
    ("BaselineGAN.Networks", "UpsampleLayer", Global::Module),
    ("BaselineGAN.Resamplers", "InterpolativeDownsamplerCUDA", Global::Module),
    ("BaselineGAN.Resamplers", "InterpolativeUpsamplerCUDA", Global::Module),
    ("training.networks", "Discriminator", Global::Module),
    ("training.networks", "Generator", Global::Module),
    ("training.networks_baseline", "Discriminator", Global::Module),
    ("training.networks_baseline", "Generator", Global::Module),
    ("pg_modules.blocks", "FeatureFusionBlock", Global::Module),
    ("pg_modules.discriminator", "MultiScaleD", Global::Module),
    ("pg_modules.discriminator", "ProjectedDiscriminator", Global::Module),
    ("pg_modules.discriminator", "SingleDiscCond", Global::Module),
    ("torch.ao.nn.quantized.modules.functional_modules", "FloatFunctional", Global::Module),
    ("torch.nn.quantized.modules.functional_modules", "FloatFunctional", Global::Module),
    ("torch.nn.modules.container", "ModuleDict", Global::Module),
    ("torch.nn.modules.container", "ModuleList", Global::Module),
    ("torch.nn.modules.container", "Sequential", Global::Module),
    ("torch.nn.modules.conv", "Conv2d", Global::Module),
    ("torch.nn.modules.linear", "Identity", Global::Module),
    ("torch.nn.modules.linear", "Linear", Global::Module),
    ("torch.nn.modules.sparse", "Embedding", Global::Module),
    ("torch.nn.modules.module", "_WrappedHook", Global::Inert),
    ("torch.nn.utils.spectral_norm", "SpectralNorm", Global::Inert),
    ("torch.nn.utils.spectral_norm", "SpectralNormLoadStateDictPreHook", Global::Inert),
    ("torch.nn.utils.spectral_norm", "SpectralNormStateDictHook", Global::Inert),
];

/// The package of all classes of a `TorchScript` archive, whose code is in the archive and is not run.
const SCRIPT: &str = "__torch__";

impl Global {
    /// The allowed global `module.name`.
    ///
    /// # Errors
    /// [`Error::ForbiddenGlobal`] for any other.
    pub(crate) fn find(module: &str, name: &str) -> Result<Self> {
        if module.strip_prefix(SCRIPT).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        {
            return Ok(Self::ScriptModule);
        }
        let found = ALLOWED.iter().find(|&&(m, n, _)| (m, n) == (module, name));
        found.map(|&(_, _, global)| global).ok_or_else(|| forbidden(module, name))
    }

    /// Fails unless some allowed global is of this module.
    ///
    /// # Errors
    /// [`Error::ForbiddenGlobal`].
    pub(crate) fn check_module(module: &str) -> Result<()> {
        let known = ALLOWED.iter().any(|&(allowed, ..)| allowed == module);
        if known { Ok(()) } else { Err(forbidden(module, "*")) }
    }
}

fn forbidden(module: &str, name: &str) -> Error {
    let shown = |text: &str| text.chars().take(80).collect();
    Error::ForbiddenGlobal { module: shown(module), name: shown(name) }
}
