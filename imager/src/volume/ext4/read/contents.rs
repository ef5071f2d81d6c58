//! What an inode holds: attributes, inline bytes, link targets, kinds.

use image_format::entry::{Kind, Xattr};

use crate::volume::{Data, VolumeError};

use super::super::codec::device;
use super::super::codec::inode::{FLAG_ENCRYPT, FLAG_INLINE, Inode, format};
use super::super::codec::xattr::{self, Attribute};
use super::super::fault::{damaged, unsupported};
use super::blocks::Ext4;

/// Longest link target: less than a block of the largest size.
const LONGEST_TARGET: u64 = 65_536;
const MAP_LENGTH: u64 = 60;

impl Ext4<'_> {
    fn attributes(&self, inode: &Inode) -> Result<Vec<Attribute>, VolumeError> {
        let wrong = |found: &str| damaged("extended attributes", 0, "sound records", found);
        let mut all =
            xattr::decode_in_inode(&inode.tail).ok_or_else(|| wrong("others in the inode"))?;
        if inode.xattr_block != 0 {
            let block = self.block("extended attributes", inode.xattr_block)?;
            let sealed = xattr::is_sealed(&block, inode.xattr_block, self.seed);
            if self.superblock.has_checksums() && !sealed {
                return Err(wrong("another checksum"));
            }
            all.extend(xattr::decode_block(&block).ok_or_else(|| wrong("others in a block"))?);
        }
        Ok(all)
    }

    /// The attributes in the kernel's words, sorted, and the inline rest of the
    /// contents when there is one.
    pub(super) fn xattrs(
        &self,
        inode: &Inode,
    ) -> Result<(Vec<Xattr>, Option<Vec<u8>>), VolumeError> {
        let mut inline = None;
        let mut portable = Vec::new();
        for attribute in self.attributes(inode)? {
            if let Some(rest) = attribute.inline_data() {
                inline = Some(rest.to_vec());
                continue;
            }
            portable.push(attribute.to_portable().ok_or_else(|| {
                damaged(
                    "extended attribute",
                    0,
                    "a known prefix and a sound value",
                    format!("{attribute:?}"),
                )
            })?);
        }
        portable.sort();
        Ok((portable, inline))
    }

    /// Contents kept in the inode: its map and the attribute `system.data`.
    pub(super) fn inline_bytes(inode: &Inode, rest: Option<Vec<u8>>) -> Option<Vec<u8>> {
        (inode.flags & FLAG_INLINE != 0).then(|| {
            let mut bytes = inode.map.to_vec();
            bytes.extend(rest.unwrap_or_default());
            bytes
        })
    }

    /// What the inode is; a link target is read for it.
    pub(super) fn kind(
        &self,
        number: u32,
        inode: &Inode,
        inline: Option<&Vec<u8>>,
    ) -> Result<Kind, VolumeError> {
        if inode.flags & FLAG_ENCRYPT != 0 {
            return Err(unsupported(
                format!("inode {number}"),
                "it is encrypted",
                "capture this partition as a raw volume",
            ));
        }
        let device = || device::decode(&inode.map).unwrap_or_default();
        Ok(match inode.mode & format::MASK {
            format::DIRECTORY => Kind::Directory,
            format::FILE => Kind::File,
            format::SYMLINK => Kind::Symlink(self.target(number, inode, inline)?),
            format::CHAR_DEVICE => {
                let (major, minor) = device();
                Kind::CharDevice { major, minor }
            }
            format::BLOCK_DEVICE => {
                let (major, minor) = device();
                Kind::BlockDevice { major, minor }
            }
            format::FIFO => Kind::Fifo,
            format::SOCKET => Kind::Socket,
            other => {
                let found = format!("{other:#o} in inode {number}");
                return Err(damaged("inode mode", 0, "a known kind of file", found));
            }
        })
    }

    fn target(
        &self,
        number: u32,
        inode: &Inode,
        inline: Option<&Vec<u8>>,
    ) -> Result<Vec<u8>, VolumeError> {
        let wrong = || {
            damaged(
                "symbolic link",
                0,
                "a target as long as its size",
                format!("{} bytes in inode {number}", inode.size),
            )
        };
        if inode.size >= LONGEST_TARGET {
            return Err(wrong());
        }
        let length = usize::try_from(inode.size).map_err(|_| wrong())?;
        let mut bytes = match inline {
            Some(bytes) => bytes.clone(),
            None if inode.size < MAP_LENGTH => inode.map.to_vec(),
            None => match self.runs(number, inode)?.first() {
                Some(run) => self.block("symbolic link", run.physical / self.block_size)?,
                None => return Err(wrong()),
            },
        };
        if bytes.len() < length {
            return Err(wrong());
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Where the bytes of a file are.
    pub(super) fn data(
        &self,
        number: u32,
        inode: &Inode,
        inline: Option<Vec<u8>>,
    ) -> Result<Data, VolumeError> {
        let Some(mut bytes) = inline else {
            let runs = self.runs(number, inode)?;
            return Ok(Data::Runs {
                size: inode.size,
                runs,
            });
        };
        // The kernel reads zeros behind the stored bytes up to the file's end.
        let length = usize::try_from(inode.size)
            .ok()
            .filter(|_| inode.size <= self.block_size);
        let Some(length) = length else {
            let expected = format!("at most {} inline bytes", self.block_size);
            return Err(damaged("inline file", 0, expected, inode.size));
        };
        bytes.resize(length, 0);
        Ok(Data::Bytes(bytes))
    }
}
