//! Waiting out an outage: a server that is gone for an hour costs an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ClientError;

/// Pauses between attempts; the last one is repeated.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 15];

/// Where the time comes from, and what waiting is.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
    /// Returns when `pause` is over.
    fn sleep(&self, pause: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// How an outage stands.
#[derive(Debug)]
pub enum Outage<'a> {
    /// The server did not answer; it is asked again.
    Waiting {
        /// How long it has been gone.
        gone: Duration,
        /// The latest reason.
        error: &'a ClientError,
    },
    /// It is back.
    Over {
        /// How long it was gone.
        gone: Duration,
    },
}

/// Who is told about an outage.
pub type Watch = Arc<dyn Fn(&Outage<'_>) + Send + Sync>;

/// How long to wait for a server that does not answer.
#[derive(Clone)]
pub struct Patience {
    limit: Option<Duration>,
    clock: Arc<dyn Clock>,
    watch: Watch,
}

impl Patience {
    /// Waits for ever and tells `watch` before each pause and at the end.
    pub fn for_ever(watch: Watch) -> Self {
        Self {
            limit: None,
            clock: Arc::new(SystemClock::default()),
            watch,
        }
    }

    /// Waits up to `limit`, silently.
    pub fn up_to(limit: Duration) -> Self {
        let watch: Watch = Arc::new(|_| {});
        Self {
            limit: Some(limit),
            clock: Arc::new(SystemClock::default()),
            watch,
        }
    }

    /// The same with another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The clock it waits by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Calls until the answer is anything but a passing failure.
    ///
    /// # Errors
    /// The first lasting failure, or the passing one that outlasted the limit.
    pub fn call<T>(
        &self,
        mut call: impl FnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let start = self.clock.now();
        let mut pauses = PAUSES.iter();
        let mut pause = Duration::ZERO;
        let mut failed = false;
        loop {
            let answer = call();
            let gone = self.clock.now().saturating_sub(start);
            match answer {
                Err(error) if error.is_transient() => {
                    pause = pauses
                        .next()
                        .map_or(pause, |&seconds| Duration::from_secs(seconds));
                    if self.limit.is_some_and(|limit| gone + pause > limit) {
                        return Err(error);
                    }
                    failed = true;
                    (self.watch)(&Outage::Waiting {
                        gone,
                        error: &error,
                    });
                    self.clock.sleep(pause);
                }
                other => {
                    if failed {
                        (self.watch)(&Outage::Over { gone });
                    }
                    return other;
                }
            }
        }
    }
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ErrorBody;

    #[derive(Default)]
    struct FakeClock(Mutex<(Duration, Vec<u64>)>);

    impl Clock for FakeClock {
        fn now(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn sleep(&self, pause: Duration) {
            let mut inner = self.0.lock().unwrap();
            inner.0 += pause;
            inner.1.push(pause.as_secs());
        }
    }

    fn gone() -> ClientError {
        ClientError::Unreachable {
            server: "10.0.0.1:1".to_owned(),
            reason: "refused".to_owned(),
        }
    }

    #[test]
    fn a_long_outage_is_waited_out_and_told() {
        let clock = Arc::new(FakeClock::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let watch: Watch = Arc::new(move |outage| {
            sink.lock().unwrap().push(match outage {
                Outage::Waiting { gone, .. } => (false, gone.as_secs()),
                Outage::Over { gone } => (true, gone.as_secs()),
            });
        });
        let patience = Patience::for_ever(watch).with_clock(Arc::<FakeClock>::clone(&clock));
        let mut left = 8;
        let answer = patience.call(|| {
            left -= 1;
            if left > 0 { Err(gone()) } else { Ok(5) }
        });
        assert_eq!(answer.unwrap(), 5);
        assert_eq!(clock.0.lock().unwrap().1, [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(told.lock().unwrap().first(), Some(&(false, 0)));
        assert_eq!(told.lock().unwrap().last(), Some(&(true, 60)));
    }

    #[test]
    fn a_limit_ends_the_waiting() {
        let clock = Arc::new(FakeClock::default());
        let patience =
            Patience::up_to(Duration::from_secs(10)).with_clock(Arc::<FakeClock>::clone(&clock));
        assert!(
            patience
                .call::<()>(|| Err(gone()))
                .unwrap_err()
                .is_transient()
        );
        assert_eq!(clock.0.lock().unwrap().1, [1, 2, 4]);
    }

    #[test]
    fn a_refusal_is_not_asked_again() {
        let mut calls = 0;
        let body = ErrorBody {
            code: "no".to_owned(),
            message: "no".to_owned(),
        };
        let patience = Patience::up_to(Duration::from_secs(10));
        let answer = patience.call::<()>(|| {
            calls += 1;
            Err(ClientError::Refused {
                status: 404,
                body: body.clone(),
            })
        });
        assert!(!answer.unwrap_err().is_transient());
        assert_eq!(calls, 1);
    }
}
