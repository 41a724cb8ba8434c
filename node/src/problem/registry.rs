//! Every code a person or program can meet, in one table: API, command line and `explain` share it.

use crate::exit::Exit;

/// What is known about a code without knowing the case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Stable name: area, dot, cause.
    pub(crate) code: &'static str,
    /// Status over HTTP.
    pub(crate) status: u16,
    /// How a command ends that meets it.
    pub(crate) exit: Exit,
    /// One line.
    pub(crate) title: &'static str,
    /// What to do next; names a command where there is one.
    pub(crate) hint: &'static str,
}

macro_rules! registry {
    ($($code:literal $status:literal $exit:ident $title:literal $hint:literal;)*) => {
        /// The table, ordered by code.
        pub(crate) const REGISTRY: &[Entry] = &[$(Entry {
            code: $code, status: $status, exit: Exit::$exit, title: $title, hint: $hint,
        }),*];
    };
}

registry! {
    "account.malformed" 400 Usage "This is no account" "An address begins with pal1; on local chains the names of `palisade testnet accounts` work too.";
    "api.address" 400 Usage "This is no address of a node" "Write it as palisade --api http://127.0.0.1:8645.";
    "api.bad_request" 400 Usage "The request is malformed" "The detail says what is wrong with it; `palisade COMMAND --help` shows what is taken.";
    "api.body_too_large" 413 Usage "The body is larger than this route takes" "Send less at once; blobs go in chunks of 256 KiB, as `palisade model put FILE` sends them.";
    "api.forbidden" 403 Refused "This listener does not serve that" "Administration goes through the unix socket of the node's home: palisade --home HOME, on its host.";
    "api.head_too_large" 431 Usage "The head of the request is too large" "Send at most 64 headers and 16 KiB in all.";
    "api.host" 421 Usage "The Host header names another server" "Add the name to `api.authorities` in node.toml; palisade config check.";
    "api.length_required" 411 Usage "A body needs Content-Length" "Send the length; chunked bodies are not taken.";
    "api.method" 405 Usage "This path has no such method" "See the Allow header.";
    "api.not_found" 404 NotFound "There is no such path" "This release may not have it; GET /v1/status is there on every node.";
    "api.overloaded" 503 Unavailable "The node has no room for this request now" "Try again in a moment; palisade status says how busy it is.";
    "api.rate" 429 Unavailable "Too many requests" "Wait for Retry-After, then go on more slowly.";
    "api.redacted" 403 Refused "This part is shown only on a loopback listener" "Ask from the node's own host: palisade net peers.";
    "api.timeout" 504 Unavailable "The node did not answer in time" "Try again; `palisade status` says whether it is alive.";
    "api.unreachable" 503 Unavailable "The node does not answer" "Start one with `palisade testnet up --detach` or `palisade node run`, or name it with --api.";
    "audit.broken" 500 False "The audit log does not verify" "Copy the whole directory before anything else; then compare with palisade audit verify COPY.";
    "audit.missing" 404 NotFound "There is no audit log here" "Name its directory: palisade audit verify HOME/data/audit.";
    "auth.bad_signature" 401 Refused "The request's signature does not verify" "Sign exactly the base that the reference describes, with the key that keyid names.";
    "auth.expired" 401 Refused "The request's signature is not valid at this time" "Compare clocks with the Date header; sign anew.";
    "auth.form" 401 Refused "The signature headers are not in the one accepted form" "See Accept-Signature in the answer.";
    "auth.replay" 401 Refused "This nonce was used before" "Sign anew with a fresh nonce.";
    "auth.required" 401 Refused "This needs a signed request" "Sign it with a wallet or session key; see Accept-Signature.";
    "auth.role" 403 Refused "This key has no role here" "Sign with a wallet key that has an account, or a validator's session key.";
    "blob.digest" 422 Rejected "The bytes do not have the digest in the path" "Hash what you send: PUT /v1/blobs/<sha256 of the body>; palisade model put FILE does.";
    "blob.missing" 404 NotFound "This node does not hold that blob" "Ask another node, or put it first with `palisade model put`.";
    "blob.no_room" 507 Unavailable "The node has no room for that blob" "Ask another node (palisade --api URL); this one's operator raises `storage.blobs` in node.toml.";
    "block.unknown" 404 NotFound "This node has no such block" "palisade status says how high the chain is.";
    "chain.other" 409 Config "The node serves another chain" "Name the right one with palisade --api URL, or the right home with palisade --home HOME.";
    "check.clock" 503 False "The clock is off" "Synchronise it (chrony, systemd-timesyncd), then palisade status --why.";
    "check.commit_age" 503 False "No block was committed for too long" "palisade status --why";
    "check.disk" 503 False "The disk is nearly full" "Free space on the volume of the home's data directory, then palisade doctor.";
    "check.doppelganger" 503 False "Waiting, lest a twin of this node signs too" "Nothing, it ends by itself: palisade status --watch.";
    "check.jail" 503 False "The validator is jailed or tombstoned" "palisade validator status";
    "check.keys" 503 False "A key is missing" "palisade keys list";
    "check.models" 503 False "This processor cannot run models" "Use a processor with AVX2 and FMA (palisade doctor); the node still votes.";
    "check.peers" 503 False "Too few peers" "palisade status --why; see [net] persistent in node.toml.";
    "check.quiesce" 503 False "Told to take no seats" "palisade quiesce --off";
    "check.registered" 503 False "This node's keys belong to no validator" "palisade validator join";
    "check.sandbox" 503 False "The sandbox is closed" "palisade doctor --sandbox";
    "check.seat_bond" 503 False "All of the stake is locked in seats" "Wait for running jobs, or palisade validator bond AMOUNT.";
    "check.signing" 503 False "None of the last 20 blocks carries this validator's signature" "palisade status --why";
    "check.storage" 503 False "Storage does not answer" "See the log; free space; check the disk: palisade doctor.";
    "check.sync" 503 False "The node is behind the chain" "Wait; `palisade status --watch` shows the progress.";
    "check.version" 503 False "Most validators speak a newer release" "Install it, then palisade node run.";
    "code.unknown" 404 NotFound "There is no such code" "palisade explain all";
    "config.chain" 422 Config "The configuration does not fit the chain" "The detail names the value; development keys and chains stay on loopback. Then palisade config check.";
    "config.invalid" 422 Config "The configuration is invalid" "Mend the place in the detail, then palisade config check; palisade config default shows every key.";
    "config.plain" 422 Config "Plaintext off loopback is refused" "Bind to 127.0.0.1, or set allow_plain = true in that section and put a TLS proxy in front; palisade config check.";
    "demo.down" 503 Unavailable "The demo's net did not come down" "palisade testnet down --name demo.";
    "demo.false" 422 False "A fact of the demo is false" "palisade testnet logs; the artefacts stay where they are.";
    "demo.start" 503 Unavailable "The demo could not start" "palisade doctor --sandbox.";
    "demo.timeout" 503 False "The demo ran out of time" "Give it more: palisade demo --timeout 5m; palisade demo --help.";
    "doctor.failed" 500 False "A check failed" "Each failed row names its remedy; then palisade doctor again.";
    "evidence.rejected" 422 Rejected "This is not evidence of anything" "Compare the two messages: one signer, height, round and kind, two values. palisade evidence list.";
    "evidence.unknown" 404 NotFound "No such evidence" "palisade evidence list";
    "faucet.empty" 503 Unavailable "The faucet has nothing left or is not set up on this node" "Ask another node of the testnet: palisade faucet --api URL.";
    "faucet.local_only" 403 Refused "Only local chains have a faucet" "Ask somebody for a transfer: palisade account transfer.";
    "file.unreadable" 404 NotFound "A file cannot be read" "The detail names it: give the right path, and let it be read.";
    "home.exists" 409 Rejected "The home is already there" "Name another with palisade --home HOME; nothing was changed.";
    "home.missing" 404 NotFound "There is no home here" "palisade init --chain GENESIS --genesis-hash HEX --role validator";
    "id.ambiguous" 409 NotFound "Several ids begin like this" "Give more digits of the one that is meant: palisade job list.";
    "input.refused" 422 Rejected "The input is not one that the model takes" "`palisade model show MODEL` lists the names, types and shapes of its inputs; save arrays with numpy.save and give one --input [NAME=]FILE each.";
    "internal" 500 Unexpected "An unexpected error" "This is a bug: report it with the request id and the log.";
    "job.blob_missing" 422 Rejected "This node lacks the job's model or input" "palisade model put FILE, then submit again.";
    "job.hopeless" 422 JobFailed "The job would end without a result" "palisade job estimate shows why; --no-estimate --fuel-limit N submits it all the same.";
    "job.not_paid" 422 JobFailed "The job ended without a paid result" "palisade job show JOB";
    "job.not_queued" 422 Rejected "The job has left its queue" "Only waiting jobs can be cancelled: palisade job show JOB.";
    "job.not_yours" 422 Rejected "The job is somebody else's" "palisade job show JOB names its client; sign as that with --key.";
    "job.unknown" 404 NotFound "No such job" "palisade job list";
    "key.ambiguous" 409 Refused "Several keys would fit" "palisade keys list, then name one with --key NAME.";
    "key.bomb" 422 Refused "The key file asks for absurd work" "It was not made by an honest program; do not open it.";
    "key.dev" 422 Config "A development key off a local chain" "palisade keys new --role ROLE";
    "key.exists" 409 Refused "A key of that name is already there" "palisade keys list; choose another --name, nothing was overwritten.";
    "key.malformed" 422 Refused "The key file is malformed" "Restore it from a backup, or palisade keys import a wallet's words anew.";
    "key.mnemonic" 422 Refused "These words are no BIP-39 mnemonic" "Check the spelling and the order, then palisade keys import again.";
    "key.mode" 403 Refused "Others can read the key file" "chmod 600 FILE; chmod 700 of its directory.";
    "key.moved" 409 Refused "The key was moved to another host" "Use it there, or make a new one: palisade keys new.";
    "key.password" 403 Refused "The password is wrong" "Nothing was changed; try again.";
    "key.password_missing" 403 Refused "There is no password to be had" "Give --password-file FILE, set $CREDENTIALS_DIRECTORY, or run on a terminal.";
    "key.unknown" 404 NotFound "No such key" "palisade keys list";
    "lock.held" 409 SignState "Another process uses this home" "End the process that the detail names; palisade status asks it instead.";
    "mempool.full" 503 Unavailable "The pool is full" "Try again in a moment, or raise the fee.";
    "mempool.replace_fee" 422 Rejected "Another transaction has this nonce" "Wait for it (palisade account show), or pay a tenth more than it does.";
    "mempool.seat_taken" 409 Rejected "The seat has said this already" "Nothing: a seat speaks once.";
    "mempool.signer_full" 429 Unavailable "Too many transactions of one sender are waiting" "Wait until some are included: palisade account show.";
    "model.refused" 422 Rejected "The model is not one that can run" "See the detail: which operator, type or limit. Models that run: palisade model list.";
    "model.unknown" 404 NotFound "This node holds no such model" "palisade model list";
    "node.stopping" 503 Unavailable "The node is stopping" "Ask another node: palisade --api URL.";
    "port.taken" 409 Unavailable "A port is taken" "End the process that holds it, or choose another port in node.toml; palisade doctor shows all ports.";
    "receipt.false" 422 False "The receipt does not verify" "The detail says which part. Fetch it anew from another node: palisade receipt fetch JOB --api URL.";
    "receipt.malformed" 422 False "This is not a receipt" "Fetch it again: palisade receipt fetch JOB.";
    "receipt.not_ended" 409 Unavailable "The job has not ended yet" "palisade job watch JOB";
    "sandbox.attack_succeeded" 500 False "An attack was not stopped" "Do not run jobs on this host; palisade doctor --sandbox.";
    "sandbox.file" 422 Usage "A file cannot be read or written" "The detail names it; palisade sandbox run --help.";
    "sandbox.missing" 404 NotFound "There is no such program" "Give its path: palisade sandbox run ./PROGRAM.";
    "sandbox.program" 422 Usage "This cannot be run in the sandbox" "Only static x86-64 executables can: nothing else is there to be loaded. palisade sandbox run --help.";
    "sandbox.spec" 422 Usage "The sandbox refuses this run" "palisade sandbox run --help; palisade sandbox profile native.";
    "sandbox.tier_too_low" 503 False "The sandbox lacks a layer" "palisade doctor --sandbox";
    "sign_state.exists" 409 SignState "There is a sign-state already" "It is never overwritten: palisade sign-state show, or palisade sign-state import FILE to raise it.";
    "sign_state.malformed" 422 Refused "This is no exported sign-state" "Export it again on the key's former host: palisade sign-state export --to FILE.";
    "sign_state.missing" 409 SignState "A consensus key without its sign-state" "palisade sign-state init --floor HEIGHT, if no other copy ever signed above it.";
    "sign_state.other_key" 409 SignState "The sign-state is of another consensus key" "palisade keys list and palisade sign-state show name the keys; nothing was changed.";
    "staking.jailed" 422 Rejected "The jail term is not over" "palisade validator status says when it can be ended.";
    "staking.not_jailed" 422 Rejected "The validator is not in jail" "Nothing: palisade validator status shows how it stands.";
    "staking.tombstoned" 422 Rejected "The validator double-signed and is out for ever" "palisade validator status; what is left of its stake is paid out when it has matured.";
    "storage.failed" 500 Storage "A durable write failed" "Free space, check the disk (palisade doctor), then palisade node run.";
    "testnet.config" 422 Config "The manifest or a flag is wrong" "See the detail; palisade testnet COMMAND --help.";
    "testnet.false" 422 False "What was claimed is false" "palisade testnet status and palisade testnet logs show the net.";
    "testnet.interrupted" 499 Interrupted "Interrupted before all of it was done" "What was printed covers the part that was.";
    "testnet.left_out" 422 Usage "This build carries no rehearsed misdeeds" "Build with the feature `byzantine`, on by default in the repository.";
    "testnet.not_found" 404 NotFound "There is no such thing in this net" "palisade testnet status";
    "testnet.timeout" 503 Unavailable "It did not become true in time" "palisade testnet status.";
    "testnet.unavailable" 503 Unavailable "The net cannot be reached or did not get ready" "palisade testnet logs";
    "tx.bad_signature" 422 Rejected "The signature does not verify on this chain" "Was it signed for another chain? palisade chain params names this one.";
    "tx.expired" 422 Rejected "The transaction's time is over" "Sign it anew; palisade status says how high the chain is.";
    "tx.fee_too_low" 422 Rejected "The fee is too small" "The detail names the least; palisade account transfer and the like compute it.";
    "tx.inapplicable" 422 Rejected "The ledger refuses this transaction now" "The detail names the rule; palisade tx simulate tries it without sending.";
    "tx.insufficient_balance" 422 Rejected "The balance is too small" "palisade account show; on local chains palisade faucet.";
    "tx.malformed" 400 Rejected "These bytes are no transaction" "Send the canonical bytes of a signed transaction; palisade tx simulate FILE tries them.";
    "tx.nonce_ahead" 422 Rejected "The nonce is too far ahead" "palisade account show says which comes next.";
    "tx.nonce_gap" 422 Rejected "The nonce is too far ahead" "palisade account show says which comes next.";
    "tx.stale_nonce" 422 Rejected "The nonce was used before" "palisade account show says which comes next.";
    "tx.too_long" 422 Rejected "The transaction is longer than any may be" "The detail names the limit.";
    "tx.unknown" 404 NotFound "No such transaction" "It may have expired: palisade account show tells its sender's next nonce.";
    "tx.valid_too_long" 422 Rejected "The transaction would be valid for too long" "Sign it anew with a nearer last height; palisade account transfer and the like compute it.";
    "tx.valid_until" 422 Rejected "The transaction is no longer or not yet valid" "Sign it anew with a nearer last height; palisade account transfer and the like compute it.";
    "usage" 400 Usage "The command line is wrong" "palisade --help";
    "validator.unknown" 404 NotFound "No such validator" "palisade chain validators";
}

