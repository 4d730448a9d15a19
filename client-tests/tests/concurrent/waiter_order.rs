//! Clients that wait on one list, in an order that is known, are served in that order.
//!
//! A waiter comes only after the one before it is seen blocked, so that what each gets can be computed beforehand.

use std::collections::VecDeque;

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
    wire::NoReply,
};

use crate::client::{
    Client, PATIENCE, Words, blocked_clients, command, line, random_protocol, text, texts,
    until_blocked, until_gone,
};

const LINE: &str = "line";
/// Some who wait on LINE move what they get to this list, where others wait.
const HALL: &str = "hall";
const MOST_WAITERS: usize = 12;

/// One who waits, and what is to become of it.
struct Waiter {
    client: Client,
    id: String,
    words: Words,
    takes: Takes,
}

#[derive(Clone, Copy)]
enum Takes {
    First,
    Last,
    SeveralFirst(usize),
    SeveralLast(usize),
    /// Moves the first element to HALL.
    ToHall,
}

pub(crate) async fn play(
    server: &Running,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut control = Client::connect(server, "control", Protocol::Resp2).await?;
    let mut popped = 0;
    for number in 0..steps.div_ceil(10) {
        let queue = Queue::form(server, &mut control, random).await;
        let done = match queue {
            Ok(queue) => queue.serve(&mut control, random).await,
            Err(why) => Err(why),
        };
        popped += done.map_err(|why| format!("  queue {number}:\n{why}"))?;
        control.ask(&["DEL", LINE, HALL]).await?;
    }
    Ok(popped)
}

/// All who wait, and what is in the lists.
struct Queue {
    line: VecDeque<Waiter>,
    hall: VecDeque<Waiter>,
    in_line: VecDeque<String>,
    in_hall: VecDeque<String>,
    pushed: usize,
    served: usize,
}

impl Queue {
    async fn form(
        server: &Running,
        control: &mut Client,
        random: &mut Random,
    ) -> Result<Self, String> {
        let mut waiters = VecDeque::new();
        for place in 0..2 + random.below(MOST_WAITERS - 1) {
            let client =
                Client::connect(server, format!("waiter {place}"), random_protocol(random)).await?;
            let (words, takes) = wait_in_line(random);
            waiters.push_back(Waiter::new(client, words, takes, control).await?);
        }
        let mut hall = VecDeque::new();
        for place in 0..random.below(3) {
            let name = format!("waiter {place} in the hall");
            let client = Client::connect(server, name, random_protocol(random)).await?;
            let words = command(&["BLPOP", HALL, "0"]);
            hall.push_back(Waiter::new(client, words, Takes::First, control).await?);
        }
        let (line, in_line, in_hall) = (waiters, VecDeque::new(), VecDeque::new());
        let mut queue = Self { line, hall, in_line, in_hall, pushed: 0, served: 0 };
        queue.lose_some(control, random).await?;
        let blocked = blocked_clients(control).await?;
        let waiting = queue.line.len() + queue.hall.len();
        if blocked != waiting {
            return Err(format!("  {waiting} clients wait, and INFO says {blocked} are blocked"));
        }
        Ok(queue)
    }

    /// Those who go before anything is pushed must leave no gap and take nothing with them.
    async fn lose_some(&mut self, control: &mut Client, random: &mut Random) -> Result<(), String> {
        let mut staying = VecDeque::new();
        for waiter in std::mem::take(&mut self.line) {
            if !random.once_in(4) {
                staying.push_back(waiter);
                continue;
            }
            match random.below(3) {
                0 => waiter.unblocked(control).await?,
                1 => waiter.killed(control).await?,
                _ => {
                    let id = waiter.id.clone();
                    drop(waiter);
                    until_gone(control, &id).await?;
                }
            }
        }
        self.line = staying;
        Ok(())
    }

    async fn serve(mut self, control: &mut Client, random: &mut Random) -> Result<usize, String> {
        while !self.line.is_empty() {
            let pushes: Vec<Words> = (0..=random.below(3)).map(|_| self.push(random)).collect();
            control.send(&pushes).await?;
            for words in &pushes {
                let reply = control.reply(words).await?;
                if !matches!(reply, Reply::Integer(_)) {
                    return Err(control.complaint(words, reply));
                }
                self.admit(words).await?;
            }
        }
        let (in_line, in_hall) =
            (std::mem::take(&mut self.in_line), std::mem::take(&mut self.in_hall));
        check_left(control, LINE, &in_line).await?;
        check_left(control, HALL, &in_hall).await?;
        Ok(self.served)
    }

    fn push(&mut self, random: &mut Random) -> Words {
        let mut words = command(&[*random.pick(&["LPUSH", "RPUSH"]), LINE]);
        for _ in 0..=random.below(4) {
            words.push(format!("element {}", self.pushed));
            self.pushed += 1;
        }
        words
    }

