//! Crashes.

use super::World;
use crate::sim::app::App;
use crate::sim::node::Disk;
use crate::sim::plan::CrashKind;

impl<A: App> World<A> {
    pub(super) fn crash(&mut self, index: usize) {
        let Some(crash) = self.plan.crashes.get(index).copied() else {
            return;
        };
        let node = crash.node;
        self.trace.note(u64::try_from(index).unwrap_or(0));
        self.trace
            .line(self.now, node, || format!("crashes: {:?}", crash.kind));
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        state.end();
        let rng = &mut self.rng;
        let cut = |disk: &mut Disk, rng: &mut _| disk.all().for_each(|file| file.cut(rng));
        match crash.kind {
            CrashKind::Process => state.disk.all().for_each(|file| file.keep_all()),
            CrashKind::Power => cut(&mut state.disk, rng),
            CrashKind::FlipLog => {
                cut(&mut state.disk, rng);
                state.disk.wal.flip(rng);
            }
            CrashKind::FlipSlots => {
                cut(&mut state.disk, rng);
                state.disk.slots.flip(rng);
            }
            CrashKind::FlipBlocks => {
                cut(&mut state.disk, rng);
                state.disk.blocks.flip(rng);
            }
            CrashKind::LyingLog => {
                cut(&mut state.disk, rng);
                state.disk.wal.lie();
            }
        }
    }
}
