//! From text and environment to a [`Config`], with the place of every mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Config;
use crate::problem::Problem;

/// A longer file is not a configuration.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const PREFIX: &str = "PALISADE__";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `section.key`.
    pub(crate) key: String,
    /// The file or the variable.
    pub(crate) from: String,
}

/// A configuration with the history of its values.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) config: Config,
    /// Those that are not defaults.
    pub(crate) origins: Vec<Origin>,
    /// The file, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// `file:line:column` of each value of the file, by key.
    places: BTreeMap<String, String>,
}

impl Loaded {
    /// Checks the values and their fit to a chain, if one is known. A mistake is told with its place.
    pub(crate) fn check(&self, chain_name: Option<&str>) -> Result<(), Problem> {
        self.config.check(chain_name).map_err(|fault| {
            let place = self.place(&fault.key).map(str::to_owned);
            let mut problem = Problem::from(fault);
            if let Some(place) = place {
                problem.detail = format!("{place}: {}", problem.detail);
            }
            problem
        })
    }

    /// Where the value of a key, or that of the list it is in, was written. Defaults are nowhere.
    fn place(&self, key: &str) -> Option<&str> {
        let whole = key.split('[').next().unwrap_or(key);
        let origin = self.origins.iter().find(|origin| origin.key == whole)?;
        if origin.from.starts_with(PREFIX) {
            return Some(&origin.from);
        }
        let place = self.places.get(key).or_else(|| self.places.get(whole));
        place.map(String::as_str)
    }
}

/// The variables of this process that concern us.
pub(crate) fn environment() -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| key.starts_with(PREFIX))
        .collect();
    variables.sort();
    variables
}

/// Reads the file, if any, and lays the environment over it.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &[(String, String)],
) -> Result<Loaded, Problem> {
    let text = match file {
        Some(path) => read(path)?,
        None => String::new(),
    };
    let name = file.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    let (config, origins) = merge(&text, &name, environment)?;
    Ok(Loaded {
        config,
        origins,
        file: file.map(Path::to_owned),
        places: places(&text, &name),
    })
}

/// Where each value of a text that parses is written.
fn places(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (section, values) in DeTable::parse(text)
        .iter()
        .flat_map(|table| table.get_ref())
    {
        for (key, value) in values.get_ref().as_table().into_iter().flatten() {
            let key = format!("{}.{}", section.get_ref(), key.get_ref());
            let mut note = |key: String, value: &Spanned<DeValue<'_>>| {
                found.insert(key, place(text, name, value.span().start));
            };
            let listed = value.get_ref().as_array().into_iter().flatten();
            for (index, value) in listed.enumerate() {
                note(format!("{key}[{index}]"), value);
            }
            note(key, value);
        }
    }
    found
}

fn place(text: &str, name: &str, start: usize) -> String {
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{name}:{line}:{column}")
}

fn read(path: &Path) -> Result<String, Problem> {
    let invalid =
        |text: String| Problem::new("config.invalid", format!("{}: {text}", path.display()));
    let bytes = crate::keys::file::read_limited(path, CONFIG_BYTES_MAX)
        .map_err(|problem| invalid(problem.detail))?;
    String::from_utf8(bytes).map_err(|_| invalid("not UTF-8".to_owned()))
}

/// The pure part of [`load`].
pub(crate) fn merge(
    text: &str,
    name: &str,
    environment: &[(String, String)],
) -> Result<(Config, Vec<Origin>), Problem> {
    let mut config: Config = toml::from_str(text).map_err(|error| at(text, name, &error))?;
    let mut table: Table = toml::from_str(text).map_err(|error| at(text, name, &error))?;
    let mut origins = Vec::new();
    for (section, value) in &table {
        for key in value.as_table().into_iter().flatten() {
            origins.push(Origin {
                key: format!("{section}.{}", key.0),
                from: name.to_owned(),
            });
        }
    }
    for (variable, value) in environment {
        let (section, key) = split(variable)?;
        config = lay_over(&mut table, (&section, &key), value)
            .map_err(|text| Problem::new("config.invalid", format!("{variable}: {text}")))?;
        let key = format!("{section}.{key}");
        origins.retain(|origin| origin.key != key);
        origins.push(Origin {
            key,
            from: variable.clone(),
        });
    }
    Ok((config, origins))
}

fn split(variable: &str) -> Result<(String, String), Problem> {
    let rest = variable
        .strip_prefix(PREFIX)
        .unwrap_or_default()
        .to_ascii_lowercase();
    match rest.split_once("__") {
        Some((section, key)) if !section.is_empty() && !key.is_empty() => {
            Ok((section.to_owned(), key.to_owned()))
        }
        _ => {
            let text = format!("{variable}: write {PREFIX}SECTION__KEY");
            Err(Problem::new("config.invalid", text))
        }
    }
}

