//! What the simulated Ollama has installed, and what each of it would take.

use super::TICK;
use super::chance::digest;
use super::shapes::{self, Dimensions};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{RuntimeFault, RuntimeFaultKind};
use crate::domain::model::{InstalledModel, ModelDetails, ModelName};
use crate::domain::process::BlobDigest;
use crate::domain::shape::Shape;

/// What is known of a model before it is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) family: &'static str,
    pub(super) parameters: &'static str,
    pub(super) quantization: &'static str,
    disk_mib: u64,
    weights_mib: u64,
    /// KV cache of a thousand and twenty-four tokens.
    kv_kib_per_1k: u64,
    compute_mib: u64,
    pub(super) context: u64,
    pub(super) max_context: u64,
    kind: Kind,
    dimensions: Option<Dimensions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Embedding,
    Cloud,
}

/// Sizes follow the shapes of the real ones: layers × heads × width. Of the
/// one with windows, KV is what a context of 8192 takes, over its length.
pub(super) const RECIPES: [Recipe; 7] = [
    Recipe {
        dimensions: Some(shapes::LLAMA_3B),
        ..recipe(
            "llama3.2:3b",
            "llama",
            ["3.2B", "Q4_K_M"],
            [1925, 1918, 114_688, 257, 8192, 131_072],
        )
    },
    Recipe {
        dimensions: Some(shapes::QWEN_3B),
        ..recipe(
            "qwen2.5-coder:3b",
            "qwen2",
            ["3.1B", "Q4_K_M"],
            [1841, 1834, 36_864, 301, 8192, 32_768],
        )
    },
    Recipe {
        dimensions: Some(shapes::QWEN_7B),
        ..recipe("qwen2.5:7b", "qwen2", ["7.6B", "Q4_K_M"], [4466, 4460, 57_344, 304, 8192, 32_768])
    },
    Recipe {
        dimensions: Some(shapes::PHI_MINI),
        ..recipe("phi3:mini", "phi3", ["3.8B", "Q4_0"], [2075, 2074, 393_216, 168, 4096, 131_072])
    },
    Recipe {
        dimensions: Some(shapes::GEMMA_1B),
        ..recipe("gemma3:1b", "gemma3", ["1000M", "Q4_K_M"], [777, 769, 8_320, 130, 8192, 32_768])
    },
    Recipe {
        kind: Kind::Embedding,
        dimensions: Some(shapes::NOMIC_TEXT),
        ..recipe("nomic-embed-text", "nomic-bert", ["137M", "F16"], [261, 261, 0, 24, 2048, 2048])
    },
    Recipe {
        kind: Kind::Cloud,
        ..recipe("gpt-oss:120b-cloud", "gptoss", ["116.8B", "MXFP4"], [0, 0, 0, 0, 0, 131_072])
    },
];

