//! A writer of ONNX files just good enough for tests: right ones, and wrong ones no exporter writes.

/// Protobuf bytes under construction.
#[derive(Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }

    pub(crate) fn int(self, field: u64, value: i64) -> Self {
        self.varint(field << 3).varint(value.cast_unsigned())
    }

    pub(crate) fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut grown = self.varint(field << 3 | 2).varint(value.len() as u64);
        grown.0.extend_from_slice(value);
        grown
    }

    pub(crate) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn all<'a>(self, field: u64, values: impl IntoIterator<Item = &'a Bytes>) -> Self {
        values
            .into_iter()
            .fold(self, |bytes, value| bytes.bytes(field, &value.0))
    }
}

pub(crate) const FLOAT: i64 = 1;
pub(crate) const INT64: i64 = 7;
pub(crate) const DOUBLE: i64 = 11;

/// A tensor with raw data.
pub(crate) fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Bytes {
    let tensor = dims
        .iter()
        .fold(Bytes::default(), |tensor, dim| tensor.int(1, *dim));
    tensor.int(2, kind).text(8, name).bytes(9, raw)
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Bytes {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor(name, INT64, &[i64::try_from(values.len()).unwrap()], &raw)
}

pub(crate) fn floats(name: &str, dims: &[i64], values: &[f32]) -> Bytes {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor(name, FLOAT, dims, &raw)
}

/// An axis: a length or a symbol.
#[derive(Clone, Copy)]
pub(crate) enum Dim {
    Is(i64),
    Named(&'static str),
}

pub(crate) fn port(name: &str, kind: i64, dims: &[Dim]) -> Bytes {
    let shape = dims.iter().fold(Bytes::default(), |shape, dim| {
        let dim = match dim {
            Dim::Is(length) => Bytes::default().int(1, *length),
            Dim::Named(symbol) => Bytes::default().text(2, symbol),
        };
        shape.bytes(1, &dim.0)
    });
    let tensor = Bytes::default().int(1, kind).bytes(2, &shape.0);
    Bytes::default()
        .text(1, name)
        .bytes(2, &Bytes::default().bytes(1, &tensor.0).0)
}

pub(crate) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Bytes {
    let node = inputs
        .iter()
        .fold(Bytes::default(), |node, name| node.text(1, name));
    let node = outputs.iter().fold(node, |node, name| node.text(2, name));
    node.text(4, operator)
}

pub(crate) fn int_attribute(node: Bytes, name: &str, value: i64) -> Bytes {
    let attribute = Bytes::default().text(1, name).int(3, value).int(20, 2);
    node.bytes(5, &attribute.0)
}

pub(crate) fn float_attribute(node: Bytes, name: &str, value: f32) -> Bytes {
    let mut attribute = Bytes::default().text(1, name).int(20, 1).varint(2 << 3 | 5);
    attribute.0.extend_from_slice(&value.to_le_bytes());
    node.bytes(5, &attribute.0)
}

pub(crate) fn text_attribute(node: Bytes, name: &str, value: &str) -> Bytes {
    let attribute = Bytes::default().text(1, name).text(4, value).int(20, 3);
    node.bytes(5, &attribute.0)
}

pub(crate) fn ints_attribute(node: Bytes, name: &str, values: &[i64]) -> Bytes {
    let attribute = Bytes::default().text(1, name).int(20, 7);
    let attribute = values.iter().fold(attribute, |a, value| a.int(8, *value));
    node.bytes(5, &attribute.0)
}

pub(crate) fn texts_attribute(node: Bytes, name: &str, values: &[&str]) -> Bytes {
    let attribute = Bytes::default().text(1, name).int(20, 8);
    let attribute = values.iter().fold(attribute, |a, value| a.text(9, value));
    node.bytes(5, &attribute.0)
}

pub(crate) fn graph_attribute(node: Bytes, name: &str, graph: &Bytes) -> Bytes {
    let attribute = Bytes::default().text(1, name).bytes(6, &graph.0).int(20, 5);
    node.bytes(5, &attribute.0)
}

/// A graph with the parts in their places.
#[derive(Clone, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Bytes>,
    pub(crate) weights: Vec<Bytes>,
    pub(crate) inputs: Vec<Bytes>,
    pub(crate) outputs: Vec<Bytes>,
}

impl Graph {
    pub(crate) fn bytes(&self) -> Bytes {
        let graph = Bytes::default()
            .all(1, &self.nodes)
            .text(2, "g")
            .all(5, &self.weights);
        graph.all(11, &self.inputs).all(12, &self.outputs)
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.file_with_opset(17)
    }

    pub(crate) fn file_with_opset(&self, version: i64) -> Vec<u8> {
        let opset = Bytes::default().text(1, "").int(2, version);
        let model = Bytes::default()
            .int(1, 8)
            .bytes(7, &self.bytes().0)
            .bytes(8, &opset.0);
        model.0
    }
}

/// A graph from `x` f32[N] to `y` f32[N] through the nodes.
pub(crate) fn line(nodes: Vec<Bytes>, weights: Vec<Bytes>) -> Graph {
    Graph {
        nodes,
        weights,
        inputs: vec![port("x", FLOAT, &[Dim::Named("N")])],
        outputs: vec![port("y", FLOAT, &[Dim::Named("N")])],
    }
}
