//! How much of the protection this host gives, and what a tier allows.

use std::collections::BTreeSet;
use std::fmt;

use crate::spec::Profile;

/// A layer, or part of one, that this host lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Degradation {
    /// No writable control group: memory and CPU of many processes are bounded only one by one.
    Cgroup,
    /// Landlock without scopes for signals and abstract sockets (ABI 3 to 5).
    LandlockAbi,
    /// No user namespace: no empty root, no private network.
    Namespaces,
}

impl Degradation {
    /// All, in the order a tier lists them.
    pub const ALL: [Degradation; 3] = [
        Degradation::Cgroup,
        Degradation::LandlockAbi,
        Degradation::Namespaces,
    ];

    /// Name in the configuration entry `sandbox.allow_degraded`.
    #[must_use]
    pub fn allow_name(self) -> &'static str {
        match self {
            Degradation::Cgroup => "cgroup",
            Degradation::LandlockAbi => "landlock-abi",
            Degradation::Namespaces => "namespaces",
        }
    }

    /// Name in a tier.
    #[must_use]
    pub fn tier_name(self) -> &'static str {
        match self {
            Degradation::Cgroup => "no-cgroup",
            Degradation::LandlockAbi => "landlock-3",
            Degradation::Namespaces => "no-namespaces",
        }
    }

    /// The degradation of a configuration entry, if it is one.
    #[must_use]
    pub fn from_allow_name(name: &str) -> Option<Self> {
        Degradation::ALL
            .into_iter()
            .find(|degradation| degradation.allow_name() == name)
    }
}

/// The degradations in force; none is tier `full`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tier {
    degraded: BTreeSet<Degradation>,
}

impl Tier {
    /// Every layer in place.
    #[must_use]
    pub fn full() -> Self {
        Tier::default()
    }

    /// The tier with these degradations.
    #[must_use]
    pub fn with(degraded: impl IntoIterator<Item = Degradation>) -> Self {
        Tier {
            degraded: degraded.into_iter().collect(),
        }
    }

    /// This tier with one more degradation.
    #[must_use]
    pub fn and(mut self, degradation: Degradation) -> Self {
        self.degraded.insert(degradation);
        self
    }

    /// Whether one degradation is in force.
    #[must_use]
    pub fn has(&self, degradation: Degradation) -> bool {
        self.degraded.contains(&degradation)
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.degraded.is_empty()
    }

    /// Degradations that would have to be allowed by name before `profile` may run. The runner
    /// alone needs no control group, for it has no processes to hide in.
    #[must_use]
    pub fn missing(&self, profile: Profile, allowed: &[Degradation]) -> Vec<Degradation> {
        self.degraded
            .iter()
            .copied()
            .filter(|d| !(profile == Profile::Runner && *d == Degradation::Cgroup))
            .filter(|d| !allowed.contains(d))
            .collect()
    }

    /// Whether `profile` may run here. Without namespaces nothing but our own runner ever does:
    /// a native program's daemons would outlive it.
    #[must_use]
    pub fn allows(&self, profile: Profile, allowed: &[Degradation]) -> bool {
        let homeless = profile == Profile::Native && self.has(Degradation::Namespaces);
        !homeless && self.missing(profile, allowed).is_empty()
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.degraded.is_empty() {
            return f.write_str("full");
        }
        for (index, degradation) in self.degraded.iter().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            f.write_str(degradation.tier_name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_list_every_degradation() {
        assert_eq!(Tier::full().to_string(), "full");
        let both = Tier::with([Degradation::LandlockAbi, Degradation::Cgroup]);
        assert_eq!(both.to_string(), "no-cgroup+landlock-3");
    }

    #[test]
    fn each_tier_allows_what_the_table_says() {
        let none: &[Degradation] = &[];
        assert!(Tier::full().allows(Profile::Native, none));
        let no_cgroup = Tier::with([Degradation::Cgroup]);
        assert!(no_cgroup.allows(Profile::Runner, none));
        assert!(!no_cgroup.allows(Profile::Native, none));
        assert!(no_cgroup.allows(Profile::Native, &[Degradation::Cgroup]));
        let old = Tier::with([Degradation::LandlockAbi]);
        assert!(!old.allows(Profile::Runner, none));
        assert!(old.allows(Profile::Runner, &[Degradation::LandlockAbi]));
        let bare = Tier::with([Degradation::Namespaces]);
        assert!(bare.allows(Profile::Runner, &[Degradation::Namespaces]));
        assert!(!bare.allows(Profile::Native, &Degradation::ALL));
    }

    #[test]
    fn configuration_names_round_trip() {
        for degradation in Degradation::ALL {
            let name = degradation.allow_name();
            assert_eq!(Degradation::from_allow_name(name), Some(degradation));
        }
        assert_eq!(Degradation::from_allow_name("everything"), None);
    }
}
