//! The wire between a builder and the server, as short as a loopback, with a meter.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Forwards connections and counts what goes to the server.
pub(crate) struct Wire {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Wire {
    /// A wire to the server on `port` of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (meter, over) = (Arc::clone(&sent), Arc::clone(&ended));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // While the server is away a connection ends as it begins.
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    join(near, far, &meter);
                }
            }
        });
        Self {
            address,
            sent,
            ended,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Bytes sent to the server until now.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; it may be gone already.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(near: TcpStream, far: TcpStream, meter: &Arc<AtomicU64>) {
    let (from_near, to_near) = (near.try_clone().unwrap(), near);
    let (from_far, to_far) = (far.try_clone().unwrap(), far);
    let meter = Arc::clone(meter);
    thread::spawn(move || {
        carry(from_near, to_far, &|bytes| {
            meter.fetch_add(bytes, Ordering::Relaxed);
        })
    });
    thread::spawn(move || carry(from_far, to_near, &|_| {}));
}

/// Until either side ends; then both do.
fn carry(mut from: TcpStream, mut to: TcpStream, count: &dyn Fn(u64)) {
    let mut buffer = vec![0; 64 << 10];
    let mut one = || -> io::Result<bool> {
        let read = from.read(&mut buffer)?;
        count(read as u64);
        to.write_all(&buffer[..read])?;
        Ok(read > 0)
    };
    while one().unwrap_or(false) {}
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
