// SPDX-License-Identifier: GPL-2.0
//! As much of HTTP/1.0 and 1.1 (RFC 9112) as a test server needs: GET of one page.

/// Most bytes of a request.
const REQUEST_MAX: usize = 16384;

/// The beginning of what a client sends, until it is a request.
#[derive(Default)]
pub struct Requests {
    input: Vec<u8>,
    always_close: bool,
}

/// A response, and whether the connection ends with it.
pub struct Response {
    /// Header and body.
    pub bytes: Vec<u8>,
    /// Whether the connection ends.
    pub close: bool,
}

impl Requests {
    /// Nothing received yet. With `always_close` every response ends the connection.
    pub fn new(always_close: bool) -> Self {
        Requests {
            always_close,
            ..Default::default()
        }
    }

    /// Takes bytes of the client.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The answer to the next request, once it is complete. `about` goes into a header.
    pub fn answer(&mut self, page: &[u8], about: &str) -> Option<Response> {
        let Some(end) = header_end(&self.input) else {
            let too_long = self.input.len() > REQUEST_MAX;
            return too_long.then(|| {
                self.input.clear();
                response("431 Request Header Fields Too Large", b"", about, true)
            });
        };
        let request: Vec<u8> = self.input.drain(..end).collect();
        let request = String::from_utf8_lossy(&request);
        let mut lines = request.lines();
        let line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        Some(match line[..] {
            ["GET", target, version @ ("HTTP/1.0" | "HTTP/1.1")] => {
                let close = self.always_close || version == "HTTP/1.0" || wants_close(lines);
                match target.split('?').next().unwrap_or_default() {
                    "/" => response("200 OK", page, about, close),
                    _ => response("404 Not Found", b"not found\n", about, close),
                }
            }
            [_, _, "HTTP/1.0" | "HTTP/1.1"] => response("405 Method Not Allowed", b"", about, true),
            _ => response("400 Bad Request", b"", about, true),
        })
    }
}

/// The length of a request's header with the empty line that ends it. A line ends with CRLF or,
/// for clients typed by hand, with a bare LF.
fn header_end(input: &[u8]) -> Option<usize> {
    let position = |end: &[u8]| {
        let at = input.windows(end.len()).position(|window| window == end)?;
        Some(at + end.len())
    };
    match (position(b"\r\n\r\n"), position(b"\n\n")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn wants_close<'a>(headers: impl Iterator<Item = &'a str>) -> bool {
    headers
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

fn response(status: &str, body: &[u8], about: &str, close: bool) -> Response {
    let header = format!(
        "HTTP/1.1 {status}\r\n\
         Server: tls_hs_server\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {}\r\n\
         Connection: {}\r\n\
         X-TLS: {about}\r\n\
         \r\n",
        body.len(),
        if close { "close" } else { "keep-alive" },
    );
    Response {
        bytes: [header.as_bytes(), body].concat(),
        close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(bytes: &[u8]) -> Vec<(String, bool)> {
        let mut requests = Requests::default();
        requests.feed(bytes);
        std::iter::from_fn(|| requests.answer(b"page", "-"))
            .map(|r| {
                let text = String::from_utf8(r.bytes).unwrap();
                (text.lines().next().unwrap().to_string(), r.close)
            })
            .collect()
    }

    #[test]
    fn requests_end_with_either_kind_of_empty_line() {
        let ok = "HTTP/1.1 200 OK".to_string();
        assert_eq!(
            answers(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            [(ok.clone(), false)]
        );
        assert_eq!(answers(b"GET / HTTP/1.1\n\n"), [(ok.clone(), false)]);
        assert_eq!(answers(b"GET / HTTP/1.0\r\n\r\n"), [(ok.clone(), true)]);
        assert_eq!(
            answers(b"GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n"),
            [(ok.clone(), true)]
        );
        assert_eq!(
            answers(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\nGET / HTT"),
            [(ok.clone(), false), (ok, false)]
        );
        assert!(answers(b"GET / HTTP/1.1\r\nHost: x\r\n").is_empty());
    }

    #[test]
    fn other_requests_are_refused() {
        for (request, status) in [
            (&b"GET /x HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 404 Not Found"),
            (
                b"POST / HTTP/1.1\r\n\r\n",
                "HTTP/1.1 405 Method Not Allowed",
            ),
            (b"GET /\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            (b"\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            (
                &[b'a'; 20000],
                "HTTP/1.1 431 Request Header Fields Too Large",
            ),
        ] {
            assert_eq!(answers(request)[0].0, status);
        }
    }
}
