//! What a job sees of the file system: an empty root; or, for tools, one with a scratch directory,
//! five harmless devices, and `/proc/self/exe`, which is the program and nothing else.
//!
//! ```text
//! empty   pivot, old root gone                                      before a job is known
//! tools   devices bound, pivot, old root at /old                  before a job is known
//!         program bound to /program, old root gone, tmpfs           with the job
//! ```
//! Runs in the cloned process under the rules of `child.rs`.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_long};
use std::os::fd::RawFd;
use std::ptr;

use crate::child::{Origin, STATUS_BYTES, STATUS_SCRATCH, mark, require};
use crate::plan::Plan;
use crate::stage::Stage;

const OPEN_TREE_CLONE: c_long = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_long = 4;
const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;
const MOUNT_ATTR_NOEXEC: u64 = 8;
/// Where the old root waits for the job; without the slash it is named before the pivot.
const OLD: &CStr = c"/old";
/// What a device may be opened for. The placeholders are made by `slot.rs`.
const DEVICES: &[(&CStr, u64)] = &[
    (c"/dev/null", READ_FILE | WRITE_FILE),
    (c"/dev/zero", READ_FILE | WRITE_FILE),
    (c"/dev/full", READ_FILE | WRITE_FILE),
    (c"/dev/random", READ_FILE),
    (c"/dev/urandom", READ_FILE),
];
const READ_FILE: u64 = 1 << 2;
const WRITE_FILE: u64 = 1 << 1;
/// Where the program lies. `/proc/self/exe`, which a shell executes to become one of its own tools,
/// and which others read to learn where they are, leads here.
const PROGRAM: &CStr = c"/program";
const LANDLOCK_RULE_PATH_BENEATH: c_long = 1;

/// Step 5. The current directory is the host's empty directory, as the launcher left it. Its
/// detached copy becomes the root; attributes are only ever added, since a user namespace may
/// not drop one the mount already has.
pub(crate) fn enter(origin: &Origin<'_>) {
    let status = origin.status;
    let here = c".".as_ptr();
    let none = c"".as_ptr();
    let attributes: [u64; 4] = [
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        0,
        0,
        0,
    ];
    // SAFETY: static strings, null where the kernel allows it, and `attributes` has the layout of
    // `struct mount_attr` (four u64) with its exact size.
    unsafe {
        let private = libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            ptr::null(),
        );
        require(status, Stage::MountPrivate, c_long::from(private));
        mark(origin, Stage::MountPrivate);
        let flags = OPEN_TREE_CLONE | c_long::from(libc::O_CLOEXEC);
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, here, flags);
        require(status, Stage::Root, tree);
        let set = libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            none,
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size_of_val(&attributes),
        );
        require(status, Stage::Root, set);
        let moved = libc::syscall(
            libc::SYS_move_mount,
            tree,
            none,
            libc::AT_FDCWD,
            here,
            MOVE_MOUNT_F_EMPTY_PATH,
        );
        require(status, Stage::Root, moved);
        require(status, Stage::Root, libc::syscall(libc::SYS_fchdir, tree));
        mark(origin, Stage::Root);
        let old = if origin.tools {
            bind_devices();
            OLD.as_ptr().add(1)
        } else {
            here
        };
        let pivoted = libc::syscall(libc::SYS_pivot_root, here, old);
        require(status, Stage::Pivot, pivoted);
        if !origin.tools {
            let gone = libc::umount2(here, libc::MNT_DETACH);
            require(status, Stage::Pivot, c_long::from(gone));
        }
        let root = libc::chdir(c"/".as_ptr());
        require(status, Stage::Pivot, c_long::from(root));
    }
    mark(origin, Stage::Pivot);
}

/// Step 5a: the host's devices, each by a mount of its own. A host without one does without.
fn bind_devices() {
    for (path, _) in DEVICES {
        // SAFETY: static strings, the second of which is the first without its slash; a failed
        // first call leaves the second without effect.
        unsafe {
            let flags = OPEN_TREE_CLONE | c_long::from(libc::O_CLOEXEC);
            let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags);
            bind(tree, CStr::from_ptr(path.as_ptr().add(1)));
        }
    }
}

/// Attaches a detached mount, and closes its descriptor.
fn bind(tree: c_long, to: &CStr) -> c_long {
    // SAFETY: a descriptor, if negative refused by the kernel, and NUL-terminated strings.
    unsafe {
        let moved = libc::syscall(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        );
        libc::syscall(libc::SYS_close, tree);
        moved
    }
}

