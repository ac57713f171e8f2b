//! Outlier channels put into a checkpoint: what writes a channel is multiplied by a factor and what reads it is divided.

use std::collections::BTreeMap;

use igpt_runtime::ImageGptConfig;

/// Name -> shape and values, row-major.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// xorshift64*: seeds must mean the same injection for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// In [0, 1).
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Which channels get outliers, and on which side of their pair. All but [`Injection::Residual`] leave the model's function as
/// it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Injection {
    /// Both norms' gains, against the rows of `attn.c_attn` and `mlp.c_fc`.
    Gains(Side),
    /// Values, against the rows of `attn.c_proj`.
    Values(Side),
    /// Queries, against keys.
    Queries(Side),
    /// ln_f's gain, against the columns of `lm_head` or `score`.
    Head(Side),
    /// All of the above at once.
    All(Side),
    /// All that writes a channel of the residual stream, against all gains that read it. Exact but for the norms' mean over
    /// all channels.
    Residual(Side),
}

/// What becomes of the first part of a pair; the second gets the inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Multiplied by 30 to 100.
    Up,
    /// Divided.
    Down,
    /// Either, by chance.
    Mixed,
}

/// One part of a pair: a tensor, whether its rows (0) or columns (1) are the channels, and the first of them.
type Part = (String, usize, usize);

impl Injection {
    /// Puts outliers into 1% of the channels, one at least, of every such pair of every layer.
    pub(crate) fn apply(self, tensors: &mut Tensors, config: &ImageGptConfig, seed: u64) {
        let random = &mut Random::new(seed);
        let side = self.side();
        for (writers, readers) in self.pairs(tensors, config) {
            for _ in 0..config.n_embd.div_ceil(100) {
                let channel = (random.next() * config.n_embd as f64) as usize;
                let factor = side.factor(random);
                for (part, factor) in writers
                    .iter()
                    .map(|part| (part, factor))
                    .chain(readers.iter().map(|part| (part, 1.0 / factor)))
                {
                    scale(tensors, part, channel, factor);
                }
            }
        }
    }

    fn side(self) -> Side {
        match self {
            Self::Gains(side) | Self::Values(side) | Self::Queries(side) | Self::Head(side) => side,
            Self::All(side) | Self::Residual(side) => side,
        }
    }

    /// Writers and readers of every pair.
    fn pairs(self, tensors: &Tensors, config: &ImageGptConfig) -> Vec<(Vec<Part>, Vec<Part>)> {
        let part = |name: String, axis, first| (name, axis, first);
        let width = config.n_embd;
        let gains = |layer: usize| {
            let of = |gain: &str, linear: &str| {
                (
                    vec![part(format!("h.{layer}.{gain}.weight"), 0, 0)],
                    vec![part(format!("h.{layer}.{linear}.weight"), 0, 0)],
                )
            };
            [of("ln_1", "attn.c_attn"), of("ln_2", "mlp.c_fc")]
        };
        let linear = |layer: usize, name: &str, first: usize| {
            vec![
                part(format!("h.{layer}.{name}.weight"), 1, first),
                part(format!("h.{layer}.{name}.bias"), 0, first),
            ]
        };
        let values = |layer: usize| {
            let reader = part(format!("h.{layer}.attn.c_proj.weight"), 0, 0);
            (linear(layer, "attn.c_attn", 2 * width), vec![reader])
        };
        let queries = |layer: usize| {
            let name = "attn.c_attn";
            (linear(layer, name, 0), linear(layer, name, width))
        };
        let head = ["lm_head.weight", "score.weight"]
            .into_iter()
            .filter(|head| tensors.contains_key(*head))
            .map(|head| {
                let gain = part("ln_f.weight".into(), 0, 0);
                (vec![gain], vec![part(head.into(), 1, 0)])
            });
        let layers = 0..config.n_layer;
        match self {
            Self::Gains(_) => layers.flat_map(gains).collect(),
            Self::Values(_) => layers.map(values).collect(),
            Self::Queries(_) => layers.map(queries).collect(),
            Self::Head(_) => head.collect(),
            Self::All(_) => layers
                .flat_map(|layer| {
                    gains(layer)
                        .into_iter()
                        .chain([values(layer), queries(layer)])
                })
                .chain(head)
                .collect(),
            Self::Residual(_) => {
                let (mut writers, mut readers) = (Vec::new(), Vec::new());
                writers.extend(["wte.weight", "wpe.weight"].map(|name| part(name.into(), 1, 0)));
                for layer in layers {
                    for name in ["attn.c_proj", "mlp.c_proj"] {
                        writers.extend(linear(layer, name, 0));
                    }
                    for name in ["ln_1", "ln_2"] {
                        readers.push(part(format!("h.{layer}.{name}.weight"), 0, 0));
                    }
                }
                readers.push(part("ln_f.weight".into(), 0, 0));
                vec![(writers, readers)]
            }
        }
    }
}

impl Side {
    fn factor(self, random: &mut Random) -> f32 {
        let factor = (30.0 + 70.0 * random.next()) as f32;
        match self {
            Self::Up => factor,
            Self::Down => 1.0 / factor,
            Self::Mixed if random.next() < 0.5 => factor,
            Self::Mixed => 1.0 / factor,
        }
    }
}

/// Multiplies a row or a column of a matrix, or an element of a vector.
fn scale(tensors: &mut Tensors, (name, axis, first): &Part, channel: usize, factor: f32) {
    let (shape, values) = tensors.get_mut(name).unwrap();
    let columns = if shape.len() == 2 { shape[1] } else { 1 };
    for (i, value) in values.iter_mut().enumerate() {
        let at = if *axis == 0 { i / columns } else { i % columns };
        if at == first + channel {
            *value *= factor;
        }
    }
}