    /// Does to the model what a push does to the server, and reads what those who are served have got.
    async fn admit(&mut self, push: &Words) -> Result<(), String> {
        for element in &push[2..] {
            if push[0] == "LPUSH" {
                self.in_line.push_front(element.clone());
            } else {
                self.in_line.push_back(element.clone());
            }
        }
        while !self.in_line.is_empty() {
            let Some(waiter) = self.line.pop_front() else { break };
            let taken = waiter.takes.take_from(&mut self.in_line);
            if matches!(waiter.takes, Takes::ToHall) {
                self.in_hall.extend(taken.iter().cloned());
            }
            waiter.got(&taken, push).await?;
            self.served += 1;
        }
        while !self.in_hall.is_empty() {
            let Some(waiter) = self.hall.pop_front() else { break };
            let taken = waiter.takes.take_from(&mut self.in_hall);
            waiter.got(&taken, push).await?;
            self.served += 1;
        }
        Ok(())
    }
}

impl Takes {
    fn take_from(self, elements: &mut VecDeque<String>) -> Vec<String> {
        let (most, from_front) = match self {
            Self::First | Self::ToHall => (1, true),
            Self::Last => (1, false),
            Self::SeveralFirst(most) => (most, true),
            Self::SeveralLast(most) => (most, false),
        };
        let next = || if from_front { elements.pop_front() } else { elements.pop_back() };
        std::iter::from_fn(next).take(most).collect()
    }
}

impl Waiter {
    async fn new(
        mut client: Client,
        words: Words,
        takes: Takes,
        control: &mut Client,
    ) -> Result<Self, String> {
        let id = client.id().await?;
        client.send(std::slice::from_ref(&words)).await?;
        until_blocked(control, &id).await?;
        Ok(Self { client, id, words, takes })
    }

    async fn got(mut self, expected: &[String], push: &Words) -> Result<(), String> {
        let complain = |client: &Client, answer: String| {
            let what = client.complaint(&self.words, answer);
            format!("{what}\n    and its turn was to get {expected:?} of `{}`", line(push))
        };
        let reply = match self.client.next(PATIENCE).await {
            Ok(reply) => reply,
            Err(none) => return Err(complain(&self.client, none.to_string())),
        };
        let got = match (self.takes, reply.elements().as_deref()) {
            (Takes::ToHall, _) => Some(vec![text(&reply)]),
            (Takes::First | Takes::Last, Some([_, element])) => Some(vec![text(element)]),
            (_, Some([_, elements])) => texts(elements),
            _ => None,
        };
        if got.as_deref() == Some(expected) {
            return Ok(());
        }
        Err(complain(&self.client, reply.to_string()))
    }

    async fn unblocked(mut self, control: &mut Client) -> Result<(), String> {
        let ended = control.ask(&["CLIENT", "UNBLOCK", &self.id]).await?;
        let reply = self.client.reply(&self.words).await?;
        if ended == Reply::Integer(1) && reply.is_null() {
            return Ok(());
        }
        let what = self.client.complaint(&self.words, reply);
        Err(format!("{what}\n    while CLIENT UNBLOCK answered {ended}"))
    }

    async fn killed(mut self, control: &mut Client) -> Result<(), String> {
        control.ask(&["CLIENT", "KILL", "ID", &self.id]).await?;
        match self.client.next(PATIENCE).await {
            Err(NoReply::Closed) => until_gone(control, &self.id).await,
            Ok(reply) => Err(self.client.complaint(&self.words, reply)),
            Err(none) => Err(self.client.complaint(&self.words, none)),
        }
    }
}

/// A command that waits on LINE, and perhaps on lists that stay empty.
fn wait_in_line(random: &mut Random) -> (Words, Takes) {
    let mut lists = vec![LINE, "empty:0", "empty:1"];
    lists.truncate(1 + random.below(3));
    random.shuffle(&mut lists);
    let most = 1 + random.below(4);
    let (number, count) = (lists.len().to_string(), most.to_string());
    let (words, takes) = match random.below(6) {
        0 => ([&["BLPOP"], &lists[..], &["0"]].concat(), Takes::First),
        1 => ([&["BRPOP"], &lists[..], &["0"]].concat(), Takes::Last),
        2 => (
            [&["BLMPOP", "0", &number], &lists[..], &["LEFT", "COUNT", &count]].concat(),
            Takes::SeveralFirst(most),
        ),
        3 => (
            [&["BLMPOP", "0", &number], &lists[..], &["RIGHT", "COUNT", &count]].concat(),
            Takes::SeveralLast(most),
        ),
        4 => (vec!["BLMOVE", LINE, HALL, "LEFT", "RIGHT", "0"], Takes::ToHall),
        _ => (vec!["BLPOP", LINE, "0"], Takes::First),
    };
    (command(&words), takes)
}

async fn check_left(
    control: &mut Client,
    list: &str,
    expected: &VecDeque<String>,
) -> Result<(), String> {
    let words = command(&["LRANGE", list, "0", "-1"]);
    let reply = control.call(&words).await?;
    if texts(&reply).is_some_and(|left| *expected == left) {
        return Ok(());
    }
    Err(format!("{}\n    and left was {expected:?}", control.complaint(&words, reply)))
}
