//! Exit codes: part of the command line's interface (operations.md, Exit codes).

macro_rules! exits {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $restart:ident;)*) => {
        /// How a command or a node ended.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Exit {
            $($(#[$doc])* $name = $code,)*
        }

        impl Exit {
            /// All of them, in order.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number the process ends with.
            pub(crate) const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The exit with this number.
            pub(crate) const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The exit with this number, or that of an unexpected error.
            pub(crate) fn of(code: u8) -> Self {
                Self::from_code(code).unwrap_or(Self::Unexpected)
            }

            /// What a service manager should do after it.
            #[cfg(test)]
            pub(crate) const fn restart(self) -> Restart {
                match self {
                    $(Self::$name => Restart::$restart,)*
                }
            }
        }
    };
}

/// What a service manager should do after an exit.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// Ends of commands: the question does not arise.
    Moot,
    /// Start again; replay puts things right.
    Yes,
    /// A person must look first.
    Never,
}

exits! {
    /// Success, or a graceful stop.
    Ok = 0, Moot;
    /// Our bug.
    Unexpected = 1, Moot;
    /// The command line makes no sense.
    Usage = 2, Moot;
    /// There is no such thing.
    NotFound = 3, Moot;
    /// Unreachable, not ready, timed out, port taken.
    Unavailable = 4, Moot;
    /// The network said no.
    Rejected = 5, Moot;
    /// Key, password, signature or role refused.
    Refused = 6, Moot;
    /// The job failed, was disputed or refunded.
    JobFailed = 7, Moot;
    /// An assertion is false.
    False = 8, Moot;
    /// A panic, or a full vital mailbox.
    Panic = 69, Yes;
    /// A ledger invariant is broken.
    Invariant = 70, Never;
    /// Our own key appears in foreign evidence.
    OwnEvidence = 71, Never;
    /// Somebody else signs with our key.
    Doppelganger = 72, Never;
    /// A replay differs from what was certified.
    Diverged = 73, Never;
    /// Another binary is needed.
    Upgrade = 74, Never;
    /// Sign-state missing, moved, locked, or it refused a signature.
    SignState = 75, Never;
    /// A durable write failed, or acknowledged bytes are damaged.
    Storage = 76, Never;
    /// Two certificates for one height.
    Fork = 77, Never;
    /// The configuration is invalid, or it is another chain.
    Config = 78, Never;
    /// Interrupted while waiting.
    Interrupted = 130, Moot;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the numbers users script against never move. The list is the specification's.
    #[test]
    fn exit_code_table() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        let expected = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 130,
        ];
        assert_eq!(codes, expected);
    }

    #[test]
    fn halts_are_never_restarted() {
        for exit in Exit::ALL {
            let halt = (70..=78).contains(&exit.code());
            assert_eq!(exit.restart() == Restart::Never, halt, "{exit:?}");
            assert_eq!(Exit::from_code(exit.code()), Some(*exit));
        }
        assert_eq!(Exit::from_code(99), None);
    }

    /// Goal: the unit restarts after a crash, and never after what a person must see first.
    #[test]
    fn unit_restarts_no_halt() {
        let unit = include_str!("../../deploy/systemd/palisade.service");
        let key = "RestartPreventExitStatus=";
        let list = unit.lines().find_map(|line| line.strip_prefix(key));
        let list: Vec<u8> = list
            .into_iter()
            .flat_map(str::split_whitespace)
            .filter_map(|code| code.parse().ok())
            .collect();
        for exit in Exit::ALL {
            match exit.restart() {
                Restart::Never => assert!(list.contains(&exit.code()), "{exit:?}"),
                Restart::Yes => assert!(!list.contains(&exit.code()), "{exit:?}"),
                Restart::Moot => {}
            }
        }
    }
}
