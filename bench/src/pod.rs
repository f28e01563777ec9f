//! A server that costs as little as one can, so that what stands before it is what is measured.
//!
//! It serves `echo(text)` in one era from one thread over raw sockets. The text is cut out of a request before the rest
//! is parsed, and written back from where it was read. At `/NAME/mcp` its tools are called after NAME instead.

mod answer;

use std::{
    collections::HashMap,
    io::{self, IoSlice, Read, Write},
    ops::Range,
};

use anyhow::Result;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use self::answer::Answers;
use crate::{
    http::{self, Bare},
    load::Era,
};

const LISTENER: Token = Token(usize::MAX);

/// How much room a connection has at first: enough for every request but those with a long text.
const ROOM: usize = 8_192;

/// Serves for ever.
///
/// # Errors
/// When accepting fails for good. A connection that fails or sends what is not HTTP is closed.
pub fn serve(listener: std::net::TcpListener, era: Era, tools: usize) -> Result<()> {
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1_024);
    let mut connections: HashMap<Token, Connection> = HashMap::new();
    let mut answers = Answers::new(era, tools, port);
    let mut next = 0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Some(mut stream) = accept(&listener)? {
                    let token = Token(next);
                    next += 1;
                    poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                    connections.insert(token, Connection::new(stream));
                }
            } else if let Some(connection) = connections.get_mut(&event.token())
                && !connection.advance(&mut answers).unwrap_or(false)
            {
                connections.remove(&event.token());
            }
        }
    }
}

fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nodelay(true)?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    output: Option<Output>,
}

/// An answer on its way: what is before the text, the text where it stands in the input, and what is after it.
struct Output {
    before: Vec<u8>,
    text: Range<usize>,
    after: &'static [u8],
    written: usize,
    /// How much of the input the request took.
    taken: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, input: vec![0; ROOM], filled: 0, output: None }
    }

    /// Does what can be done now; false once the connection has ended.
    fn advance(&mut self, answers: &mut Answers) -> Result<bool> {
        loop {
            if let Some(output) = &mut self.output {
                if !output.write(&mut self.stream, &self.input)? {
                    return Ok(true);
                }
                self.input.copy_within(output.taken..self.filled, 0);
                self.filled -= output.taken;
                self.output = None;
            }
            if self.take_request(answers)? {
                continue;
            }
            if self.filled == self.input.len() {
                self.input.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a whole request was there. Then its answer is the output.
    fn take_request(&mut self, answers: &mut Answers) -> Result<bool> {
        let Some(request) = http::parse(&self.input[..self.filled], Bare::Empty)? else { return Ok(false) };
        let answer = answers.to(&request);
        let mut text = answer.text;
        let mut taken = request.taken;
        match request.body {
            std::borrow::Cow::Borrowed(body) => {
                let body_at = taken - body.len();
                text = body_at + text.start..body_at + text.end;
            }
            // A body out of its chunks takes the place of what it came in.
            std::borrow::Cow::Owned(body) => {
                self.input.splice(..taken, body.iter().copied());
                self.filled = self.filled - taken + body.len();
                taken = body.len();
            }
        }
        self.output = Some(Output { before: answer.before, text, after: answer.after, written: 0, taken });
        Ok(true)
    }
}

impl Output {
    /// Writes as much as the socket takes; true once that was all.
    fn write(&mut self, stream: &mut TcpStream, input: &[u8]) -> io::Result<bool> {
        let parts = [&self.before, &input[self.text.clone()], self.after];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        while self.written < length {
            let mut skipped = self.written;
            let rest = parts.map(|part| {
                let skip = skipped.min(part.len());
                skipped -= skip;
                IoSlice::new(&part[skip..])
            });
            match stream.write_vectored(&rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::{net, thread, time::Duration};

    use super::*;
    use crate::load::{Amount, Calls, Target, Work};

    /// Where a pod of `era` listens for as long as the test runs.
    fn pod(era: Era) -> Target {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        thread::spawn(move || serve(listener, era, 3));
        Target::parse(&url).unwrap()
    }

    fn calls(target: &Target, era: Era, work: Work, payload: usize) -> Result<u64> {
        let (target, amount) = (target.clone(), Amount::Requests(10));
        let calls = Calls { target, era, work, connections: 3, amount, warm_up: Duration::ZERO, payload };
        Ok(calls.run()?.answers)
    }

    #[test]
    fn answers_what_the_load_asks_in_either_era_and_at_any_length() {
        for era in [Era::Modern, Era::Legacy] {
            let pod = pod(era);
            for payload in [0, 16, 10_000, 3 << 20] {
                assert_eq!(calls(&pod, era, Work::Call("echo".to_owned()), payload).unwrap(), 10);
            }
            assert_eq!(calls(&pod, era, Work::Call("echo_2".to_owned()), 16).unwrap(), 10);
            assert_eq!(calls(&pod, era, Work::List, 0).unwrap(), 10);
        }
        assert_eq!(calls(&pod(Era::Legacy), Era::Legacy, Work::Initialize, 0).unwrap(), 10);
    }

    #[test]
    fn refuses_the_other_era_and_a_tool_that_it_does_not_have() {
        assert!(calls(&pod(Era::Modern), Era::Legacy, Work::List, 0).is_err());
        assert!(calls(&pod(Era::Legacy), Era::Modern, Work::List, 0).is_err());
        for tool in ["echo_3", "echo_0", "other"] {
            assert!(calls(&pod(Era::Modern), Era::Modern, Work::Call(tool.to_owned()), 16).is_err(), "{tool}");
        }
    }

    #[test]
    fn takes_a_body_in_chunks_and_the_next_request_after_it() {
        let mut stream = net::TcpStream::connect(pod(Era::Modern).address).unwrap();
        let body = r#"{"id":1,"method":"tools/call","params":{"name":"a","arguments":{"text":"hello"}}}"#;
        let (head, tail) = body.split_at(20);
        let chunks = [head, tail, ""].map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).concat();
        let chunked = format!("POST /a/mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let plain = format!("POST /a/mcp HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(format!("{chunked}{plain}").as_bytes()).unwrap();
        let mut input = Vec::new();
        while memchr::memmem::find_iter(&input, br#""text":"hello""#).count() < 2 {
            let mut buffer = [0; 1_024];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&input));
            input.extend_from_slice(&buffer[..count]);
        }
    }
}
