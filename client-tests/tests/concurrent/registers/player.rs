//! Plays a script of steps, and records what was asked, when, and what was answered.

use std::time::Instant;

use client_tests::{
    history::{
        Operation,
        registers::{Action, KEYS, Touch, Value},
    },
    reply::Reply,
};

use super::{
    Recorded,
    script::{How, Step},
};
use crate::client::{Client, Pace, Words, command, text};

/// Does everything that is asked, each command as a list of words between semicolons.
const TOUCH_ALL: &str = "
    local replies, words = {}, {}
    for _, word in ipairs(ARGV) do
        if word == ';' then
            replies[#replies + 1] = redis.pcall(unpack(words))
            words = {}
        else
            words[#words + 1] = word
        end
    end
    return replies";
/// An empty text stands for a key that is not there.
const COMPARE_AND_SET: &str = "
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2])
    return 1";

pub(super) struct Player {
    client: Client,
    number: usize,
    history: Vec<Recorded>,
}

impl Player {
    pub(super) fn new(client: Client, number: usize) -> Self {
        Self { client, number, history: Vec::new() }
    }

    pub(super) async fn play(mut self, script: Vec<Step>) -> Result<Vec<Recorded>, String> {
        for step in script {
            self.step(step).await?;
        }
        Ok(self.history)
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Command(touch) => self.touch(touch).await.map(|_| ()),
            Step::GetAll => self.get_all().await,
            Step::Script { touches, declared } => self.run_script(touches, declared).await,
            Step::Transaction { touches, pace } => self.execute(touches, pace).await,
            Step::Change { key, value, how: How::Script } => {
                let expected = self.touch(Touch::Get { key }).await?;
                self.compare_and_set(key, expected, value).await
            }
            Step::Change { key, value, how: How::Watch } => {
                self.watch(vec![key]).await?;
                self.touch(Touch::Get { key }).await?;
                self.execute(vec![Touch::Set { key, value }], Pace::AtOnce).await
            }
            Step::Watch { keys, between, touches, pace } => {
                self.watch(keys).await?;
                if let Some(touch) = between {
                    self.touch(touch).await?;
                }
                self.execute(touches, pace).await
            }
            Step::Unwatch { key, touch } => {
                self.watch(vec![key]).await?;
                self.unwatch().await?;
                self.execute(vec![touch], Pace::AtOnce).await
            }
        }
    }

    async fn touch(&mut self, touch: Touch) -> Result<Value, String> {
        let (start, words) = (Instant::now(), words(touch));
        let reply = self.client.call(&words).await?;
        let value = value(touch, &reply).ok_or_else(|| self.client.complaint(&words, &reply))?;
        self.record(start, Action::Touched(vec![(touch, value)]));
        Ok(value)
    }

    async fn get_all(&mut self) -> Result<(), String> {
        let (start, words) = (Instant::now(), [command(&["MGET"]), keys()].concat());
        let touches = (0..KEYS).map(|key| Touch::Get { key }).collect();
        let reply = self.client.call(&words).await?;
        let answered = answers(touches, &reply.elements().unwrap_or_default());
        let answered = answered.ok_or_else(|| self.client.complaint(&words, &reply))?;
        self.record(start, Action::Touched(answered));
        Ok(())
    }

    async fn run_script(&mut self, touches: Vec<Touch>, declared: bool) -> Result<(), String> {
        let mut script = command(&["EVAL", TOUCH_ALL]);
        let declared = if declared { keys() } else { Words::new() };
        script.push(declared.len().to_string());
        script.extend(declared);
        for touch in &touches {
            script.extend(words(*touch));
            script.push(";".to_owned());
        }
        let start = Instant::now();
        let reply = self.client.call(&script).await?;
        let answered = answers(touches, &reply.elements().unwrap_or_default());
        let answered = answered.ok_or_else(|| self.client.complaint(&script, &reply))?;
        self.record(start, Action::Touched(answered));
        Ok(())
    }

    async fn compare_and_set(
        &mut self,
        key: usize,
        expected: Value,
        value: i64,
    ) -> Result<(), String> {
        let (start, before) = (Instant::now(), expected.map(|value| value.to_string()));
        let (before, after) = (before.unwrap_or_default(), value.to_string());
        let words = command(&["EVAL", COMPARE_AND_SET, "1", &name(key), &before, &after]);
        let reply = self.client.call(&words).await?;
        let Reply::Integer(set) = reply else { return Err(self.client.complaint(&words, reply)) };
        let touch = Touch::CompareAndSet { key, expected, value };
        self.record(start, Action::Touched(vec![(touch, Some(set))]));
        Ok(())
    }

    async fn watch(&mut self, keys: Vec<usize>) -> Result<(), String> {
        let start = Instant::now();
        let words = command(&["WATCH"]).into_iter().chain(keys.iter().map(|key| name(*key)));
        self.client.call(&words.collect()).await?;
        self.record(start, Action::Watched { client: self.number, keys });
        Ok(())
    }

    async fn unwatch(&mut self) -> Result<(), String> {
        let start = Instant::now();
        self.client.ask(&["UNWATCH"]).await?;
        self.record(start, Action::Unwatched { client: self.number });
        Ok(())
    }

    async fn execute(&mut self, touches: Vec<Touch>, pace: Pace) -> Result<(), String> {
        let (start, client) = (Instant::now(), self.number);
        let commands: Vec<Words> = touches.iter().copied().map(words).collect();
        let action = match self.client.execute_if_unchanged(&commands, pace).await? {
            None => Action::Refused { client },
            Some(replies) => {
                let answered = answers(touches, &replies.iter().collect::<Vec<_>>());
                let touches =
                    answered.ok_or_else(|| self.client.complaint(&commands[0], &replies[0]))?;
                Action::Executed { client, touches }
            }
        };
        self.record(start, action);
        Ok(())
    }

    fn record(&mut self, start: Instant, action: Action) {
        self.history.push(Operation { start, end: Instant::now(), action });
    }
}

