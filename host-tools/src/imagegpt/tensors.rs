//! The tensors of an ImageGPT.

use igpt_runtime::ImageGptConfig;

use crate::checkpoint::expected::{Head, Tensors};

/// Name (without `transformer.`) and shape of every tensor of the model without a head, in the order of
/// the forward pass.
pub fn body_tensors(config: &ImageGptConfig) -> Vec<(String, Vec<usize>)> {
    let (c, inner) = (config.n_embd, config.inner_dim());
    let mut tensors = vec![
        ("wte.weight".to_owned(), vec![config.vocab_size, c]),
        ("wpe.weight".to_owned(), vec![config.n_positions, c]),
    ];
    for layer in 0..config.n_layer {
        let block = [
            ("ln_1.weight", vec![c]),
            ("attn.c_attn.weight", vec![c, 3 * c]),
            ("attn.c_attn.bias", vec![3 * c]),
            ("attn.c_proj.weight", vec![c, c]),
            ("attn.c_proj.bias", vec![c]),
            ("ln_2.weight", vec![c]),
            ("mlp.c_fc.weight", vec![c, inner]),
            ("mlp.c_fc.bias", vec![inner]),
            ("mlp.c_proj.weight", vec![inner, c]),
            ("mlp.c_proj.bias", vec![c]),
        ];
        tensors.extend(block.map(|(name, shape)| (format!("h.{layer}.{name}"), shape)));
    }
    tensors.push(("ln_f.weight".to_owned(), vec![c]));
    tensors
}

impl Tensors for ImageGptConfig {
    const MODEL: &'static str = "ImageGPT";
    const PARTS: &'static str = "h.";

    fn body(&self) -> Vec<(String, Vec<usize>)> {
        body_tensors(self)
    }

    fn heads(&self) -> Vec<(Head, &'static str, Vec<usize>)> {
        let (labels, colors) = (self.num_labels(), self.num_colors());
        vec![
            (
                Head::Classification,
                "score.weight",
                vec![labels, self.n_embd],
            ),
            (Head::Causal, "lm_head.weight", vec![colors, self.n_embd]),
        ]
    }
}
