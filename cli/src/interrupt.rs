//! Ctrl-C and SIGTERM while something long is done: it ends in order, with a
//! word about what it leaves.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a program that a signal ended answers with: 128 and the signal.
const BY_INTERRUPT: u8 = 130;
const BY_TERMINATE: u8 = 143;

/// The exit code of the signal that came; 0 while none did.
static CAME: AtomicU8 = AtomicU8::new(0);

/// The exit code, if a signal came.
pub(crate) fn code() -> Option<u8> {
    Some(CAME.load(Ordering::Acquire)).filter(|code| *code != 0)
}

/// For those who watch progress: whether to go on.
pub(crate) fn go_on() -> ControlFlow<()> {
    match code() {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    }
}

/// From now on the first signal is only noted, and whoever asks [`go_on`] ends;
/// the second ends the program at once.
pub(crate) fn note() -> Result<()> {
    listen(|signals| {
        CAME.store(signals.next(), Ordering::Release);
        std::process::exit(signals.next().into());
    })
}

/// From now on a signal ends the program at once, with these words: what was
/// done by then stays and is gone on with.
pub(crate) fn end_with(words: &'static str) -> Result<()> {
    listen(move |signals| {
        let code = signals.next();
        eprintln!("mimeo: {words}");
        std::process::exit(code.into());
    })
}

/// Signals as they come.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Waits for the next and answers with its exit code.
    fn next(&mut self) -> u8 {
        let (interrupt, terminate) = (&mut self.interrupt, &mut self.terminate);
        self.runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => BY_INTERRUPT,
                _ = terminate.recv() => BY_TERMINATE,
            }
        })
    }
}

/// The signals are caught when this returns; a thread of its own waits for them.
fn listen(act: impl FnOnce(&mut Signals) + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (interrupt, terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt()).context("listening for SIGINT")?,
            signal(SignalKind::terminate()).context("listening for SIGTERM")?,
        )
    };
    let mut signals = Signals {
        runtime,
        interrupt,
        terminate,
    };
    std::thread::spawn(move || act(&mut signals));
    Ok(())
}