/// Tries the value as TOML, then as plain text, whichever the key takes.
fn lay_over(table: &mut Table, at: (&str, &str), value: &str) -> Result<Config, String> {
    let typed = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    let mut first = None;
    for candidate in typed.into_iter().chain([Value::String(value.to_owned())]) {
        let mut changed = table.clone();
        let section = changed
            .entry(at.0.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        let Some(section) = section.as_table_mut() else {
            return Err(format!("{} is not a section", at.0));
        };
        section.insert(at.1.to_owned(), candidate);
        match changed.clone().try_into::<Config>() {
            Ok(config) => {
                *table = changed;
                return Ok(config);
            }
            // What was wrong with the value as it was meant; that a text does not fit, either, is no news.
            Err(error) => first = first.or_else(|| Some(error.message().to_owned())),
        }
    }
    Err(first.unwrap_or_default())
}

fn at(text: &str, name: &str, error: &toml::de::Error) -> Problem {
    let place = match error.span() {
        Some(span) => place(text, name, span.start),
        None => name.to_owned(),
    };
    Problem::new(
        "config.invalid",
        format!("{place}: {}", error.message().replace('\n', " ")),
    )
}

/// The commented file of `config default`: it parses to the defaults.
pub(crate) fn commented_default() -> String {
    let values = toml::to_string(&Config::default()).unwrap_or_default();
    let mut text = String::from(
        "# Palisade's node.toml. Every value here is the default; delete what you do not change.\n\
         # Environment: PALISADE__SECTION__KEY, as in PALISADE__API__LISTEN=127.0.0.1:9000.\n",
    );
    for line in values.lines() {
        if let Some(comment) = comment_of(line) {
            text.push_str(&format!("# {comment}\n"));
        }
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(
        "# password_file = \"password\"  goes into [keys]: relative to the home, mode 0600\n",
    );
    text
}

fn comment_of(line: &str) -> Option<&'static str> {
    let key = line.split([' ', '=']).next()?;
    Some(match key {
        "moniker" => "a name for people",
        "role" => "validator, sentry, full or client",
        "allow_plain" => "plaintext off loopback: only behind a TLS proxy, this release has no TLS",
        "authorities" => "further Host headers that are ours, as name:port",
        "persistent" => "peers to stay connected to, each ending in /p2p/<peer id>",
        "exempt" => "addresses without per-address limits",
        "consensus_factor" => "rates for consensus messages, times the usual; 1 to 1000",
        "tx_factor" => "transaction rates and signature checks, times the usual; 1 to 1000",
        "slots" => "jobs at once, 1 to 16",
        "allow_degraded" => "missing layers that are accepted: cgroup, landlock-abi, namespaces",
        "uid_base" => "first user id of jobs, when the node runs as root",
        "blobs" => "models, inputs and results together",
        "format" => "auto, text or json",
        "filter" => "which events; also PALISADE_LOG",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn default_file_parses_to_the_defaults() {
        let (config, _) = merge(&commented_default(), "x", &[]).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn config_errors_name_key_file_and_line() {
        let text = "[api]\nlisten = \"127.0.0.1:1\"\nlissten = 3\n";
        let problem = merge(text, "node.toml", &[]).unwrap_err();
        assert!(
            problem.detail.starts_with("node.toml:3:1"),
            "{}",
            problem.detail
        );
        assert!(problem.detail.contains("lissten"), "{}", problem.detail);
        assert_eq!(problem.exit_code, 78);
        let problem = merge("[api]\nlisten = 7\n", "node.toml", &[]).unwrap_err();
        assert!(
            problem.detail.starts_with("node.toml:2:10"),
            "{}",
            problem.detail
        );
        let problem = merge("[api\n", "node.toml", &[]).unwrap_err();
        assert!(
            problem.detail.starts_with("node.toml:1"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn environment_lies_over_the_file() {
        let text = "[sandbox]\nslots = 3\n[node]\nmoniker = \"a\"\n";
        let variables = env(&[
            ("PALISADE__API__LISTEN", "127.0.0.1:9"),
            ("PALISADE__NODE__MONIKER", "42"),
            ("PALISADE__SANDBOX__SLOTS", "4"),
            ("PALISADE__SANDBOX__ALLOW_DEGRADED", "[\"cgroup\"]"),
        ]);
        let (config, origins) = merge(text, "f", &variables).unwrap();
        assert_eq!(config.api.listen.port(), 9);
        assert_eq!(config.node.moniker, "42");
        assert_eq!(config.sandbox.slots, 4);
        assert_eq!(config.sandbox.allow_degraded, ["cgroup"]);
        assert!(origins.iter().all(|origin| origin.from != "f"));
    }

    /// Goal: a value that cannot hold is told with the place where it was written, be that a line of a
    /// list or a variable.
    #[test]
    fn impossible_values_are_refused_by_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.toml");
        let text = "[net]\npersistent = [\n  \"x\",\n]\n[sandbox]\nuid_base = 0\n";
        let whole = (
            "[sandbox]\nuid_base = 0\n",
            "node.toml:2:12: sandbox.uid_base: 0",
        );
        for (text, expected) in [(text, "node.toml:3:3: net.persistent[0]: \"x\""), whole] {
            std::fs::write(&file, text).unwrap();
            let problem = load(Some(&file), &[]).unwrap().check(None).unwrap_err();
            assert!(problem.detail.contains(expected), "{}", problem.detail);
            assert_eq!(
                (problem.code.as_str(), problem.exit_code),
                ("config.invalid", 78)
            );
        }
        let variable = "PALISADE__SANDBOX__UID_BASE";
        let loaded = load(Some(&file), &env(&[(variable, "7")])).unwrap();
        let problem = loaded.check(None).unwrap_err();
        assert!(problem.detail.starts_with(variable), "{}", problem.detail);
    }

    #[test]
    fn misspelt_variables_are_refused_by_name() {
        for (key, value) in [
            ("PALISADE__API__LISSTEN", "127.0.0.1:9"),
            ("PALISADE__APY__LISTEN", "127.0.0.1:9"),
            ("PALISADE__API", "x"),
            ("PALISADE__SANDBOX__SLOTS", "many"),
        ] {
            let problem = merge("", "f", &env(&[(key, value)])).unwrap_err();
            assert!(problem.detail.starts_with(key), "{}", problem.detail);
        }
        let large = env(&[("PALISADE__SANDBOX__SLOTS", "99999999")]);
        let problem = merge("", "f", &large).unwrap_err();
        assert!(
            problem.detail.contains("integer `99999999`"),
            "{}",
            problem.detail
        );
    }
}
