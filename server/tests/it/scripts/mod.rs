//! Scripts that mean harm, or do not know what they do. After each of them the server answers, other scripts run as
//! if it had never been, and memory is what it was.

mod endless;
mod ends;
mod language;
mod memory;
mod sharing;
mod users;

use redlet::{MemoryStream, Server};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::support::{Wire, assert_serves, encode};

async fn server() -> Server {
    Server::builder().no_socket().start().await.expect("a server starts")
}

async fn eval<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Wire<S>, script: &str) -> String {
    client.request(&["EVAL", script, "0"]).await
}

/// A client that has sent a script and not heard of it since.
async fn running(server: &Server, script: &str) -> Wire<MemoryStream> {
    let mut client = Wire::memory(server);
    client.send(&encode(&["EVAL", script, "0"])).await;
    client
}

/// Uses something of every library, with memory that a modest script takes.
const HONEST: &str = "
    local list = {}
    for i = 1, 1000 do list[i] = ('%d:%s'):format(i, string.rep('x', 1000)) end
    table.sort(list)
    local packed = cmsgpack.unpack(cmsgpack.pack(cjson.decode(cjson.encode(list))))
    redis.call('set', 'honest', #packed)
    return redis.call('get', 'honest') .. bit.tohex(struct.unpack('>I2', 'ab')) .. #KEYS .. #ARGV";

/// Asserts that the server is well, and that what scripts need is as it was.
async fn assert_unharmed(server: &Server, what: &str) {
    assert_serves(server).await;
    let reply = eval(&mut Wire::memory(server), HONEST).await;
    assert_eq!(reply, "100016200", "after {what}");
}

/// Runs scripts, each for another client, and asserts what their replies contain and that they do no harm.
async fn check_scripts(server: &Server, scripts: &[(&str, &str)]) {
    let mut surprises = Vec::new();
    for (script, expected) in scripts {
        let reply = eval(&mut Wire::memory(server), script).await;
        if !reply.contains(expected) {
            surprises.push(format!("{script}\n    {}", shortened(&reply)));
        }
        assert_unharmed(server, script).await;
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn shortened(text: &str) -> &str {
    text.get(..300).unwrap_or(text)
}
