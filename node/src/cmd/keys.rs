//! `palisade keys …`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::keys::SecretKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Context;
use crate::clock;
use crate::exit::Exit;
use crate::keys::file::{self, Found};
use crate::keys::keystore::{KEY_FILE_BYTES_MAX, Keystore, Label};
use crate::keys::password::{self, Purpose};
use crate::keys::{Role, bip32, dev};
use crate::problem::refuse;

/// What to do with keys.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Make a key. Wallets and operators come with 24 words, shown once; the others never do.
    New {
        /// What it may sign.
        #[arg(long, value_enum)]
        role: Role,
        /// Its name.
        #[arg(long, default_value = "main")]
        name: String,
    },
    /// Take a key from words or from another version 3 key file.
    Import {
        /// What it may sign.
        #[arg(long, value_enum)]
        role: Role,
        /// Its name.
        #[arg(long, default_value = "main")]
        name: String,
        /// A file with the words, mode 0600.
        #[arg(long, value_name = "FILE", conflicts_with = "keystore")]
        mnemonic_file: Option<PathBuf>,
        /// Which key of the words.
        #[arg(long, default_value_t = 0)]
        index: u32,
        /// A version 3 key file; --password-file is its password and becomes the new one's.
        #[arg(long, value_name = "FILE")]
        keystore: Option<PathBuf>,
    },
    /// List the home's keys.
    List,
    /// Show one key's public half.
    Show {
        /// Its name.
        name: String,
        /// Its role, if several roles share the name.
        #[arg(long, value_enum)]
        role: Option<Role>,
    },
    /// Change a key's password.
    Passwd {
        /// Its name.
        name: String,
        /// Its role, if several roles share the name.
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// A file with the new password, mode 0600.
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Write a wallet's or operator's key file elsewhere, encrypted as it is.
    Export {
        /// Its name.
        name: String,
        /// Its role.
        #[arg(long, value_enum, default_value = "wallet")]
        role: Role,
        /// Where to.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    match verb {
        Verb::New { role, name } => new(context, *role, name),
        Verb::Import {
            role,
            name,
            mnemonic_file,
            index,
            keystore,
        } => {
            let key = match (mnemonic_file, keystore) {
                (Some(path), _) => from_words(path, *role, *index)?,
                (None, Some(path)) => from_keystore(context, path)?,
                (None, None) => refuse!("api.bad_request", "give --mnemonic-file or --keystore"),
            };
            keep(context, *role, name, &key, None)
        }
        Verb::List => list(context),
        Verb::Show { name, role } => {
            let found = find(context, name, *role)?;
            let shown = describe(&found)?;
            let human = line(&found)?;
            context
                .output
                .document(&with_schema(shown, "palisade.key/1"), || human);
            Ok(Exit::Ok)
        }
        Verb::Passwd {
            name,
            role,
            new_password_file,
        } => {
            let found = find(context, name, *role)?;
            passwd(context, &found, new_password_file.as_deref())
        }
        Verb::Export { name, role, to } => export(context, name, *role, to),
    }
}

fn new(context: &Context, role: Role, name: &str) -> Result<Exit> {
    file::check_name(name)?;
    if role.is_hot() {
        return keep(context, role, name, &testnet::home::random_key()?, None);
    }
    let words = bip32::fresh_mnemonic()?;
    let key = bip32::derive(&words, role, 0)?;
    keep(context, role, name, &key, Some(words))
}

fn keep(
    context: &Context,
    role: Role,
    name: &str,
    key: &SecretKey,
    words: Option<Zeroizing<String>>,
) -> Result<Exit> {
    let given = context.global.password_file.as_deref();
    let password = password::find(given, Purpose::New)?;
    let path = file::create(
        &context.home.keys(),
        name,
        key,
        &password,
        label(role, key, false),
    )?;
    let found = file::load(&path)?;
    let mut shown = with_schema(describe(&found)?, "palisade.key/1");
    if let Some(words) = &words {
        shown["mnemonic"] = json!(words.as_str());
        shown["path"] = json!(bip32::path(role, 0));
    }
    let human = line(&found)?;
    context.output.document(&shown, || match words {
        Some(words) => format!(
            "{human}\n\nWrite these words down. They are shown once and are the only backup:\n\n  {}\n",
            words.as_str()
        ),
        None => format!("{human}\nThis key stays on this host and has no backup by design."),
    });
    Ok(Exit::Ok)
}

