//! Files that are known by a short name.

/// A file that is known by a short name.
#[derive(Debug)]
#[non_exhaustive]
pub struct Known {
    /// The short name.
    pub id: &'static str,
    /// The content of the file.
    pub about: &'static str,
    /// The license of the weights.
    pub license: &'static str,
    /// SHA-256, or its first digits if only those are published; none if no digest is published,
    /// so that a download cannot be verified.
    pub sha256: Option<&'static str>,
    /// Size of the file in bytes, where known.
    pub bytes: Option<u64>,
    /// Places of the same file, tried in turn, each as a [`Source`](crate::Source) is written.
    pub sources: &'static [&'static str],
}

/// The file with the short name `id`.
pub fn known(id: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.id == id)
}

const APACHE: &str = "Apache-2.0";
const BSD: &str = "BSD-3-Clause";
const NVIDIA: &str = "NVIDIA Source Code License (non-commercial)";
const UNSTATED: &str = "not stated";

/// A file behind plain addresses whose digest is not published.
const fn unverified(
    id: &'static str,
    about: &'static str,
    license: &'static str,
    sources: &'static [&'static str],
) -> Known {
    Known { id, about, license, sha256: None, bytes: None, sources }
}

/// A snapshot of the StyleGAN3 model catalog.
macro_rules! stylegan3 {
    ($id:literal, $about:literal) => {
        unverified(
            $id,
            $about,
            NVIDIA,
            &[concat!(
                "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan3/versions/1/files/",
                $id,
                ".pkl"
            )],
        )
    };
}

/// A snapshot of the StyleGAN2 model catalog.
macro_rules! stylegan2 {
    ($id:literal, $about:literal) => {
        unverified(
            $id,
            $about,
            NVIDIA,
            &[concat!(
                "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files/",
                $id,
                ".pkl"
            )],
        )
    };
}

/// A snapshot of the TensorFlow StyleGAN2.
macro_rules! stylegan2_tf {
    ($id:literal, $about:literal, $sha256:literal, $file:literal) => {
        Known {
            id: $id,
            about: $about,
            license: NVIDIA,
            sha256: Some($sha256),
            bytes: None,
            sources: &[
                concat!("https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/", $file),
                concat!("hub:ZeqiangLai/StyleGAN2-pkl/stylegan2/", $file),
            ],
        }
    };
}

/// A classifier of torchvision, whose file name ends in the first digits of its digest.
macro_rules! torchvision {
    ($id:literal, $about:literal, $file:literal, $sha256:literal) => {
        Known {
            id: $id,
            about: $about,
            license: BSD,
            sha256: Some($sha256),
            bytes: None,
            sources: &[concat!(
                "https://download.pytorch.org/models/",
                $file,
                "-",
                $sha256,
                ".pth"
            )],
        }
    };
}

/// A file of the repository of DINOv2.
macro_rules! dinov2 {
    ($id:literal, $about:literal, $path:literal, $sha256:expr, $bytes:expr) => {
        Known {
            id: $id,
            about: $about,
            license: APACHE,
            sha256: $sha256,
            bytes: $bytes,
            sources: &[concat!("https://dl.fbaipublicfiles.com/dinov2/", $path, "_pretrain.pth")],
        }
    };
}

/// An archive of OpenAI, whose address contains its digest.
macro_rules! clip {
    ($id:literal, $about:literal, $file:literal, $sha256:literal) => {
        Known {
            id: $id,
            about: $about,
            license: "MIT",
            sha256: Some($sha256),
            bytes: None,
            sources: &[concat!(
                "https://openaipublic.azureedge.net/clip/models/",
                $sha256,
                "/",
                $file,
                ".pt"
            )],
        }
    };
}

