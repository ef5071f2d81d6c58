//! The bytes of an open file, and where it has none.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// All bytes of a small file, at most as many as it had.
pub(super) fn whole(fd: &OwnedFd, size: u64) -> Result<Vec<u8>, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::FBIG)?;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let at = bytes.len() as u64;
        let read = again(|| rustix::io::pread(fd, spare_capacity(&mut bytes), at))?;
        if read == 0 {
            break;
        }
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// The next stretch of data from `at` on, and its end; an empty one at the end.
pub(super) fn stretch(fd: &OwnedFd, at: u64, size: u64) -> Result<(u64, u64), Errno> {
    let data = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
        Ok(data) => data.clamp(at, size),
        Err(Errno::NXIO) => return Ok((size, size)),
        // A file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok((at, size)),
        Err(other) => return Err(other),
    };
    match rustix::fs::seek(fd, SeekFrom::Hole(data)) {
        Ok(hole) if hole > data => Ok((data, hole.min(size))),
        Ok(_) | Err(Errno::NXIO) => Ok((data, size)),
        Err(other) => Err(other),
    }
}

pub(super) fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
