//! Which instruction sets there are, which this machine has, and their names on a command line.

use core::fmt;
use core::str::FromStr;

/// Why an instruction set cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// No instruction set has this name.
    Unknown,
    /// This machine's processor does not have it, or the binary was built for another architecture.
    Missing(Isa),
}

/// THE LIST of the instruction sets, slowest first of those of an architecture: one line each, which two macros read. [`declare`] makes
/// the enum, names, detection and layouts of it, `tables.rs` compiles every layer for each. `scalar` is on every machine and in no list.
///
/// ```text
/// Variant  "name"  folder below sets  "architecture"  [features it needs, detected and compiled with]  (mr, nr, kr, offset)  "what multiplies"
/// ```
macro_rules! instruction_sets {
    ($read:ident) => {
        $read! {
            /// x86-64 with AVX2 and FMA (`vpmaddubsw`).
            Avx2 "avx2" x86_64::avx2 "x86_64" ["avx2" "fma"] (4, 16, 4, 0) "vpmaddubsw";
            /// x86-64 with AVX-VNNI (`vpdpbusd` of 256 bits, without AVX-512): Alder Lake to Arrow Lake, N100, Zen 5.
            AvxVnni "avxvnni" x86_64::avxvnni "x86_64" ["avx2" "fma" "avxvnni"] (12, 8, 4, 0x80) "vpdpbusd";
            /// x86-64 with AVX-512 F/BW/VL/DQ and VNNI (`vpdpbusd`).
            Avx512Vnni "avx512vnni" x86_64::avx512vnni "x86_64" ["avx2" "fma" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"] (12, 32, 4, 0x80) "vpdpbusd";
            /// ARMv8.0 NEON (`smull`, `smlal`, `sadalp`): Cortex-A53, A72; Raspberry Pi 3, 4, Zero 2 W.
            Neon "neon" aarch64::neon "aarch64" ["neon"] (4, 4, 16, 0) "smull, smlal2";
            /// ARMv8.2 dot product (`sdot`), and ARMv8.1's rounding multiply-add (`sqrdmlah`), which comes with it: Cortex-A76, A78AE; Raspberry Pi 5, Jetson Orin.
            Dotprod "dotprod" aarch64::dotprod "aarch64" ["neon" "dotprod" "rdm"] (8, 8, 4, 0) "sdot";
            /// ARMv8.6 int8 matrix multiply (`smmla`): Graviton 3, recent phones.
            I8mm "i8mm" aarch64::i8mm "aarch64" ["neon" "i8mm" "dotprod" "rdm"] (8, 8, 8, 0) "smmla";
        }
    };
}
pub(crate) use instruction_sets;

/// Whether this machine has a feature: asked at run time, or, without the standard library, settled when this was compiled.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
macro_rules! detected {
    ($feature:tt) => {
        std::arch::is_x86_feature_detected!($feature)
    };
}
#[cfg(all(feature = "std", target_arch = "aarch64"))]
macro_rules! detected {
    ($feature:tt) => {
        std::arch::is_aarch64_feature_detected!($feature)
    };
}
#[cfg(not(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64"))))]
macro_rules! detected {
    ($feature:tt) => {
        cfg!(target_feature = $feature)
    };
}

/// The enum and all that the list says of each.
macro_rules! declare {
    ($(
        $(#[$doc:meta])*
        $isa:ident $name:literal $($folder:ident)::+ $arch:literal [$($feature:tt)*] $layout:tt $instruction:literal;
    )*) => {
        /// An instruction set that the kernels are built for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Isa {
            /// Plain Rust, any machine. The reference.
            Scalar,
            $($(#[$doc])* $isa,)*
        }

        impl Isa {
            /// Every instruction set, slowest first.
            pub const ALL: [Self; 1 + [$($name),*].len()] = [Self::Scalar, $(Self::$isa),*];

            /// The name on a command line.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Scalar => "scalar",
                    $(Self::$isa => $name,)*
                }
            }

            /// What multiplies.
            pub const fn instruction(self) -> &'static str {
                match self {
                    Self::Scalar => "plain Rust",
                    $(Self::$isa => $instruction,)*
                }
            }

            /// What its tile wants: mr, nr, kr and the offset.
            pub(crate) const fn layout(self) -> (usize, usize, usize, u8) {
                match self {
                    Self::Scalar => (4, 16, 4, 0),
                    $(Self::$isa => $layout,)*
                }
            }

            /// True if this machine can run it.
            pub fn is_available(self) -> bool {
                match self {
                    Self::Scalar => true,
                    $(
                        #[cfg(target_arch = $arch)]
                        Self::$isa => true $(&& detected!($feature))*,
                        #[cfg(not(target_arch = $arch))]
                        Self::$isa => false,
                    )*
                }
            }

            /// The features that [`Isa::is_available`] misses, or the architecture that this machine is not.
            #[cfg(feature = "std")]
            #[must_use]
            pub fn missing(self) -> Vec<&'static str> {
                match self {
                    Self::Scalar => Vec::new(),
                    $(
                        #[cfg(target_arch = $arch)]
                        Self::$isa => [$(($feature, detected!($feature))),*]
                            .into_iter().filter(|(_, here)| !here).map(|(name, _)| name).collect(),
                        #[cfg(not(target_arch = $arch))]
                        Self::$isa => vec![$arch],
                    )*
                }
            }
        }
    };
}
instruction_sets!(declare);

impl Isa {
    /// The instruction sets this machine can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, IsaError> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or(IsaError::Unknown)
    }
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("no such instruction set; known are")?;
                Isa::ALL.iter().try_for_each(|isa| write!(f, " {isa}"))
            }
            Self::Missing(isa) => {
                write!(f, "this machine has no {isa}; it has")?;
                Isa::available().try_for_each(|isa| write!(f, " {isa}"))
            }
        }
    }
}

impl core::error::Error for IsaError {}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_set_is_missing_features_exactly_if_it_is_not_available() {
        for isa in Isa::ALL {
            assert_eq!(
                isa.missing().is_empty(),
                isa.is_available(),
                "{isa}: {:?}",
                isa.missing()
            );
        }
    }
}
