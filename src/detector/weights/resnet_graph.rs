//! Extracts a ResNet from an ONNX graph (batch norm folded into the convolutions) under torchvision's names. Layers are found by walking
//! the graph, never by their names or their order in the file.
//!
//! The walk: stem convolution -> relu -> pooling; then blocks, each a chain of convolutions and a shortcut (nothing, or one convolution)
//! that join in an addition and a relu; a block with a convolution in its shortcut starts a stage.

use super::NamedArray;
use super::onnx::{Graph, NodeProto};

/// The result of the walk.
pub struct ResNetGraph {
    /// `conv1.weight`, `layer1.0.conv1.weight`, ...; each bias becomes a batch norm that only adds.
    pub arrays: Vec<NamedArray>,
    /// Whether the strides are in the position of Caffe's ResNets, see [`is_caffe`].
    pub caffe: bool,
    /// The input of the graph's head (the last block's output), for comparisons.
    pub last_feature: String,
}

/// Walks the graph.
pub fn read(graph: &Graph) -> Result<ResNetGraph, String> {
    let stem =
        graph.nodes.iter().find(|n| is_stem(graph, n)).ok_or("there is no convolution of an RGB image in the graph")?;
    let mut arrays = layer(graph, stem, "conv1", "bn1")?;
    let mut feature = output(stem)?.to_owned();
    let (mut stage, mut block, mut caffe) = (0, 0, false);
    loop {
        feature = after_plain_nodes(graph, &feature)?;
        let Some(paths) = block_paths(graph, &feature)? else {
            return Ok(ResNetGraph { arrays, caffe, last_feature: feature });
        };
        (stage, block) = if paths.shortcut.is_some() { (stage + 1, 0) } else { (stage, block + 1) };
        if let ((2, 0), Some(first)) = ((stage, block), paths.convolutions.first()) {
            caffe = is_caffe(graph, first);
        }
        let prefix = format!("layer{stage}.{block}");
        for (k, node) in paths.convolutions.iter().enumerate() {
            let k = k + 1;
            arrays.extend(layer(graph, node, &format!("{prefix}.conv{k}"), &format!("{prefix}.bn{k}"))?);
        }
        if let Some(node) = paths.shortcut {
            arrays.extend(layer(graph, node, &format!("{prefix}.downsample.0"), &format!("{prefix}.downsample.1"))?);
        }
        paths.sum.clone_into(&mut feature);
    }
}

/// Given `layer2.0.conv1`: whether the 1x1 convolution that starts a stage has the stride. torchvision's ResNets have it in the 3x3 after
/// it; of two 3x3 the first has it in either flavour.
pub fn is_caffe(graph: &Graph, opening: &NodeProto) -> bool {
    let weight = opening.input.get(1).and_then(|name| graph.initialiser(name));
    weight.is_some_and(|w| w.shape.get(2..) == Some(&[1, 1])) && opening.stride() == 2
}

fn is_stem(graph: &Graph, node: &NodeProto) -> bool {
    let weight = node.input.get(1).and_then(|name| graph.initialiser(name));
    node.op_type == "Conv" && weight.is_some_and(|w| w.shape.get(1) == Some(&3))
}

struct BlockPaths<'a> {
    convolutions: Vec<&'a NodeProto>,
    shortcut: Option<&'a NodeProto>,
    /// Output of the addition.
    sum: String,
}

/// Returns the paths from `feature` to the addition that ends its block; `None` if no convolution reads it (the network's end).
fn block_paths<'a>(graph: &'a Graph, feature: &str) -> Result<Option<BlockPaths<'a>>, String> {
    let heads = graph.readers(feature).into_iter().filter(|n| n.op_type == "Conv");
    let mut paths = heads.map(|head| path_to_sum(graph, head)).collect::<Result<Vec<_>, String>>()?;
    paths.sort_by_key(|(convolutions, _)| std::cmp::Reverse(convolutions.len()));
    let mut paths = paths.into_iter();
    let Some((convolutions, sum)) = paths.next() else { return Ok(None) };
    let shortcut = match (paths.next(), paths.next()) {
        (None, _) => None,
        (Some((one, other_sum)), None) if one.len() == 1 && other_sum == sum => one.first().copied(),
        _ => return Err(format!("the block that reads `{feature}` is not a residual block")),
    };
    Ok(Some(BlockPaths { convolutions, shortcut, sum }))
}

/// Returns the convolutions from `head` on, and the output of the addition at their end.
fn path_to_sum<'a>(graph: &'a Graph, head: &'a NodeProto) -> Result<(Vec<&'a NodeProto>, String), String> {
    let mut convolutions = vec![head];
    let mut value = output(head)?;
    for _ in 0..graph.nodes.len() {
        let [reader] = graph.readers(value)[..] else {
            return Err(format!("`{value}` should have one reader in a ResNet"));
        };
        value = output(reader)?;
        match reader.op_type.as_str() {
            "Relu" => {}
            "Conv" => convolutions.push(reader),
            "Add" => return Ok((convolutions, value.to_owned())),
            other => {
                return Err(format!("`{}` is a {other} inside a block, which a ResNet does not have", reader.name));
            }
        }
    }
    Err("the graph has a cycle".to_owned())
}

/// Skips activations and poolings that are a value's only readers.
fn after_plain_nodes(graph: &Graph, value: &str) -> Result<String, String> {
    let mut value = value.to_owned();
    for _ in 0..graph.nodes.len() {
        match graph.readers(&value)[..] {
            [reader] if matches!(reader.op_type.as_str(), "Relu" | "MaxPool" | "Pad") => {
                output(reader)?.clone_into(&mut value);
            }
            _ => return Ok(value),
        }
    }
    Err("the graph has a cycle".to_owned())
}

/// Returns the weight under `name`, and the bias as the batch norm `norm` with weight 1, mean 0, variance 1 (exact with epsilon 0).
fn layer(graph: &Graph, node: &NodeProto, name: &str, norm: &str) -> Result<Vec<NamedArray>, String> {
    let get = |k: usize| node.input.get(k).and_then(|input| graph.initialiser(input));
    let weight = get(1).ok_or_else(|| format!("convolution `{}` has no stored weight", node.name))?;
    let channels = *weight.shape.first().unwrap_or(&0);
    let bias = match get(2) {
        Some(bias) if bias.shape == [channels] => bias.data.clone(),
        Some(bias) => return Err(format!("the bias of `{}` has shape {:?}", node.name, bias.shape)),
        None => vec![0.0; channels],
    };
    let vector = |part: &str, data| NamedArray::new(format!("{norm}.{part}"), vec![channels], data);
    Ok(vec![
        NamedArray::new(format!("{name}.weight"), weight.shape.clone(), weight.data.clone()),
        vector("weight", vec![1.0; channels]),
        vector("bias", bias),
        vector("running_mean", vec![0.0; channels]),
        vector("running_var", vec![1.0; channels]),
    ])
}

fn output(node: &NodeProto) -> Result<&str, String> {
    node.output.first().map(String::as_str).ok_or_else(|| format!("node `{}` has no output", node.name))
}
