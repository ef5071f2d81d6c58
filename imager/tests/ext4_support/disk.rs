//! A sparse disk in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use imager::disk::Disk;

const PAGE: u64 = 4096;

/// A disk of which only written pages exist; the others read as `fill`.
pub(crate) struct SparseDisk {
    size: u64,
    fill: u8,
    pages: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl SparseDisk {
    pub(crate) fn new(size: u64, fill: u8) -> Self {
        Self {
            size,
            fill,
            pages: Mutex::default(),
        }
    }

    pub(crate) fn load(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let disk = Self::new(bytes.len() as u64, 0);
        for (page, bytes) in bytes.chunks(PAGE as usize).enumerate() {
            if bytes.iter().any(|&byte| byte != 0) {
                disk.write_at(page as u64 * PAGE, bytes).unwrap();
            }
        }
        disk
    }

    pub(crate) fn save(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.size).unwrap();
        if self.fill != 0 {
            let filler = vec![self.fill; 1 << 20];
            for at in (0..self.size).step_by(1 << 20) {
                let length = (self.size - at).min(1 << 20) as usize;
                file.write_all_at(&filler[..length], at).unwrap();
            }
        }
        for (page, bytes) in self.pages.lock().unwrap().iter() {
            let length = (self.size - page * PAGE).min(PAGE) as usize;
            file.write_all_at(&bytes[..length], page * PAGE).unwrap();
        }
    }

    fn check(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = offset.checked_add(length as u64);
        match end {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Disk for SparseDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.check(offset, buffer.len())?;
        let pages = self.pages.lock().unwrap();
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let within = (at % PAGE) as usize;
            let length = (buffer.len() - done).min(PAGE as usize - within);
            let part = &mut buffer[done..done + length];
            match pages.get(&(at / PAGE)) {
                Some(page) => part.copy_from_slice(&page[within..within + length]),
                None => part.fill(self.fill),
            }
            done += length;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        let mut pages = self.pages.lock().unwrap();
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % PAGE) as usize;
            let length = (bytes.len() - done).min(PAGE as usize - within);
            let page = pages
                .entry(at / PAGE)
                .or_insert_with(|| vec![self.fill; PAGE as usize]);
            page[within..within + length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
