//! Crashes.

use super::World;
use crate::sim::app::App;
use crate::sim::disk::File;
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
        let (disk, rng) = (&mut state.disk, &mut self.rng);
        if crash.kind == CrashKind::Process {
            return disk.all().for_each(File::keep_all);
        }
        disk.all().for_each(|file| file.cut(rng));
        let Some(file) = (match crash.kind {
            CrashKind::Process | CrashKind::Power => None,
            CrashKind::FlipLog | CrashKind::LyingLog => Some(&mut disk.wal),
            CrashKind::FlipSlots | CrashKind::LyingSlots => Some(&mut disk.slots),
            CrashKind::FlipBlocks | CrashKind::LyingBlocks => Some(&mut disk.blocks),
            CrashKind::FlipOwn | CrashKind::LyingOwn => disk.any_own(rng),
        }) else {
            return;
        };
        if crash.kind.is_lie() {
            file.lie();
        } else {
            file.flip(rng);
        }
    }
}
