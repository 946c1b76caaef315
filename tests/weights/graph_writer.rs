//! Writes an ONNX file with the graph of a half-width ResNet-50, batch norm folded, as small as its shapes allow. Must not share
//! code with the reader: the protocol buffer is written field by field.

use quarry::detector::weights::expected_shapes;

/// The number that stands in the weight of the layer `name` (and, plus a half, in its bias).
pub fn mark(name: &str) -> f32 {
    name.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)) % 100_003) as f32
}

/// The file; `shuffle` changes the order of nodes and initialisers and the values' names.
pub fn resnet50_half_like(shuffle: u64) -> Vec<u8> {
    let mut graph = Graph { nodes: Vec::new(), initialisers: Vec::new(), shuffle, count: 0 };
    let stem = graph.convolution("conv1", "image");
    let relu = graph.node("Relu", &[&stem]);
    let mut x = graph.node("MaxPool", &[&relu]);
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
            let a = graph.convolution(&name("conv1"), &x);
            let a = graph.node("Relu", &[&a]);
            let b = graph.convolution(&name("conv2"), &a);
            let b = graph.node("Relu", &[&b]);
            let c = graph.convolution(&name("conv3"), &b);
            let shortcut = if block == 0 { graph.convolution(&name("downsample.0"), &x) } else { x.clone() };
            let sum =
                if block % 2 == 0 { graph.node("Add", &[&c, &shortcut]) } else { graph.node("Add", &[&shortcut, &c]) };
            x = graph.node("Relu", &[&sum]);
        }
    }
    graph.node("AveragePool", &[&x]);
    graph.finish()
}

/// A file with the stem alone.
pub fn one_convolution() -> Vec<u8> {
    let mut graph = Graph { nodes: Vec::new(), initialisers: Vec::new(), shuffle: 1, count: 0 };
    graph.convolution("conv1", "image");
    graph.finish()
}

struct Graph {
    nodes: Vec<Vec<u8>>,
    initialisers: Vec<Vec<u8>>,
    shuffle: u64,
    count: u64,
}

impl Graph {
    fn node(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.count += 1;
        let output = format!("value{}", self.count * 7919 % (1009 + self.shuffle));
        let mut node = Vec::new();
        for input in inputs {
            bytes(&mut node, 1, input.as_bytes());
        }
        bytes(&mut node, 2, output.as_bytes());
        bytes(&mut node, 4, kind.as_bytes());
        self.nodes.push(node);
        output
    }

    fn convolution(&mut self, name: &str, input: &str) -> String {
        let shapes = expected_shapes("resnet50-half").unwrap();
        let shape = shapes.into_iter().find(|s| s.0 == format!("{name}.weight")).unwrap().1;
        let (weight, bias) = (format!("w{}", self.count), format!("b{}", self.count));
        self.initialiser(&weight, &shape, mark(name));
        self.initialiser(&bias, &shape[..1], mark(name) + 0.5);
        self.node("Conv", &[input, &weight, &bias])
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
