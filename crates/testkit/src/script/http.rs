//! A script over TCP: just enough of HTTP/1.1 to read requests, and no rules for what is answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Stage;
use super::received::Received;
use super::reply::{End, Head, Message, Reply};

/// The longest head and the longest body of a request, in bytes.
const HEAD: u64 = 1 << 20;
const BODY: usize = 64 << 20;

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(converse(stream, Arc::clone(&stage)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request after the other.
async fn converse(stream: TcpStream, stage: Arc<Stage>) {
    let mut stream = BufReader::new(Counted { stream, stage: Arc::clone(&stage) });
    while let Ok(Some(request)) = read(&mut stream).await {
        let unexpected = || Reply::text(501, "text/plain", format!("no step of the script expects {request}"));
        let reply = stage.take(&request).unwrap_or_else(unexpected);
        let id = request.id().to_string();
        let written = write(stream.get_mut(), &reply, &id).await;
        match (written, reply.end) {
            (Ok(()), End::Whole) if reply.head.is_some() => {}
            (Ok(()), End::Whole | End::Breaks) => {
                let _ = stream.shutdown().await;
                return;
            }
            (Ok(()), End::Hangs) => {
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                return stage.give_up();
            }
            (Err(_), _) => return stage.give_up(),
        }
    }
}

/// The next request; `None` when there is no further one.
async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Received>> {
    let mut head = stream.take(HEAD);
    let mut line = String::new();
    if head.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let verb =
        words.next().and_then(|word| Method::from_bytes(word.as_bytes()).ok()).ok_or(io::ErrorKind::InvalidData)?;
    let path = words.next().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.trim().parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    let body = match headers.contains_key(TRANSFER_ENCODING) {
        true => read_chunks(stream).await?,
        false => {
            let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; BODY.min(length)];
            stream.read_exact(&mut body).await?;
            body
        }
    };
    Ok(Some(Received { verb, path, headers, body: Bytes::from(body) }))
}

/// A body in chunks, whose lengths are hexadecimal, up to the one that is empty. Fails where it breaks off.
async fn read_chunks(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        (&mut *stream).take(HEAD).read_line(&mut line).await?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let (start, end) = (body.len(), body.len().saturating_add(length));
        if end > BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // What follows a chunk is an empty line.
        body.resize(end + 2, 0);
        stream.read_exact(&mut body[start..]).await?;
        body.truncate(end);
        if length == 0 {
            return Ok(body);
        }
    }
}

async fn write(out: &mut (impl AsyncWrite + Unpin), reply: &Reply, id: &str) -> io::Result<()> {
    let events = reply.head.as_ref().is_some_and(|head| head.events);
    if let Some(head) = &reply.head {
        write_head(out, head, reply, id).await?;
    }
    for (index, message) in reply.messages.iter().enumerate() {
        let last = index + 1 == reply.messages.len();
        for time in 1..=message.times {
            let part = if last && time == message.times && reply.end != End::Whole { Part::Half } else { Part::All };
            match events {
                true => write_event(out, message, id, part).await?,
                false => message.write(out, id, part.of(message.len(id))).await?,
            }
        }
    }
    if events && reply.end == End::Whole {
        out.write_all(b"0\r\n\r\n").await?;
    }
    out.flush().await
}

async fn write_head(out: &mut (impl AsyncWrite + Unpin), head: &Head, reply: &Reply, id: &str) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {} \r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    let lengths = reply.messages.iter().map(|message| message.len(id).saturating_mul(message.times));
    let length = lengths.fold(0, u64::saturating_add);
    text.extend_from_slice(
        match head.events {
            true => b"transfer-encoding: chunked\r\n\r\n".to_vec(),
            false => format!("content-length: {length}\r\n\r\n").into_bytes(),
        }
        .as_slice(),
    );
    out.write_all(&text).await
}

/// One event, as a chunk of its own.
async fn write_event(out: &mut (impl AsyncWrite + Unpin), message: &Message, id: &str, part: Part) -> io::Result<()> {
    let (before, after): (&[u8], &[u8]) = if message.bare { (b"", b"") } else { (b"data: ", b"\n\n") };
    let length = message.len(id);
    let chunk = length + (before.len() + after.len()) as u64;
    out.write_all(format!("{chunk:x}\r\n").as_bytes()).await?;
    out.write_all(before).await?;
    message.write(out, id, part.of(length)).await?;
    match part {
        Part::Half => Ok(()),
        Part::All => {
            out.write_all(after).await?;
            out.write_all(b"\r\n").await
        }
    }
}

/// How much of a message is said.
#[derive(Clone, Copy)]
enum Part {
    All,
    Half,
}

impl Part {
    const fn of(self, length: u64) -> u64 {
        match self {
            Self::All => length,
            Self::Half => length / 2,
        }
    }
}

/// A connection whose bytes out are counted.
struct Counted {
    stream: TcpStream,
    stage: Arc<Stage>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.stage.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
