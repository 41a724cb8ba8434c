//! Files with secrets: who may read them, and how they are written so that none is ever half there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use protocol::keys::{PublicKey, SecretKey};

use super::Role;
use super::keystore::{KEY_FILE_BYTES_MAX, Keystore, Label};
use crate::problem::Problem;

/// A key file that was found, unopened.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The name its owner gave it.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) store: Keystore,
    /// What it is for.
    pub(crate) label: Label,
}

/// Makes a directory that only its owner can enter.
pub(crate) fn private_dir(path: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| failed("make", path, &error))
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Problem {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => "key.unknown",
        std::io::ErrorKind::PermissionDenied => "key.mode",
        _ => "storage.failed",
    };
    Problem::new(code, format!("cannot {verb} {}: {error}", path.display()))
}

/// The same of a file that somebody named on the command line: it need not be a key.
pub(crate) fn named(problem: Problem) -> Problem {
    match problem.code.as_str() {
        "key.unknown" => Problem::new("file.unreadable", problem.detail),
        _ => problem,
    }
}

/// The same with the file's name before what is wrong in it.
fn within(path: &Path, mut problem: Problem) -> Problem {
    if problem.code == "key.malformed" {
        problem.detail = format!("{}: {}", path.display(), problem.detail);
    }
    problem
}

/// Refuses a file that anybody but its owner could read.
pub(crate) fn check_mode(path: &Path) -> Result<(), Problem> {
    let meta = fs::metadata(path).map_err(|error| failed("read", path, &error))?;
    let mode = meta.permissions().mode() & 0o777;
    if meta.is_file() && mode & 0o077 != 0 {
        return Err(Problem::new(
            "key.mode",
            format!("{} has mode {mode:03o}", path.display()),
        ));
    }
    Ok(())
}

/// Reads a file, refusing one that is longer than it may be.
pub(crate) fn read_limited(path: &Path, max: u64) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(|error| failed("read", path, &error))?;
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed("read", path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        let text = format!("{} is longer than {max} bytes", path.display());
        return Err(Problem::new("key.malformed", text));
    }
    Ok(bytes)
}

/// Reads a file that somebody named on the command line; `code` says what one that is too long is.
pub(crate) fn read_given(path: &Path, max: u64, code: &str) -> Result<Vec<u8>, Problem> {
    read_limited(path, max).map_err(|problem| match problem.code.as_str() {
        "key.malformed" => Problem::new(code, problem.detail),
        _ => Problem::new("file.unreadable", problem.detail),
    })
}

/// Writes a file of mode 0600 durably: all of it or none of it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = dir.join(format!(".{name}.tmp-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| {
        drop(fs::remove_file(&temp));
        failed("write", path, &error)
    })
}

/// Where a role's key of this name lies.
pub(crate) fn path_of(keys: &Path, role: Role, name: &str) -> PathBuf {
    keys.join(format!("{role}-{name}.json"))
}

/// Names become file names.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let text = format!("{name:?}: a name has 1 to 64 letters, digits, - or _");
        return Err(Problem::new("usage", text).hint("palisade keys new --role ROLE --name NAME"));
    }
    Ok(())
}

/// Encrypts and writes a new key; an existing one is never overwritten.
pub(crate) fn create(
    keys: &Path,
    name: &str,
    key: &SecretKey,
    password: &[u8],
    label: Label,
) -> Result<PathBuf, Problem> {
    check_name(name)?;
    private_dir(keys)?;
    let path = path_of(keys, label.role, name);
    if path.exists() {
        return Err(Problem::new(
            "key.exists",
            format!("{} exists", path.display()),
        ));
    }
    let store = Keystore::seal(key, password, label)?;
    write_private(&path, store.to_text().as_bytes())?;
    Ok(path)
}

/// Reads a key file of any origin, without opening it.
pub(crate) fn read_keystore(path: &Path) -> Result<Keystore, Problem> {
    let bytes = read_limited(path, KEY_FILE_BYTES_MAX)?;
    Keystore::parse(&bytes).map_err(|problem| within(path, problem))
}

/// Reads one key file without opening it.
pub(crate) fn load(path: &Path) -> Result<Found, Problem> {
    check_mode(path)?;
    let store = read_keystore(path)?;
    let Some(label) = store.palisade.clone() else {
        let text = format!(
            "{} has no label; use `palisade keys import`",
            path.display()
        );
        return Err(Problem::new("key.malformed", text));
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let prefix = format!("{}-", label.role);
    let name = stem.strip_prefix(&prefix).unwrap_or(&stem).to_owned();
    Ok(Found {
        name,
        path: path.to_owned(),
        store,
        label,
    })
}

/// All key files of a directory, by name.
pub(crate) fn list(keys: &Path) -> Result<Vec<Found>, Problem> {
    let entries = match fs::read_dir(keys) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", keys, &error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

impl Found {
    /// Decrypts the key, unless it moved away.
    pub(crate) fn open(&self, password: &[u8]) -> Result<SecretKey, Problem> {
        if self.label.moved {
            return Err(Problem::new("key.moved", self.path.display()));
        }
        let opened = self.store.open(password);
        opened.map_err(|problem| within(&self.path, problem))
    }

    /// The public half.
    pub(crate) fn public(&self) -> Result<PublicKey, Problem> {
        self.label.public_key.parse().map_err(|_| {
            let text = "the label's public key is malformed";
            within(&self.path, Problem::new("key.malformed", text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &SecretKey) -> Label {
        Label {
            role: Role::Wallet,
            public_key: key.public().to_string(),
            created: "2026-01-01T00:00:00Z".into(),
            dev: true,
            moved: false,
        }
    }

    #[test]
    fn keystore_modes_are_private_and_checked() {
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join("keys");
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let path = create(&keys, "mine", &key, b"", label(&key)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&path)), (0o700, 0o600));
        assert_eq!(list(&keys).unwrap()[0].name, "mine");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(load(&path).unwrap_err().code, "key.mode");
    }

    /// Goal: whoever has ten keys is told which one is damaged, whatever is damaged in it.
    #[test]
    fn a_malformed_key_is_named() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let path = create(home.path(), "a", &key, b"", label(&key)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let said = |text: &str| {
            fs::write(&path, text).unwrap();
            let problem = load(&path)
                .and_then(|found| found.public().and_then(|_| found.open(b"")))
                .unwrap_err();
            assert_eq!(problem.code, "key.malformed");
            assert!(
                problem.detail.contains("wallet-a.json"),
                "{}",
                problem.detail
            );
        };
        said("{");
        said(&whole.replace("\"version\": 3", "\"version\": 4"));
        said(&whole.replace(&key.public().to_string(), "02ab"));
        said(&whole.replace("\"iv\": \"", "\"iv\": \"0"));
    }

    #[test]
    fn nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let path = create(home.path(), "a", &key, b"", label(&key)).unwrap();
        let before = fs::read(&path).unwrap();
        let again = create(home.path(), "a", &key, b"", label(&key)).unwrap_err();
        assert_eq!(again.code, "key.exists");
        assert_eq!(fs::read(&path).unwrap(), before);
        for name in ["", "a/b", "..", "a b", &"x".repeat(65)] {
            let refused = create(home.path(), name, &key, b"", label(&key)).unwrap_err();
            assert_eq!(
                (refused.code.as_str(), refused.exit_code),
                ("usage", 2),
                "{name}"
            );
        }
    }
}