/// The label of a key made now.
pub(crate) fn label(role: Role, key: &SecretKey, dev: bool) -> Label {
    Label {
        role,
        public_key: key.public().to_string(),
        created: clock::rfc3339(clock::unix_seconds()),
        dev,
        moved: false,
    }
}

fn from_words(path: &Path, role: Role, index: u32) -> Result<SecretKey> {
    file::check_mode(path).map_err(file::named)?;
    let bytes = file::read_given(path, KEY_FILE_BYTES_MAX, "key.mnemonic")?;
    let bytes = Zeroizing::new(bytes);
    let words = std::str::from_utf8(&bytes)?;
    if words.trim() == dev::MNEMONIC {
        refuse!(
            "key.dev",
            "these words are public; local chains use them without a file"
        );
    }
    Ok(bip32::derive(words, role, index)?)
}

fn from_keystore(context: &Context, path: &Path) -> Result<SecretKey> {
    let store = file::read_keystore(path).map_err(file::named)?;
    let given = context.global.password_file.as_deref();
    Ok(store.open(&password::find(given, Purpose::Open)?)?)
}

fn find(context: &Context, name: &str, role: Option<Role>) -> Result<Found> {
    let mut fitting = file::list(&context.home.keys())?
        .into_iter()
        .filter(|found| found.name == name && role.is_none_or(|role| role == found.label.role));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => refuse!(
            "key.ambiguous",
            "several roles have a key {name}: add --role"
        ),
        (None, _) => refuse!("key.unknown", "{name} in {}", context.home.keys().display()),
    }
}

fn describe(found: &Found) -> Result<Value> {
    let public = found.public()?;
    let peer = (found.label.role == Role::Peer).then(|| crate::peer_id::of(&public));
    Ok(json!({
        "name": found.name, "role": found.label.role, "public_key": found.label.public_key,
        "address": public.address().to_string(), "peer_id": peer, "created": found.label.created,
        "dev": found.label.dev, "moved": found.label.moved, "file": found.path.display().to_string(),
    }))
}

fn with_schema(mut value: Value, schema: &str) -> Value {
    value["schema"] = json!(schema);
    value
}

fn line(found: &Found) -> Result<String> {
    let public = found.public()?;
    let id = match found.label.role {
        Role::Peer => crate::peer_id::of(&public),
        Role::Wallet | Role::Operator => public.address().to_string(),
        Role::Consensus | Role::Session => public.to_string(),
    };
    let dev = if found.label.dev { dev::WARNING } else { "" };
    Ok(format!(
        "{:<10} {:<12} {id} {dev}",
        found.label.role.as_str(),
        found.name
    ))
}

fn list(context: &Context) -> Result<Exit> {
    let found = file::list(&context.home.keys())?;
    let keys = found.iter().map(describe).collect::<Result<Vec<_>>>()?;
    let lines = found.iter().map(line).collect::<Result<Vec<_>>>()?;
    let document = json!({"schema": "palisade.keys/1", "keys": keys});
    context
        .output
        .document(&document, || match lines.is_empty() {
            true => format!("no keys in {}", context.home.keys().display()),
            false => lines.join("\n"),
        });
    Ok(Exit::Ok)
}

fn passwd(context: &Context, found: &Found, new: Option<&Path>) -> Result<Exit> {
    let given = context.global.password_file.as_deref();
    let key = match (found.label.dev, given) {
        (true, None) => found.open(b"")?,
        _ => found.open(&password::find(given, Purpose::Open)?)?,
    };
    let password = password::find(new, Purpose::New)?;
    let store = Keystore::seal(&key, &password, found.label.clone())?;
    file::write_private(&found.path, store.to_text().as_bytes())?;
    let document =
        json!({"schema": "palisade.key-passwd/1", "file": found.path.display().to_string()});
    context
        .output
        .document(&document, || "password changed".to_owned());
    Ok(Exit::Ok)
}

fn export(context: &Context, name: &str, role: Role, to: &Path) -> Result<Exit> {
    if role.is_hot() {
        refuse!(
            "auth.required",
            "{role} keys stay on their host in this release"
        );
    }
    let found = find(context, name, Some(role))?;
    if to.exists() {
        refuse!("key.exists", "{} exists", to.display());
    }
    file::write_private(to, found.store.to_text().as_bytes())?;
    let document = json!({"schema": "palisade.key-export/1", "file": to.display().to_string()});
    context
        .output
        .document(&document, || format!("written to {}", to.display()));
    Ok(Exit::Ok)
}
