//! What a store asks of its file beyond the standard library: locks that belong to an open file
//! description (fcntl(2), `F_OFD_*`), allocation, holes, gathering writes, and the kind of
//! filesystem.

use super::{cvt, retry};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

/// How a byte is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// With others of this kind.
    Shared,
    /// Alone.
    Exclusive,
}

/// The effective user of this process.
pub fn euid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Locks one byte without waiting; false when another open file description has it. The lock goes
/// with the last descriptor of this description, also when the process is killed.
pub fn try_lock(file: &File, byte: u64, lock: Lock) -> io::Result<bool> {
    let kind = match lock {
        Lock::Shared => libc::F_RDLCK as libc::c_short,
        Lock::Exclusive => libc::F_WRLCK as libc::c_short,
    };
    match ofd(file, libc::F_OFD_SETLK, kind, byte) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives a byte back.
pub fn unlock(file: &File, byte: u64) -> io::Result<()> {
    ofd(file, libc::F_OFD_SETLK, libc::F_UNLCK as libc::c_short, byte).map(drop)
}

/// Whether another open file description has the byte locked, in whichever way.
pub fn is_locked(file: &File, byte: u64) -> io::Result<bool> {
    let found = ofd(file, libc::F_OFD_GETLK, libc::F_WRLCK as libc::c_short, byte)?;
    Ok(found.l_type != libc::F_UNLCK as libc::c_short)
}

fn ofd(
    file: &File,
    command: libc::c_int,
    kind: libc::c_short,
    byte: u64,
) -> io::Result<libc::flock> {
    // SAFETY: flock is a C structure of integers; all zero is a value of it.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte as libc::off_t;
    lock.l_len = 1;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `lock` outlives the
    // call, which writes no more than that structure.
    retry(|| unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) })?;
    Ok(lock)
}

/// Gives `len` bytes from `offset` room on the disk without changing what they read as. An error
/// where the system has no such call.
pub fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, Room::Give, offset, len)
}

/// Gives the room of `len` bytes from `offset` back to the filesystem; they read as zero. An error
/// where the system has no such call.
pub fn punch(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fallocate(file, Room::Take, offset, len)
}

/// What filesystems give room in.
const BLOCK_LEN: u64 = 4096;

/// Makes the file at least `len` bytes long; what is new reads as zero and takes no room. However
/// long another makes it meanwhile, it is not made shorter: setting its length could do that, and
/// is done only where the system has no other call.
pub fn grow(file: &File, len: u64) -> io::Result<()> {
    let size = file.metadata()?.len();
    if len <= size {
        return Ok(());
    }
    match fallocate(file, Room::Append, len - 1, 1) {
        Err(e) if matches!(e.raw_os_error(), None | Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
            file.set_len(len)
        }
        Err(e) => Err(e),
        Ok(()) => {
            // The one block that this took, unless it has become another's.
            let block = (len - 1) / BLOCK_LEN * BLOCK_LEN;
            if size <= block && file.metadata()?.len() == len {
                let _ = punch(file, block, BLOCK_LEN);
            }
            Ok(())
        }
    }
}

enum Room {
    Append,
    Give,
    Take,
}

#[cfg(target_os = "linux")]
fn fallocate(file: &File, room: Room, offset: u64, len: u64) -> io::Result<()> {
    let mode = match room {
        Room::Append => 0,
        Room::Give => libc::FALLOC_FL_KEEP_SIZE,
        Room::Take => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
    };
    let (offset, len) = (offset as libc::off_t, len as libc::off_t);
    // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is involved.
    retry(|| unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) }).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn fallocate(_: &File, _: Room, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The first offset from `offset` on that is not in a hole; None when only holes follow.
pub fn seek_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    seek(file, offset, libc::SEEK_DATA)
}

/// The first offset from `offset` on that is in a hole; the end of the file counts as one.
pub fn seek_hole(file: &File, offset: u64) -> io::Result<Option<u64>> {
    seek(file, offset, libc::SEEK_HOLE)
}

fn seek(file: &File, offset: u64, whence: libc::c_int) -> io::Result<Option<u64>> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is involved.
    match cvt(unsafe { libc::lseek(file.as_raw_fd(), offset as libc::off_t, whence) }) {
        Ok(found) => Ok(Some(found as u64)),
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

/// `UIO_MAXIOV` of Linux, `IOV_MAX` of macOS: more parts than this in one call are an error.
const PARTS_COUNT_MAX: usize = 1024;

/// Writes the parts one after the other at `offset`; the number of bytes the kernel took.
pub fn pwritev(file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let count = parts.len().min(PARTS_COUNT_MAX) as libc::c_int;
    let (fd, iov) = (file.as_raw_fd(), parts.as_ptr().cast());
    // SAFETY: IoSlice is guaranteed to have the layout of struct iovec; `count` of them and the
    // bytes they name are borrowed for the whole call, which only reads them.
    let n = retry(|| unsafe { libc::pwritev(fd, iov, count, offset as libc::off_t) })?;
    Ok(n as usize)
}

/// What the store has to know of the filesystem under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsKind {
    /// One kernel owns it; blocks keep their place once allocated.
    Local,
    /// As above, but it writes elsewhere on every change unless told not to (btrfs, bcachefs).
    CopyOnWrite,
    /// Another machine may write it too (NFS, SMB, 9p, FUSE), or we do not know.
    Foreign,
}

