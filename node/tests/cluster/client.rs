//! A client of somebody else's making: it speaks the protocol, and says what ours never would.

use protocol::codec::{decode_canonical, encode};
use protocol::digest::{ChainId, Digest, JobId, sha256};
use protocol::engine::ENGINE_ONNX_GEN;
use protocol::genesis::Genesis;
use protocol::job::{JobParams, JobSpec};
use protocol::keys::SecretKey;
use protocol::manifest::{
    CHUNK_BYTES, FileDigest, InputManifest, InputTensor, MANIFEST_VERSION, ModelManifest,
};
use protocol::result::Dtype;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, SubmitJob, TX_VERSION, Transfer, Tx, TxBody};
use protocol::units::{Amount, Fuel, Height};
use serde_json::Value;

use crate::cli::{arg, example, list, number, text};
use crate::cluster::Cluster;

/// A development account with one node's API.
pub(crate) struct Client {
    pub key: SecretKey,
    pub chain: ChainId,
    pub genesis: Genesis,
    api: String,
    agent: ureq::Agent,
}

/// The shipped model with an input that fits it.
pub(crate) struct Digits {
    pub model: ModelManifest,
    pub file: Vec<u8>,
    pub input: InputManifest,
    pub bundle: Vec<u8>,
}

impl Digits {
    /// Puts the model, so that its manifest is the client's own.
    pub(crate) fn put(net: &Cluster) -> Self {
        let path = example("digits/digits.onnx");
        let root = net.ask("alice", &["model", "put", arg(&path)]);
        let shown = net.ask("alice", &["model", "show", text(&root["root"])]);
        let manifest = hex::decode(text(&shown["manifest"])).unwrap();
        let model: ModelManifest = decode_canonical(&manifest).unwrap();
        let bundle = vec![0_u8; 256];
        let input = InputManifest {
            version: MANIFEST_VERSION,
            inputs: vec![InputTensor {
                name: model.inputs[0].name.clone(),
                dtype: Dtype::F32,
                dims: vec![1, 1, 8, 8],
                offset: 0,
            }],
            bundle: FileDigest::of(&bundle),
        };
        let file = std::fs::read(path).unwrap();
        Self {
            model,
            file,
            input,
            bundle,
        }
    }
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Client {
    /// The account of this name, asking alice.
    pub(crate) fn new(net: &Cluster, account: &str) -> Self {
        let accounts = net.testnet("accounts", &[]);
        let row = list(&accounts["accounts"])
            .iter()
            .find(|row| row["name"] == account)
            .unwrap();
        let secret: Digest = text(&row["private_key"]).parse().unwrap();
        let genesis = Genesis::parse(&std::fs::read(net.file("genesis.toml")).unwrap()).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            key: SecretKey::from_bytes(secret.as_bytes()).unwrap(),
            chain: genesis.chain_id,
            genesis,
            api: net.api("alice"),
            agent: agent.into(),
        }
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        let url = format!("{}{path}", self.api);
        let request = self
            .agent
            .post(url)
            .header("content-type", "application/octet-stream");
        answer(request.send(body).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(
            self.agent
                .get(format!("{}{path}", self.api))
                .call()
                .unwrap(),
        )
    }

    pub(crate) fn height(&self) -> u64 {
        number(&self.get("/v1/status").body["height"])
    }

    pub(crate) fn nonce(&self) -> u64 {
        let address = self.key.public().address();
        number(&self.get(&format!("/v1/accounts/{address}")).body["next_nonce"])
    }

    /// A transfer of one unit to itself with everything right: the starting point of every wrong one.
    pub(crate) fn transfer(&self) -> Tx {
        let to = self.key.public().address();
        self.tx(TxBody::Transfer(Transfer {
            to,
            amount: Amount(1),
        }))
    }

    pub(crate) fn tx(&self, body: TxBody) -> Tx {
        let mut tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer: self.key.public(),
            nonce: self.nonce(),
            fee: Amount(0),
            valid_until: Height(self.height() + 100),
            anchor: None,
            body,
        };
        tx.fee = Signed::sign(tx.clone(), &self.key, &self.chain).fee_min();
        tx
    }

    /// Signed for this chain.
    pub(crate) fn sign(&self, tx: Tx) -> Vec<u8> {
        Signed::sign(tx, &self.key, &self.chain).to_bytes()
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        self.post("/v1/tx", bytes)
    }

    /// Puts a file with its manifest.
    fn put(&self, kind: &str, manifest: &[u8], file: &[u8]) -> Answer {
        let path = format!("/v1/blobs/manifests?kind={kind}");
        let first = self.post(&path, manifest);
        if first.status != 200 {
            return first;
        }
        for chunk in file.chunks(CHUNK_BYTES) {
            let url = format!("{}/v1/blobs/{}", self.api, sha256(chunk));
            let request = self
                .agent
                .put(url)
                .header("content-type", "application/octet-stream");
            let put = answer(request.send(chunk).unwrap());
            assert_eq!(put.status, 201, "{put:?}");
        }
        self.post(&path, manifest)
    }

    /// Submits a job for the shipped model.
    pub(crate) fn submit_digits(&self, digits: &Digits) -> JobId {
        let sent = self.submit_blindly(
            (&digits.model, &digits.file),
            (&digits.input, &digits.bundle),
            Fuel(100_000_000),
        );
        sent.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// Submits a job for a model without ever looking at it.
    pub(crate) fn submit_blindly(
        &self,
        (model, file): (&ModelManifest, &[u8]),
        (input, bundle): (&InputManifest, &[u8]),
        fuel_limit: Fuel,
    ) -> Result<JobId, Answer> {
        for (kind, manifest, bytes) in [
            ("model", encode(model), file),
            ("input", encode(input), bundle),
        ] {
            let put = self.put(kind, &manifest, bytes);
            if put.status != 200 {
                return Err(put);
            }
        }
        let k = self.genesis.params.k;
        let spec = JobSpec {
            model_root: model.root(),
            engine: ENGINE_ONNX_GEN,
            input: input.root(),
            params: JobParams::default(),
            fuel_limit,
            k,
            max_price: self.genesis.params.price_min(k, fuel_limit),
            expiry: Height(self.height() + 100),
        };
        let tx = self.tx(TxBody::SubmitJob(SubmitJob {
            spec: spec.clone(),
            sponsor: None,
        }));
        let job = spec.job_id(&self.chain, &self.key.public().address(), tx.nonce);
        let sent = self.send(&self.sign(tx));
        if sent.status == 202 {
            Ok(job)
        } else {
            Err(sent)
        }
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap();
    Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
    }
}