/// `sizes`: disk, weights, KV per 1024 tokens in KiB, compute, context,
/// longest context.
const fn recipe(
    name: &'static str,
    family: &'static str,
    [parameters, quantization]: [&'static str; 2],
    [disk_mib, weights_mib, kv_kib_per_1k, compute_mib, context, max_context]: [u64; 6],
) -> Recipe {
    Recipe {
        name,
        family,
        parameters,
        quantization,
        disk_mib,
        weights_mib,
        kv_kib_per_1k,
        compute_mib,
        context,
        max_context,
        kind: Kind::Text,
        dimensions: None,
    }
}

impl Recipe {
    pub(super) fn model(&self) -> ModelName {
        ModelName::new(self.name)
    }

    pub(super) fn reported(&self, context: u64) -> Bytes {
        let kv = Bytes::kib(self.kv_kib_per_1k * context / 1024);
        Bytes::mib(self.weights_mib + self.compute_mib) + kv
    }

    /// A server's own guess is about the truth: a second or two a gigabyte.
    pub(super) fn load_ticks(&self) -> u32 {
        let millis = (2_600 + self.disk_mib / 2).clamp(3_000, 5_000);
        u32::try_from(u128::from(millis) / TICK.as_millis()).unwrap_or(u32::MAX)
    }

    pub(super) fn installed(&self) -> InstalledModel {
        InstalledModel {
            name: self.model(),
            digest: digest(self.name),
            disk: (self.kind != Kind::Cloud).then(|| Bytes::mib(self.disk_mib)),
            parameters: Some(self.parameters.to_owned()),
            quantization: Some(self.quantization.to_owned()),
            family: Some(self.family.to_owned()),
            max_context: Some(self.max_context),
            capabilities: self.capabilities(),
            modified: "2025-12-20T09:30:00Z".parse().ok(),
            is_cloud: self.kind == Kind::Cloud,
        }
    }

    pub(super) fn details(&self) -> ModelDetails {
        ModelDetails {
            blob: self.blob(),
            architecture: Some(self.family.to_owned()),
            capabilities: self.capabilities(),
            max_context: Some(self.max_context),
            is_cloud: self.kind == Kind::Cloud,
            shape: self.shape().map(Box::new),
            own_context: (self.kind != Kind::Cloud).then_some(self.context),
        }
    }

    /// `None` for what runs elsewhere: a server knows nothing of its insides.
    fn shape(&self) -> Option<Shape> {
        let dimensions = self.dimensions.as_ref()?;
        Some(dimensions.shape(self.family, self.quantization, self.max_context))
    }

    fn capabilities(&self) -> Vec<String> {
        let words: &[&str] = match self.kind {
            Kind::Embedding => &["embedding"],
            Kind::Text if self.family == "qwen2" => &["completion", "tools", "insert"],
            Kind::Text | Kind::Cloud => &["completion", "tools"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    pub(super) fn blob(&self) -> Option<BlobDigest> {
        let is_here = self.kind != Kind::Cloud;
        is_here.then(|| BlobDigest::from_hex(&digest(&format!("blob {}", self.name)))).flatten()
    }
}

pub(super) fn find(name: &ModelName) -> Result<&'static Recipe, RuntimeFault> {
    RECIPES.iter().find(|recipe| recipe.model() == *name).ok_or_else(|| {
        RuntimeFault::new(RuntimeFaultKind::Status(404), format!("model '{name}' not found"))
    })
}

pub(super) fn refuse_cloud(recipe: &Recipe) -> Result<(), RuntimeFault> {
    if recipe.kind != Kind::Cloud {
        return Ok(());
    }
    let detail = format!("{} runs elsewhere and is never loaded here", recipe.name);
    Err(RuntimeFault::new(RuntimeFaultKind::NotAllowed, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_add_up_to_the_weights_of_each_model() {
        for recipe in RECIPES.iter().filter(|recipe| recipe.kind != Kind::Cloud) {
            let shape = recipe.shape().unwrap();
            let (sum, weights) = (shape.weights.total(), Bytes::mib(recipe.weights_mib));
            let share = sum.get() as f64 / weights.get() as f64;
            assert!((0.985..1.005).contains(&share), "{}: {sum} of {weights}", recipe.name);
            assert_eq!(shape.is_embedding, recipe.kind == Kind::Embedding, "{}", recipe.name);
        }
        assert!(RECIPES.iter().any(|recipe| recipe.shape().is_none()));
    }

    #[test]
    fn the_cache_is_as_wide_as_the_shape_says() {
        for recipe in RECIPES.iter().filter(|recipe| recipe.kind == Kind::Text) {
            let shape = recipe.shape().unwrap();
            let width = shape.key_length.unwrap() + shape.value_length.unwrap();
            let per_token = shape.layers * shape.heads_kv.most() * width * 2;
            // KiB of 1024 tokens are bytes of one.
            let simulated = recipe.kv_kib_per_1k;
            match shape.window {
                None => assert_eq!(per_token, simulated, "{}", recipe.name),
                Some(_) => assert!(simulated < per_token, "{}", recipe.name),
            }
        }
    }
}
