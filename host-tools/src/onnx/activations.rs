//! Activations in standard operators.

use igpt_runtime::Activation;
use igpt_runtime::tools::pb::NodeProto;

use super::nodes::{constant_f32, node, string};

/// `u` to `activated`.
pub(crate) fn activation_nodes(activation: Activation) -> Vec<NodeProto> {
    let gated = |gate: &str| {
        vec![
            node("Sigmoid", &[gate], &["gate"], vec![]),
            node("Mul", &["u", "gate"], &["activated"], vec![]),
        ]
    };
    match activation {
        Activation::QuickGelu => {
            let mut nodes = vec![
                constant_f32("slope", 1.702),
                node("Mul", &["u", "slope"], &["sloped"], vec![]),
            ];
            nodes.extend(gated("sloped"));
            nodes
        }
        Activation::Silu => gated("u"),
        Activation::Gelu => vec![node("Gelu", &["u"], &["activated"], vec![])],
        Activation::GeluNew => {
            vec![node(
                "Gelu",
                &["u"],
                &["activated"],
                vec![string("approximate", "tanh")],
            )]
        }
        Activation::Relu => vec![node("Relu", &["u"], &["activated"], vec![])],
    }
}
