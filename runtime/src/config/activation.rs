//! The MLP activations, under the names of Hugging Face's `ACT2FN` table.

use std::fmt;

/// An activation function of the MLP.
///
/// Several of Hugging Face's names are one function: `gelu_pytorch_tanh`, `gelu_python_tanh`,
/// `gelu_accurate` and `gelu_fast` are `gelu_new` with the same polynomial written differently
/// (`gelu_fast` spells sqrt(2/pi) with ten digits, which is closer than f32 resolves),
/// `gelu_python` is `gelu`, and `swish` is `silu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * sigmoid(1.702 * x)`, ImageGPT's own.
    QuickGelu,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
    GeluNew,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Activation {
    /// Every activation, in declaration order.
    pub const ALL: [Self; 5] = [
        Self::QuickGelu,
        Self::Gelu,
        Self::GeluNew,
        Self::Relu,
        Self::Silu,
    ];

    /// The activation Hugging Face calls `name`, or `None` for one we do not have.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "quick_gelu" => Self::QuickGelu,
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_accurate"
            | "gelu_fast" => Self::GeluNew,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            _ => return None,
        })
    }

    /// Hugging Face's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::Relu => "relu",
            Self::Silu => "silu",
        }
    }
}

/// The kernel that computes it.
impl From<Activation> for igpt_kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::QuickGelu => Self::QuickGelu,
            Activation::Gelu => Self::Gelu,
            Activation::GeluNew => Self::GeluNew,
            Activation::Relu => Self::Relu,
            Activation::Silu => Self::Silu,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
