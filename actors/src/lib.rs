//! Scaffold while the parts land.
#![forbid(unsafe_code)]
pub mod clock;
pub mod mailbox;
pub mod mempool {
    //! x
    pub mod pool;
}
pub mod escrow {
    //! x
    pub mod workflow;
}
pub mod evidence {
    //! x
    pub mod workflow;
}
pub mod execution {
    //! x
    pub mod workflow;
}
pub mod jobs {
    //! x
    pub mod workflow;
}
pub mod staking {
    //! x
    pub mod workflow;
}
pub mod supervisor;
pub mod tamper;
