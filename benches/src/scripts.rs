//! The Lua scripts that are measured, and how a server gets them.

use crate::Result;
use crate::client::Client;
use crate::servers::Server;

/// A script that is called again and again.
pub(crate) struct Script {
    /// What the page calls it.
    name: &'static str,
    pub(crate) text: &'static str,
    /// What EVALSHA calls it.
    pub(crate) sha1: &'static str,
}

/// Gives a lock back, if it is one's own: what nearly every library for locks sends.
pub(crate) const UNLOCK: Script = Script {
    name: "UNLOCK",
    text: "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end",
    sha1: "ae3671744a5dbb24ea37ef607b8b10ac7856d43e",
};

/// As little as a script can do to a key.
pub(crate) const INCREMENT: Script = Script {
    name: "INCREMENT",
    text: "return redis.call('incr',KEYS[1])",
    sha1: "6f5ade10a69975e903c6d07b10ea44c6382381a5",
};

/// Works with numbers, strings and a table for about a millisecond, and asks for no key.
pub(crate) const COMPUTE: Script = Script {
    name: "COMPUTE",
    text: "\
local words, sum = {}, 0
for round = 1, 36 do
  for number = 1, 100 do
    local mixed = (number * 7919 + round * 104729) % 1000
    words[number] = string.format('word:%03d', mixed)
    sum = (sum * 31 + mixed) % 1000003
  end
  table.sort(words)
  sum = (sum + #table.concat(words, ',')) % 1000003
end
return sum
",
    sha1: "89f5b6b3de22e3976e32f6fe271b29a141a1a148",
};

pub(crate) const SCRIPTS: [Script; 3] = [UNLOCK, INCREMENT, COMPUTE];

/// Whether a server has scripts.
pub(crate) fn are_known_to(server: &Server) -> Result<bool> {
    server.knows(&["eval", "evalsha", "script"])
}

/// Makes the scripts known by their SHA-1.
pub(crate) fn load(client: &mut Client) -> Result<()> {
    for script in &SCRIPTS {
        let sha1 = client.call(&["SCRIPT", "LOAD", script.text])?;
        if sha1 != script.sha1 {
            return Err(format!("the SHA-1 of {} is {sha1} here", script.name).into());
        }
    }
    Ok(())
}

impl Script {
    /// A text in which the script is called by its name.
    pub(crate) fn named_in(&self, text: &str) -> String {
        text.replace(self.text, self.name).replace(self.sha1, &format!("<SHA-1 of {}>", self.name))
    }

    /// Name and text, in Markdown.
    pub(crate) fn definition(&self) -> String {
        if self.text.contains('\n') {
            format!("{} is\n\n```lua\n{}```", self.name, self.text)
        } else {
            format!("{} is `{}`", self.name, self.text)
        }
    }
}
