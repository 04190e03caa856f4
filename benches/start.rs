//! Starts a windlass, prints the milliseconds until it is ready, and stops it.
//!
//! `start ADDRESS PROGRAM ARGUMENT…`, called by `scripts/bench`. Ready is when `GET /readyz` at ADDRESS says 200.
#![expect(clippy::print_stdout, reason = "one number is what it is for")]
#![expect(clippy::disallowed_types, reason = "nothing here is part of windlass")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

/// So short that it does not show, so long that it leaves the processor to others.
const PAUSE: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, program, rest @ ..] = arguments.as_slice() else {
        println!("this is a part of `make bench`; see benches/start.rs");
        return Ok(());
    };
    let start = Instant::now();
    let mut windlass = Command::new(program).args(rest).spawn()?;
    while !is_ready(address).unwrap_or(false) {
        if windlass.try_wait()?.is_some() || start.elapsed() > PATIENCE {
            windlass.kill()?;
            bail!("it did not become ready");
        }
        std::thread::sleep(PAUSE);
    }
    println!("{:.2}", start.elapsed().as_secs_f64() * 1e3);
    // Politely, so that the next one finds the state as a stop leaves it and not as a crash does.
    Command::new("kill").arg(windlass.id().to_string()).status()?;
    windlass.wait()?;
    Ok(())
}

fn is_ready(address: &str) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