/// The kind of filesystem that holds `file`, by the magic number of statfs(2).
pub fn fs_kind(file: &File) -> io::Result<FsKind> {
    // SAFETY: statfs is a C structure of integers; all zero is a value of it.
    let mut fs: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `fs` outlives the
    // call, which writes no more than that structure.
    retry(|| unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut fs) })?;
    Ok(kind_of(&fs))
}

#[cfg(target_os = "linux")]
fn kind_of(fs: &libc::statfs) -> FsKind {
    kind_of_magic(fs.f_type as u32)
}

/// APFS, the filesystem of macOS, writes elsewhere on every change.
#[cfg(not(target_os = "linux"))]
fn kind_of(fs: &libc::statfs) -> FsKind {
    let local = fs.f_flags & libc::MNT_LOCAL as u32 != 0;
    if local { FsKind::CopyOnWrite } else { FsKind::Foreign }
}

#[cfg(target_os = "linux")]
fn kind_of_magic(magic: u32) -> FsKind {
    match magic {
        // ext2..4, XFS, tmpfs, F2FS, overlayfs, JFS, ReiserFS, ramfs, ZFS, eCryptfs
        0xef53 | 0x5846_5342 | 0x0102_1994 | 0xf2f5_2010 | 0x794c_7630 | 0x3153_464a
        | 0x5265_4973 | 0x8584_58f6 | 0x2fc1_2fc1 | 0xf15f => FsKind::Local,
        0x9123_683e | 0xca45_1a4e => FsKind::CopyOnWrite,
        _ => FsKind::Foreign,
    }
}

/// Asks a copy-on-write filesystem to write this (still empty) file in place, so that a page once
/// allocated can be written again on a full disk. An answer of no is an error the caller may
/// ignore.
#[cfg(target_os = "linux")]
pub fn set_in_place(file: &File) -> io::Result<()> {
    const FS_NOCOW_FL: libc::c_long = 0x0080_0000;
    let mut flags: libc::c_long = 0;
    let fd = file.as_raw_fd();
    // SAFETY: FS_IOC_GETFLAGS writes one long at most, and `flags` outlives the call.
    retry(|| unsafe { libc::ioctl(fd, libc::FS_IOC_GETFLAGS, &raw mut flags) })?;
    flags |= FS_NOCOW_FL;
    // SAFETY: FS_IOC_SETFLAGS reads one long at most, and `flags` outlives the call.
    retry(|| unsafe { libc::ioctl(fd, libc::FS_IOC_SETFLAGS, &raw const flags) }).map(drop)
}

/// No other system can be asked.
#[cfg(not(target_os = "linux"))]
pub fn set_in_place(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets every other process use the disk first, where there is a way to say so.
pub fn be_idle() {
    #[cfg(target_os = "linux")]
    {
        const IOPRIO_WHO_PROCESS: libc::c_int = 1;
        const IOPRIO_IDLE: libc::c_int = 3 << 13;
        // SAFETY: takes three integers and changes how this process is scheduled, nothing else.
        unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn a_lock_belongs_to_an_open_file_description() {
        let path = std::env::temp_dir().join(format!("il-lock-{}", std::process::id()));
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let (a, b) = (open().unwrap(), open().unwrap());
        let byte = 1 << 62;
        assert!(try_lock(&a, byte, Lock::Exclusive).unwrap());
        assert!(try_lock(&a, byte, Lock::Exclusive).unwrap(), "one's own lock is no obstacle");
        assert!(!try_lock(&b, byte, Lock::Exclusive).unwrap());
        assert!(is_locked(&b, byte).unwrap());
        assert!(!is_locked(&b, byte + 1).unwrap());
        unlock(&a, byte).unwrap();
        assert!(try_lock(&b, byte, Lock::Shared).unwrap());
        assert!(try_lock(&a, byte, Lock::Shared).unwrap());
        drop(b);
        drop(a);
        assert!(!is_locked(&open().unwrap(), byte).unwrap(), "closing unlocks");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_magic_numbers_of_statfs() {
        for (magic, kind) in [
            (0xef53, FsKind::Local),
            (0x5846_5342, FsKind::Local),
            (0x0102_1994, FsKind::Local),
            (0x794c_7630, FsKind::Local),
            (0x9123_683e, FsKind::CopyOnWrite),
            (0x6969, FsKind::Foreign),
            (0x517b, FsKind::Foreign),
            (0xfe53_4d42, FsKind::Foreign),
            (0xff53_4d42, FsKind::Foreign),
            (0x0102_1997, FsKind::Foreign),
            (0x6573_5546, FsKind::Foreign),
            (0, FsKind::Foreign),
        ] {
            assert_eq!(kind_of_magic(magic), kind);
        }
    }
}