/// What stands for every rule of the ledger that has no line of its own: the detail names the rule.
const LEDGER: Entry = Entry {
    code: "ledger",
    status: 422,
    exit: Exit::Rejected,
    title: "The ledger refuses this transaction",
    hint: "The detail names the rule and the values that disagree.",
};

/// The entry of a code: its own line, or the ledger's.
pub(crate) fn entry(code: &str) -> Option<Entry> {
    let own = REGISTRY.iter().find(|entry| entry.code == code).copied();
    own.or_else(|| {
        let rule = ledger::TxError::CODES.iter().find(|rule| **rule == code)?;
        Some(Entry {
            code: rule,
            ..LEDGER
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_ledger_is_explained() {
        for code in ledger::TxError::CODES {
            assert!(
                entry(code).is_some_and(|entry| entry.code == *code),
                "{code}"
            );
        }
        assert!(entry("no.such_code").is_none());
    }

    /// Codes that no command of ours mends: what to do is in a request, a file or the world.
    const NO_COMMAND: [&str; 22] = [
        "api.head_too_large",
        "api.length_required",
        "api.method",
        "api.not_found",
        "api.rate",
        "auth.bad_signature",
        "auth.expired",
        "auth.form",
        "auth.replay",
        "auth.required",
        "auth.role",
        "file.unreadable",
        "internal",
        "key.bomb",
        "key.mode",
        "key.password",
        "key.password_missing",
        "mempool.full",
        "mempool.seat_taken",
        "testnet.interrupted",
        "testnet.left_out",
        "tx.too_long",
    ];

    /// Goal: whoever meets a code is told the next command, and there is such a command.
    #[test]
    fn hints_name_commands_that_there_are() {
        use clap::CommandFactory as _;
        let mut root = crate::cli::Cli::command();
        root.build();
        for entry in REGISTRY {
            let named: Vec<&str> = entry.hint.split("palisade ").skip(1).collect();
            assert_eq!(
                named.is_empty(),
                NO_COMMAND.contains(&entry.code),
                "{}",
                entry.code
            );
            for text in named {
                let plain = |word: &'static str| word.trim_matches(|c| ".,;:`)".contains(c));
                let mut words = text.split(' ').map(plain);
                let mut command = &root;
                // Down to an argument, an option, or a command that has no others below it.
                while command.has_subcommands() {
                    let word = words.next().unwrap_or_default();
                    if word.starts_with("--") || word == "COMMAND" {
                        break;
                    }
                    let found = command.find_subcommand(word);
                    command = found.unwrap_or_else(|| panic!("{}: palisade {text}", entry.code));
                }
            }
        }
    }

    #[test]
    fn registry_is_ordered_and_complete() {
        assert!(REGISTRY.windows(2).all(|pair| pair[0].code < pair[1].code));
        for entry in REGISTRY {
            assert!((400..600).contains(&entry.status), "{}", entry.code);
            assert_ne!(entry.exit, Exit::Ok, "{}", entry.code);
            assert!(!entry.title.is_empty() && !entry.hint.is_empty());
            assert!(
                entry
                    .code
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || "._".contains(c))
            );
        }
    }
}
