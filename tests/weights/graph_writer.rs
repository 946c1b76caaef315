//! Writes an ONNX file with the graph of a half-width ResNet-50, batch norm folded, as small as its shapes allow. Shares no code with the
//! reader: the protocol buffer is written field by field.

use quarry::detector::weights::expected_shapes;

/// The number in the weight of the layer `name` (and, plus a half, in its bias).
pub fn mark(name: &str) -> f32 {
    name.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)) % 100_003) as f32
}

/// The position of a stage's strides.
#[derive(Clone, Copy, PartialEq)]
pub enum Strides {
    Caffe,
    Torchvision,
}

/// Returns the file; `shuffle` changes the order of nodes and initialisers, the values' names, and how lists of numbers are written.
pub fn resnet50_half_like(shuffle: u64, strides: Strides) -> Vec<u8> {
    let mut graph = Graph::new(shuffle);
    let stem = graph.convolution("conv1", "image", 2);
    let relu = graph.node("Relu", &[&stem]);
    let mut x = graph.node("MaxPool", &[&relu]);
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
            let opens = stage > 0 && block == 0;
            let stride = |here: bool| if opens && here { 2 } else { 1 };
            let a = graph.convolution(&name("conv1"), &x, stride(strides == Strides::Caffe));
            let a = graph.node("Relu", &[&a]);
            let b = graph.convolution(&name("conv2"), &a, stride(strides == Strides::Torchvision));
            let b = graph.node("Relu", &[&b]);
            let c = graph.convolution(&name("conv3"), &b, 1);
            let shortcut =
                if block == 0 { graph.convolution(&name("downsample.0"), &x, stride(true)) } else { x.clone() };
            let sum =
                if block % 2 == 0 { graph.node("Add", &[&c, &shortcut]) } else { graph.node("Add", &[&shortcut, &c]) };
            x = graph.node("Relu", &[&sum]);
        }
    }
    graph.node("AveragePool", &[&x]);
    graph.finish()
}

/// A file with only the stem.
pub fn one_convolution() -> Vec<u8> {
    let mut graph = Graph::new(1);
    graph.convolution("conv1", "image", 2);
    graph.finish()
}

/// The weights of `backbone` under torchvision's names (except those in `left_out`), an additional constant, and of the graph only the
/// convolution that starts the second stage.
pub fn by_name(backbone: &str, strides: Strides, left_out: fn(&str) -> bool) -> Vec<u8> {
    let mut graph = Graph::new(1);
    for (name, shape) in expected_shapes(backbone).unwrap() {
        if !left_out(&name) {
            graph.initialiser(&name, &shape, mark(&name));
        }
    }
    graph.initialiser("onnx::Reshape_7", &[2], 0.0);
    graph.strided(&["x", "layer2.0.conv1.weight"], if strides == Strides::Caffe { 2 } else { 1 });
    graph.finish()
}

struct Graph {
    nodes: Vec<Vec<u8>>,
    initialisers: Vec<Vec<u8>>,
    shuffle: u64,
    count: u64,
}

impl Graph {
    fn new(shuffle: u64) -> Self {
        Self { nodes: Vec::new(), initialisers: Vec::new(), shuffle, count: 0 }
    }

    fn node(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.node_with(kind, inputs, &[])
    }

    fn strided(&mut self, inputs: &[&str], stride: u64) -> String {
        let kernel = self.integers("kernel_shape", &[7, 7]);
        let strides = self.integers("strides", &[stride, stride]);
        self.node_with("Conv", inputs, &[kernel, strides])
    }

    /// An AttributeProto: its numbers one by one, as ONNX writes them, or packed, as allowed by proto3.
    fn integers(&self, name: &str, values: &[u64]) -> Vec<u8> {
        let mut attribute = Vec::new();
        bytes(&mut attribute, 1, name.as_bytes());
        if self.shuffle.is_multiple_of(2) {
            let mut packed = Vec::new();
            for &value in values {
                varint(&mut packed, value);
            }
            bytes(&mut attribute, 8, &packed);
        } else {
            for &value in values {
                number(&mut attribute, 8, value);
            }
        }
        number(&mut attribute, 20, 7);
        attribute
    }

    fn node_with(&mut self, kind: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> String {
        self.count += 1;
        let output = format!("value{}", self.count * 7919 % (1009 + self.shuffle));
        let mut node = Vec::new();
        for input in inputs {
            bytes(&mut node, 1, input.as_bytes());
        }
        bytes(&mut node, 2, output.as_bytes());
        bytes(&mut node, 4, kind.as_bytes());
        for attribute in attributes {
            bytes(&mut node, 5, attribute);
        }
        self.nodes.push(node);
        output
    }

    fn convolution(&mut self, name: &str, input: &str, stride: u64) -> String {
        let shapes = expected_shapes("resnet50-half").unwrap();
        let shape = shapes.into_iter().find(|s| s.0 == format!("{name}.weight")).unwrap().1;
        let (weight, bias) = (format!("w{}", self.count), format!("b{}", self.count));
        self.initialiser(&weight, &shape, mark(name));
        self.initialiser(&bias, &shape[..1], mark(name) + 0.5);
        self.strided(&[input, &weight, &bias], stride)
    }

    fn initialiser(&mut self, name: &str, shape: &[usize], value: f32) {
        let mut tensor = Vec::new();
        for &side in shape {
            number(&mut tensor, 1, side as u64);
        }
        number(&mut tensor, 2, 1);
        bytes(&mut tensor, 8, name.as_bytes());
        let raw: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), shape.iter().product()).flatten().collect();
        bytes(&mut tensor, 9, &raw);
        self.initialisers.push(tensor);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.shuffle.is_multiple_of(2) {
            self.nodes.reverse();
            self.initialisers.reverse();
        }
        let mut graph = Vec::new();
        self.nodes.iter().for_each(|node| bytes(&mut graph, 1, node));
        self.initialisers.iter().for_each(|tensor| bytes(&mut graph, 5, tensor));
        let mut model = Vec::new();
        number(&mut model, 1, 4);
        bytes(&mut model, 2, b"by hand");
        bytes(&mut model, 7, &graph);
        model
    }
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
