//! The graph with its functions written out: standard operators alone, for runtimes that do not expand
//! model-local functions.
//!
//! A value `y` of the body that the node `transformer.h.0` calls becomes `transformer.h.0/y`, and a node is
//! called as its first output. Initializers stay one each, whoever uses them; so do constants, which come
//! first, one for each value.

use std::collections::BTreeMap;

use prost::Message as _;

use super::pb::{AttributeProto, FunctionProto, GraphProto, NodeProto};

/// `graph` with every call of one of `functions` replaced by that function's body.
pub(super) fn inlined(graph: GraphProto, functions: &[FunctionProto]) -> GraphProto {
    let mut inliner = Inliner {
        functions: functions.iter().map(|f| (f.name(), f)).collect(),
        ..Inliner::default()
    };
    for node in graph.node {
        inliner.add(node);
    }
    let Inliner {
        constants, nodes, ..
    } = inliner;
    GraphProto {
        node: constants.into_iter().chain(nodes).collect(),
        ..graph
    }
}

#[derive(Default)]
struct Inliner<'a> {
    functions: BTreeMap<&'a str, &'a FunctionProto>,
    /// By the bytes of their value, the names of [`Inliner::constants`].
    names: BTreeMap<Vec<u8>, String>,
    constants: Vec<NodeProto>,
    nodes: Vec<NodeProto>,
}

impl Inliner<'_> {
    /// Adds a node whose values have their final names.
    fn add(&mut self, node: NodeProto) {
        let function = (node.domain == super::nodes::DOMAIN)
            .then(|| self.functions.get(node.op_type.as_str()).copied())
            .flatten();
        match function {
            Some(function) => self.add_body(&node, function),
            None => self.nodes.push(node),
        }
    }

    fn add_body(&mut self, call: &NodeProto, function: &FunctionProto) {
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        let arguments = function.input.iter().zip(&call.input);
        for (inside, outside) in arguments.chain(function.output.iter().zip(&call.output)) {
            names.insert(inside, outside.clone());
        }
        for node in &function.node {
            if node.op_type == "Constant" {
                if let Some(output) = node.output.first() {
                    let attribute = node.attribute.iter().map(|a| bound(a, call)).collect();
                    let node = NodeProto {
                        attribute,
                        ..node.clone()
                    };
                    names.insert(output, self.constant(node));
                }
                continue;
            }
            let own = |value: &String| format!("{}/{value}", call.name);
            for output in &node.output {
                names.entry(output).or_insert_with(|| own(output));
            }
            // An empty name is an operand that is left out.
            let renamed = |value: &String| match names.get(value.as_str()) {
                Some(name) => name.clone(),
                None => value.clone(),
            };
            self.add(NodeProto {
                name: node.output.first().map(own).unwrap_or_default(),
                input: node.input.iter().map(renamed).collect(),
                output: node.output.iter().map(renamed).collect(),
                attribute: node.attribute.iter().map(|a| bound(a, call)).collect(),
                ..node.clone()
            });
        }
    }

    /// The name of this constant in the graph.
    fn constant(&mut self, node: NodeProto) -> String {
        let value: Vec<u8> = node
            .attribute
            .iter()
            .flat_map(AttributeProto::encode_length_delimited_to_vec)
            .collect();
        let next = format!("constant.{}", self.names.len());
        let name = self.names.entry(value).or_insert_with(|| {
            self.constants.push(NodeProto {
                name: next.clone(),
                output: vec![next.clone()],
                ..node
            });
            next
        });
        name.clone()
    }
}

/// An attribute of a body's node, with the value that the call gives it where it refers to one.
fn bound(attribute: &AttributeProto, call: &NodeProto) -> AttributeProto {
    let from = &attribute.ref_attr_name;
    match call.attribute.iter().find(|given| given.name == *from) {
        Some(given) if !from.is_empty() => AttributeProto {
            name: attribute.name.clone(),
            ..given.clone()
        },
        _ => attribute.clone(),
    }
}
