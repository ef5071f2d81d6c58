//! A file as an answer, or a part of it, read piece by piece.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use axum::http::{Method, Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes read at once: what one slow machine costs in memory.
const PIECE: u64 = 128 << 10;

/// What part of a file was asked for (RFC 9110 14.1.2, one range only).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Some { start: u64, end: u64 },
    Nothing,
}

/// The answer to `method` for an open file of `length` bytes.
pub(super) fn answer(
    file: File,
    length: u64,
    method: &Method,
    range: Option<&str>,
) -> Response<Body> {
    let part = range.map_or(Part::Whole, |range| parse_range(range, length));
    let (status, start, end) = match part {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Some { start, end } => (StatusCode::PARTIAL_CONTENT, start, end),
        Part::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let mut response = Response::builder()
        .status(status)
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, end - start);
    match part {
        Part::Whole => {}
        Part::Some { start, end } => {
            response =
                response.header(CONTENT_RANGE, format!("bytes {start}-{}/{length}", end - 1));
        }
        Part::Nothing => response = response.header(CONTENT_RANGE, format!("bytes */{length}")),
    }
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::new(FileBody {
            file: Arc::new(file),
            at: start,
            end,
            reading: None,
        }),
    };
    response.body(body).unwrap_or_default()
}

/// What is not a single range of bytes is ignored, as the RFC allows.
fn parse_range(text: &str, length: u64) -> Part {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(start), _) if start >= length => Part::Nothing,
        (Ok(start), Ok(last)) if last < start => Part::Whole,
        (Ok(start), Ok(last)) => Part::Some {
            start,
            end: last.saturating_add(1).min(length),
        },
        (Ok(start), Err(_)) if last.trim().is_empty() => Part::Some { start, end: length },
        (Err(_), Ok(0)) if first.trim().is_empty() => Part::Nothing,
        (Err(_), Ok(count)) if first.trim().is_empty() && length > 0 => Part::Some {
            start: length.saturating_sub(count),
            end: length,
        },
        _ => Part::Whole,
    }
}

struct FileBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileBody {
    fn read(&self) -> JoinHandle<io::Result<Vec<u8>>> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        let length = usize::try_from((self.end - self.at).min(PIECE)).unwrap_or(0);
        tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            // A file that became shorter ends the connection, not the answer.
            file.read_exact_at(&mut piece, at).map(|()| piece)
        })
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.read());
        let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let piece = read.map_err(io::Error::other).and_then(|piece| piece);
        Poll::Ready(Some(piece.map(|piece| {
            self.at += piece.len() as u64;
            Frame::data(Bytes::from(piece))
        })))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let some = |start, end| Part::Some { start, end };
        for (text, part) in [
            ("bytes=0-", some(0, 10)),
            ("bytes=2-4", some(2, 5)),
            ("bytes=2-400", some(2, 10)),
            ("bytes=-3", some(7, 10)),
            ("bytes=-30", some(0, 10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=4-2", Part::Whole),
            ("bytes=1-2,4-5", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=18446744073709551615-", Part::Nothing),
            ("bytes=0-18446744073709551615", some(0, 10)),
        ] {
            assert_eq!(parse_range(text, 10), part, "{text}");
        }
        assert_eq!(parse_range("bytes=-5", 0), Part::Whole);
    }
}
