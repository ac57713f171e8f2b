//! Which instruction sets there are, which this machine has, and their names on a command line.

use core::fmt;
use core::str::FromStr;

/// An instruction set that the kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, any machine. The reference.
    Scalar,
    /// x86-64 with AVX2 and FMA (`vpmaddubsw`).
    Avx2,
    /// x86-64 with AVX-512 F/BW/VL/DQ and VNNI (`vpdpbusd`).
    Avx512Vnni,
    /// ARMv8.0 NEON (`smull`, `smlal`, `sadalp`): Cortex-A53, A72; Raspberry Pi 3, 4, Zero 2 W.
    Neon,
    /// ARMv8.2 dot product (`sdot`), and ARMv8.1's rounding multiply-add (`sqrdmlah`), which comes with it: Cortex-A76, A78AE; Raspberry Pi 5, Jetson Orin.
    Dotprod,
    /// ARMv8.6 int8 matrix multiply (`smmla`): Graviton 3, recent phones.
    I8mm,
}

/// Why an instruction set cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsaError {
    /// No instruction set has this name.
    Unknown,
    /// This machine's processor does not have it, or the binary was built for another architecture.
    Missing(Isa),
}

impl Isa {
    /// Every instruction set, slowest first.
    pub const ALL: [Self; 6] = [
        Self::Scalar,
        Self::Avx2,
        Self::Avx512Vnni,
        Self::Neon,
        Self::Dotprod,
        Self::I8mm,
    ];

    /// The name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512vnni",
            Self::Neon => "neon",
            Self::Dotprod => "dotprod",
            Self::I8mm => "i8mm",
        }
    }

    /// True if this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
            }
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Self::Avx512Vnni => {
                Self::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512vnni")
            }
            // NEON is part of the aarch64 baseline that Rust targets with hardware floats.
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => true,
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Self::Dotprod => {
                std::arch::is_aarch64_feature_detected!("dotprod")
                    && std::arch::is_aarch64_feature_detected!("rdm")
            }
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Self::I8mm => {
                std::arch::is_aarch64_feature_detected!("i8mm") && Self::Dotprod.is_available()
            }
            _ => false,
        }
    }

    /// The features that [`Isa::is_available`] misses, or the architecture that this machine is not.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        /// Names of the features that this machine lacks.
        macro_rules! lacking {
            ($detected:ident: $($feature:tt)*) => {
                [$(($feature, std::arch::$detected!($feature))),*]
                    .into_iter().filter(|(_, here)| !here).map(|(name, _)| name).collect()
            };
        }
        match self {
            Self::Scalar => Vec::new(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => lacking!(is_x86_feature_detected: "avx2" "fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => lacking!(is_x86_feature_detected:
                "avx2" "fma" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Vec::new(),
            #[cfg(target_arch = "aarch64")]
            Self::Dotprod => lacking!(is_aarch64_feature_detected: "dotprod" "rdm"),
            #[cfg(target_arch = "aarch64")]
            Self::I8mm => lacking!(is_aarch64_feature_detected: "i8mm" "dotprod" "rdm"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512Vnni => vec!["x86_64"],
            #[cfg(not(target_arch = "aarch64"))]
            Self::Neon | Self::Dotprod | Self::I8mm => vec!["aarch64"],
        }
    }

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
