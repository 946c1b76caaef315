//! The part of ONNX (onnx.proto3, <https://onnx.ai>) with a network's weights and how its nodes are connected.

use std::collections::HashMap;

use prost::Message;

use super::{DType, NamedArray};

#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// Only integer list attributes of a node are read.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
}

impl NodeProto {
    /// Returns a convolution's stride along the first axis; by default 1.
    pub fn stride(&self) -> i64 {
        let strides = self.attribute.iter().find(|a| a.name == "strides");
        strides.and_then(|a| a.ints.first().copied()).unwrap_or(1)
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// 1: the values are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// Reads the initialisers under the file's names.
pub fn read_initialisers(bytes: &[u8]) -> Result<Vec<NamedArray>, String> {
    Ok(Graph::read(bytes)?.arrays)
}

/// Nodes and weights.
pub struct Graph {
    pub nodes: Vec<NodeProto>,
    pub arrays: Vec<NamedArray>,
    places: HashMap<String, usize>,
}

impl Graph {
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let model = ModelProto::decode(bytes).map_err(|e| format!("{e}; the file is cut off or damaged"))?;
        let graph = model.graph.ok_or("there is no graph inside")?;
        let arrays = graph.initializer.into_iter().map(array).collect::<Result<Vec<_>, String>>()?;
        let places = arrays.iter().enumerate().map(|(k, a)| (a.name.clone(), k)).collect();
        Ok(Self { nodes: graph.node, arrays, places })
    }

    /// Returns the initialiser with this name.
    pub fn initialiser(&self, name: &str) -> Option<&NamedArray> {
        self.places.get(name).and_then(|&k| self.arrays.get(k))
    }

    /// Returns the convolution whose weight is the initialiser `name`.
    pub fn convolution_with(&self, name: &str) -> Option<&NodeProto> {
        self.nodes.iter().find(|n| n.op_type == "Conv" && n.input.get(1).is_some_and(|weight| weight == name))
    }

    /// Returns the nodes that read the value `name`.
    pub fn readers(&self, name: &str) -> Vec<&NodeProto> {
        self.nodes.iter().filter(|n| n.input.iter().any(|i| i == name)).collect()
    }
}

fn array(tensor: TensorProto) -> Result<NamedArray, String> {
    let name = tensor.name;
    if tensor.data_location == 1 {
        return Err(format!("`{name}` is stored in another file; save the model with its weights inside"));
    }
    let shape = tensor.dims.iter().map(|&d| usize::try_from(d).map_err(|_| format!("`{name}` has a dimension of {d}")));
    let shape = shape.collect::<Result<Vec<_>, String>>()?;
    // ONNX's TensorProto.DataType.
    let dtype = match tensor.data_type {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        16 => DType::BF16,
        other => return Err(format!("`{name}` has the number format {other}, which is not read")),
    };
    let data = if !tensor.raw_data.is_empty() {
        dtype.floats(&tensor.raw_data)
    } else if !tensor.int64_data.is_empty() {
        tensor.int64_data.iter().map(|&v| v as f32).collect()
    } else if !tensor.double_data.is_empty() {
        tensor.double_data.iter().map(|&v| v as f32).collect()
    } else {
        tensor.float_data
    };
    let wanted = shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side));
    if wanted != Some(data.len()) {
        return Err(format!("`{name}` holds {} numbers for the shape {shape:?}", data.len()));
    }
    Ok(NamedArray { name, shape, dtype, data })
}