fn name(key: usize) -> String {
    format!("register:{key}")
}

fn keys() -> Words {
    (0..KEYS).map(name).collect()
}

fn words(touch: Touch) -> Words {
    let with_value = |verb: &str, key, value: i64| command(&[verb, &name(key), &value.to_string()]);
    match touch {
        Touch::Get { key } => command(&["GET", &name(key)]),
        Touch::Set { key, value } => with_value("SET", key, value),
        Touch::SetIfAbsent { key, value } => with_value("SETNX", key, value),
        Touch::Add { key, amount } => with_value("INCRBY", key, amount),
        Touch::Swap { key, value } => with_value("GETSET", key, value),
        Touch::Take { key } => command(&["GETDEL", &name(key)]),
        Touch::Delete { key } => command(&["DEL", &name(key)]),
        Touch::Rename { from, to } => command(&["RENAME", &name(from), &name(to)]),
        Touch::CompareAndSet { .. } => unreachable!("there is no command for it"),
    }
}

/// The touches with their answers, if the replies are such.
fn answers(touches: Vec<Touch>, replies: &[&Reply]) -> Option<Vec<(Touch, Value)>> {
    if touches.len() != replies.len() {
        return None;
    }
    let answer = |(touch, reply): (Touch, &&Reply)| Some((touch, value(touch, reply)?));
    touches.into_iter().zip(replies).map(answer).collect()
}

/// What a reply says, or `None` if it is no reply to this.
fn value(touch: Touch, reply: &Reply) -> Option<Value> {
    match (touch, reply) {
        (Touch::Set { .. }, Reply::Simple(_)) => Some(None),
        (Touch::Rename { .. }, Reply::Simple(_)) => Some(Some(1)),
        (Touch::Rename { .. }, Reply::Error(why)) if why.starts_with(b"ERR no such key") => {
            Some(Some(0))
        }
        (Touch::Get { .. } | Touch::Swap { .. } | Touch::Take { .. }, reply) if reply.is_null() => {
            Some(None)
        }
        (_, Reply::Integer(number)) => Some(Some(*number)),
        (_, Reply::Bulk(_)) => text(reply).parse().ok().map(Some),
        _ => None,
    }
}