/// Step 6a, tools: shells start their own parts through `/proc/self/exe`. It is bound only if the
/// path leads to the very file that is being run; then the old root goes.
pub(crate) fn leave_old(origin: &Origin<'_>, plan: &Plan<'_>) {
    if let Some(path) = plan.program_path {
        bind_program(plan.program, path);
    }
    // SAFETY: a static string.
    let gone = unsafe { libc::umount2(OLD.as_ptr(), libc::MNT_DETACH) };
    require(origin.status, Stage::Pivot, c_long::from(gone));
}

/// A file that cannot be reached from here, or is another by now, is left out.
fn bind_program(program: RawFd, path: &CStr) {
    let attributes: [u64; 4] = [
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        0,
        0,
        0,
    ];
    // SAFETY: `attributes` has the layout and size of `struct mount_attr`, both `stat` buffers are
    // live, and all-zero bytes are valid for them.
    unsafe {
        let flags = OPEN_TREE_CLONE
            | c_long::from(libc::O_CLOEXEC)
            | c_long::from(libc::AT_SYMLINK_NOFOLLOW);
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags);
        if tree < 0 {
            return;
        }
        let mut found: libc::stat = std::mem::zeroed();
        let mut wanted: libc::stat = std::mem::zeroed();
        let same = libc::syscall(libc::SYS_fstat, tree, &raw mut found) == 0
            && libc::syscall(libc::SYS_fstat, program, &raw mut wanted) == 0
            && (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino);
        let set = libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size_of_val(&attributes),
        );
        if same && set == 0 {
            bind(tree, PROGRAM);
        } else {
            libc::syscall(libc::SYS_close, tree);
        }
    }
}

/// Step 6b, scratch: a bounded tmpfs, where the job starts, whose directory also goes to the
/// launcher; and the rules for it and the devices.
pub(crate) fn scratch(origin: &Origin<'_>, plan: &Plan<'_>, options: &CStr) {
    let status = origin.status;
    let path = c"/scratch".as_ptr();
    // SAFETY: NUL-terminated strings prepared before.
    let directory = unsafe {
        let mounted = libc::mount(
            c"tmpfs".as_ptr(),
            path,
            c"tmpfs".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            options.as_ptr().cast(),
        );
        require(status, Stage::Scratch, c_long::from(mounted));
        let inside = libc::chdir(path);
        require(status, Stage::Scratch, c_long::from(inside));
        let flags = libc::O_DIRECTORY | libc::O_RDONLY | libc::O_CLOEXEC;
        libc::open(path, flags)
    };
    require(status, Stage::Scratch, c_long::from(directory));
    if origin.layers.landlock {
        allow(status, plan.ruleset, plan.scratch_rights, directory);
        for (path, rights) in DEVICES {
            // SAFETY: a static string.
            let device = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
            if device >= 0 {
                allow(status, plan.ruleset, *rights, device);
            }
        }
    }
    require(status, Stage::Scratch, send_directory(status, directory));
}

fn allow(status: RawFd, ruleset: RawFd, rights: u64, beneath: RawFd) {
    /// `struct landlock_path_beneath_attr`, packed by the kernel's definition.
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent: RawFd,
    }
    let rule = PathBeneath {
        allowed_access: rights,
        parent: beneath,
    };
    // SAFETY: `rule` is live and laid out as the kernel expects for this rule type.
    let added = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            LANDLOCK_RULE_PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    require(status, Stage::Landlock, added);
}

/// Sends a descriptor over the status socket from memory on the stack.
fn send_directory(status: RawFd, directory: RawFd) -> c_long {
    #[repr(C, align(8))]
    struct Control([u8; 32]);
    let mut control = Control([0; 32]);
    let mut body: [u8; STATUS_BYTES] = [STATUS_SCRATCH, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: all buffers live on this frame; `control` is aligned for cmsghdr and larger than
    // CMSG_SPACE(4), so the first header and its data lie within it.
    unsafe {
        let mut slice = libc::iovec {
            iov_base: body.as_mut_ptr().cast(),
            iov_len: body.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut slice;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(header)
            .cast::<RawFd>()
            .write_unaligned(directory);
        libc::syscall(
            libc::SYS_sendmsg,
            status,
            &raw const message,
            libc::MSG_NOSIGNAL,
        )
    }
}