/// All files that are known by a short name.
pub const KNOWN: &[Known] = &[
    Known {
        id: "inception-fid",
        about: "Inception-v3 of 2015-12-05, the network of FID, IS and KID",
        license: APACHE,
        sha256: Some("6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"),
        bytes: Some(95_628_359),
        sources: &[
            "hub:RaphaelLiu/EvalCrafter-Models/pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/\
                 pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/\
                 weights-inception-2015-12-05-6726825d.pth",
        ],
    },
    Known {
        id: "inception-fid-safetensors",
        about: "the same network as safetensors, converted by a third party",
        license: APACHE,
        sha256: Some("b7a528bf4051f62c057bc14657865abf180a23eb1748d00ff0933d84698202ed"),
        bytes: None,
        sources: &["hub:nikhilr01/sen-bridge-weights/fid_inception.safetensors"],
    },
    Known {
        id: "biggan-deep-128",
        about: "BigGAN-deep of ImageNet, 128 x 128",
        license: UNSTATED,
        sha256: Some("b86146a8cfcde4cda135adba4b2806f78b3abe2dac9d0fd090cc3ab318604ad9"),
        bytes: None,
        sources: &[
            "hub:osanseviero/BigGAN-deep-128/pytorch_model.bin",
            "https://s3.amazonaws.com/models.huggingface.co/biggan/\
                 biggan-deep-128-pytorch_model.bin",
        ],
    },
    unverified(
        "biggan-deep-256",
        "BigGAN-deep of ImageNet, 256 x 256",
        UNSTATED,
        &[concat!(
            "https://s3.amazonaws.com/models.huggingface.co/biggan/",
            "biggan-deep-256-pytorch_model.bin"
        )],
    ),
    unverified(
        "biggan-deep-512",
        "BigGAN-deep of ImageNet, 512 x 512",
        UNSTATED,
        &[concat!(
            "https://s3.amazonaws.com/models.huggingface.co/biggan/",
            "biggan-deep-512-pytorch_model.bin"
        )],
    ),
    Known {
        id: "stylegan2-ffhq-512x512",
        about: "faces of FFHQ, 512 x 512",
        license: NVIDIA,
        sha256: Some("d2b1c92f41ce8a64c55f7a75ef06c4c0eef9e17b1eb29aae8c10fb37b3e60478"),
        bytes: None,
        sources: &["hub:DragGan/DragGan-Models/stylegan2-ffhq-512x512.pkl"],
    },
    Known {
        id: "stylegan2-ada-ffhq",
        about: "faces of FFHQ, 1024 x 1024",
        license: NVIDIA,
        sha256: Some("a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c"),
        bytes: Some(381_624_121),
        sources: &[
            "hub:DragGan/DragGan-Models/stylegan2-ffhq1024x1024.pkl",
            "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/ffhq.pkl",
        ],
    },
    unverified(
        "stylegan2-ada-cifar10",
        "CIFAR-10 with its classes, 32 x 32",
        NVIDIA,
        &["https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/cifar10.pkl"],
    ),
    unverified(
        "stylegan2-ada-metfaces",
        "faces in paintings, 1024 x 1024",
        NVIDIA,
        &["https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metfaces.pkl"],
    ),
    stylegan2!("stylegan2-cifar10-32x32", "CIFAR-10, 32 x 32"),
    stylegan2!("stylegan2-ffhq-256x256", "faces of FFHQ, 256 x 256"),
    stylegan2!("stylegan2-ffhq-1024x1024", "faces of FFHQ, 1024 x 1024"),
    stylegan2!("stylegan2-ffhqu-256x256", "unaligned faces of FFHQ, 256 x 256"),
    stylegan2!("stylegan2-ffhqu-1024x1024", "unaligned faces of FFHQ, 1024 x 1024"),
    stylegan2!("stylegan2-metfaces-1024x1024", "faces in paintings, 1024 x 1024"),
    stylegan2!("stylegan2-metfacesu-1024x1024", "unaligned faces in paintings, 1024 x 1024"),
    stylegan2!("stylegan2-afhqv2-512x512", "animal faces, 512 x 512"),
    stylegan2!("stylegan2-afhqcat-512x512", "faces of cats, 512 x 512"),
    stylegan2!("stylegan2-afhqdog-512x512", "faces of dogs, 512 x 512"),
    stylegan2!("stylegan2-afhqwild-512x512", "faces of wild animals, 512 x 512"),
    stylegan2!("stylegan2-brecahad-512x512", "breast tissue, 512 x 512"),
    stylegan2!("stylegan2-celebahq-256x256", "faces of CelebA-HQ, 256 x 256"),
    stylegan2!("stylegan2-lsundog-256x256", "dogs of LSUN, 256 x 256"),
    stylegan3!("stylegan3-t-ffhq-1024x1024", "faces of FFHQ, 1024 x 1024"),
    stylegan3!("stylegan3-t-ffhqu-1024x1024", "unaligned faces of FFHQ, 1024 x 1024"),
    stylegan3!("stylegan3-t-ffhqu-256x256", "unaligned faces of FFHQ, 256 x 256"),
    stylegan3!("stylegan3-t-metfaces-1024x1024", "faces in paintings, 1024 x 1024"),
    stylegan3!("stylegan3-t-metfacesu-1024x1024", "unaligned faces in paintings, 1024 x 1024"),
    stylegan3!("stylegan3-t-afhqv2-512x512", "animal faces, 512 x 512"),
    stylegan3!("stylegan3-r-ffhq-1024x1024", "faces of FFHQ, 1024 x 1024"),
    stylegan3!("stylegan3-r-ffhqu-1024x1024", "unaligned faces of FFHQ, 1024 x 1024"),
    stylegan3!("stylegan3-r-ffhqu-256x256", "unaligned faces of FFHQ, 256 x 256"),
    stylegan3!("stylegan3-r-metfaces-1024x1024", "faces in paintings, 1024 x 1024"),
    stylegan3!("stylegan3-r-metfacesu-1024x1024", "unaligned faces in paintings, 1024 x 1024"),
    stylegan3!("stylegan3-r-afhqv2-512x512", "animal faces, 512 x 512"),
    Known {
        id: "stylegan3-t-lhq-256",
        about: "landscapes, 256 x 256",
        license: "MIT",
        sha256: Some("cdf396b1e68a7da77faa292b3360e97bab42d12f0817016616a2146b8ed4a10a"),
        bytes: None,
        sources: &["hub:justinpinkney/stylegan3-t-lhq-256/lhq-256-stylegan3-t-25Mimg.pkl"],
    },
    stylegan2_tf!(
        "stylegan2-tf-ffhq",
        "faces of FFHQ, 1024 x 1024",
        "adf127ea7bb8a778",
        "stylegan2-ffhq-config-f.pkl"
    ),
    stylegan2_tf!(
        "stylegan2-tf-car",
        "cars of LSUN, 512 x 384",
        "e1618eee2b3ce87c",
        "stylegan2-car-config-f.pkl"
    ),
    stylegan2_tf!(
        "stylegan2-tf-cat",
        "cats of LSUN, 256 x 256",
        "08940fd616cfaf6b",
        "stylegan2-cat-config-f.pkl"
    ),
    stylegan2_tf!(
        "stylegan2-tf-church",
        "churches of LSUN, 256 x 256",
        "4090c5f83b44b834",
        "stylegan2-church-config-f.pkl"
    ),
    stylegan2_tf!(
        "stylegan2-tf-horse",
        "horses of LSUN, 256 x 256",
        "cbc73372c7d82d09",
        "stylegan2-horse-config-f.pkl"
    ),
    Known {
        id: "lpips-vgg",
        about: "the weights of LPIPS on VGG-16",
        license: "BSD-2-Clause",
        sha256: Some("a96ef46bc0b0a064b67e277c15af82caa42278dd79aba0034815ed355e1aaacb"),
        bytes: None,
        sources: &["hub:nikhilr01/sen-bridge-weights/lpips_vgg.safetensors"],
    },
    torchvision!("alexnet", "AlexNet of ImageNet", "alexnet-owt", "7be5be79"),
    torchvision!("vgg11", "VGG-11 of ImageNet", "vgg11", "8a719046"),
    torchvision!("vgg16", "VGG-16 of ImageNet", "vgg16", "397923af"),
    torchvision!("resnet18", "ResNet-18 of ImageNet", "resnet18", "f37072fd"),
    torchvision!("resnet50", "ResNet-50 of ImageNet", "resnet50", "0676ba61"),
    dinov2!(
        "dinov2-vit-s-14",
        "DINOv2, ViT-S/14",
        "dinov2_vits14/dinov2_vits14",
        Some("b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
        Some(88_283_115)
    ),
    dinov2!(
        "dinov2-vit-b-14",
        "DINOv2, ViT-B/14",
        "dinov2_vitb14/dinov2_vitb14",
        Some("0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
        None
    ),
    dinov2!(
        "dinov2-vit-l-14",
        "DINOv2, ViT-L/14, the network of published distances",
        "dinov2_vitl14/dinov2_vitl14",
        Some("d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
        Some(1_217_586_395)
    ),
    dinov2!("dinov2-vit-g-14", "DINOv2, ViT-g/14", "dinov2_vitg14/dinov2_vitg14", None, None),
    dinov2!(
        "dinov2-vit-s-14-reg",
        "DINOv2 with registers, ViT-S/14",
        "dinov2_vits14/dinov2_vits14_reg4",
        None,
        None
    ),
    dinov2!(
        "dinov2-vit-b-14-reg",
        "DINOv2 with registers, ViT-B/14",
        "dinov2_vitb14/dinov2_vitb14_reg4",
        None,
        None
    ),
    dinov2!(
        "dinov2-vit-l-14-reg",
        "DINOv2 with registers, ViT-L/14",
        "dinov2_vitl14/dinov2_vitl14_reg4",
        None,
        None
    ),
    dinov2!(
        "dinov2-vit-g-14-reg",
        "DINOv2 with registers, ViT-g/14",
        "dinov2_vitg14/dinov2_vitg14_reg4",
        None,
        None
    ),
    clip!(
        "clip-vit-b-32",
        "CLIP of OpenAI, ViT-B/32, the network of CLIP-FID",
        "ViT-B-32",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
    ),
    clip!(
        "clip-vit-b-16",
        "CLIP of OpenAI, ViT-B/16",
        "ViT-B-16",
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"
    ),
    clip!(
        "clip-vit-l-14",
        "CLIP of OpenAI, ViT-L/14",
        "ViT-L-14",
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"
    ),
    clip!(
        "clip-vit-l-14-336px",
        "CLIP of OpenAI, ViT-L/14 at 336 pixels, the network of CMMD",
        "ViT-L-14-336px",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    #[test]
    fn rows_are_complete_and_ids_unique() {
        for (index, row) in KNOWN.iter().enumerate() {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            assert!(row.id.bytes().all(plain), "{}", row.id);
            assert!(KNOWN[..index].iter().all(|other| other.id != row.id), "{}", row.id);
            assert!(!row.about.is_empty() && !row.license.is_empty() && !row.sources.is_empty());
            let is_digest = |digits: &str| {
                [8, 16, 64].contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
            };
            assert!(row.sha256.is_none_or(is_digest), "{}", row.id);
            for source in row.sources {
                let parsed: Source = source.parse().unwrap();
                assert_eq!(parsed.to_string(), *source);
                assert!(parsed.url("https://hub").starts_with("https://"));
            }
        }
    }
}
