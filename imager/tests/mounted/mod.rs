//! A volume as the kernel mounts it, for as long as a test looks.

use std::path::Path;

/// Unmounts, also when a test fails in between: a folder with a mounted volume
/// in it cannot be removed.
struct Mounted<'p>(&'p Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            println!("{} is still mounted", self.0.display());
        }
    }
}

/// Mounts, looks, unmounts; `None` without the right to.
pub(crate) fn mounted<T>(
    options: &str,
    image: &Path,
    at: &Path,
    work: impl FnOnce(&Path) -> T,
) -> Option<T> {
    let mount = std::process::Command::new("mount")
        .args(["-o", options])
        .args([image, at])
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("not run: mounting a loop device needs root");
        return None;
    }
    let _mounted = Mounted(at);
    Some(work(at))
}
