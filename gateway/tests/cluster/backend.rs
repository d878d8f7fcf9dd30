//! A pod's stand-in: answers the welcome page and its own address.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Every backend listens here.
pub const PORT: u16 = 8081;

/// A backend; its threads end with the test.
pub struct Backend {
    pub address: &'static str,
}

impl Backend {
    pub fn start(address: &'static str) -> Self {
        let listener = TcpListener::bind((address, PORT)).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream, address));
            }
        });
        Self { address }
    }
}

/// Answers requests without bodies until the other side closes.
fn serve(mut stream: TcpStream, address: &str) {
    let page = format!("<h1>Welcome to nginx!</h1>\n{address}\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    let Ok(reader) = stream.try_clone() else { return };
    for line in BufReader::new(reader).lines() {
        match line {
            Ok(line) if line.is_empty() => {
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
