//! Does anybody have to wait when many keys expire at the same moment?

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::Result;
use crate::client::Client;
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::{fill, key};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

/// The keys that stay, and are asked for.
const STAYING: u64 = 50_000;

/// The keys that expire together.
const EXPIRING: u64 = 1_000_000;

/// How long before the moment the watch begins.
const LEAD: Duration = Duration::from_millis(500);

/// Keys that are still counted by then may stay for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// How often the keys are counted.
const COUNT_EVERY: Duration = Duration::from_millis(10);

/// What was seen around the moment.
struct Watch {
    requests: Histogram<u64>,
    /// How long after the moment nothing but the keys that stay was counted.
    gone: Option<Duration>,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut longest = Comparison::lower_is_better("Longest request, ms").of_lowest();
    let mut others = Comparison::lower_is_better("Around the moment");
    contest.rounds("expiry", contest.effort.few_rounds(), |contender| {
        let watch = watch(contender, contest.effort.expiry_watch)?;
        longest.add("while keys expire", contender, watch.requests.max() as f64 / 1e6);
        let tail_us = watch.requests.value_at_quantile(0.9999) as f64 / 1e3;
        others.add("p99.99 of requests, µs", contender, tail_us);
        let gone = watch.gone.unwrap_or(LIMIT).as_secs_f64() * 1e3;
        others.add_unless(watch.gone.is_none(), "until all are gone, ms", contender, gone);
        Ok(())
    })?;
    let contenders = &contest.contenders;
    Ok(Chapter {
        title: "Expiry",
        method: method(contest),
        tables: vec![longest.table(contenders), others.table(contenders)],
        charts: Vec::new(),
    })
}

fn watch(contender: &Contender, duration: Duration) -> Result<Watch> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    let began = Instant::now();
    fill(&mut client, 0..STAYING, &[VALUE])?;
    let estimate = began.elapsed() * (EXPIRING / STAYING) as u32 * 2 + LEAD * 2;
    let moment = set_expiring(&mut client, estimate)?;
    thread::sleep(moment.saturating_duration_since(Instant::now() + LEAD));
    observe(&mut client, moment, duration)
}

/// Sets the keys that expire, and gives the moment when they will. Where the time that this was thought to take is not
/// enough, the keys are set again with a later one.
fn set_expiring(client: &mut Client, estimate: Duration) -> Result<Instant> {
    for patience in [1, 2, 4, 8] {
        let moment_ms = unix_ms()? + (estimate * patience).as_millis() as u64;
        let deadline = moment_ms.to_string();
        fill(client, STAYING..STAYING + EXPIRING, &[VALUE, "PXAT", &deadline])?;
        let ahead = Duration::from_millis(moment_ms.saturating_sub(unix_ms()?));
        if ahead >= LEAD {
            return Ok(Instant::now() + ahead);
        }
    }
    Err("the keys took too long to be set".into())
}

fn unix_ms() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}

/// Asks for keys that stay, one after the other, and counts all keys from time to time.
fn observe(client: &mut Client, moment: Instant, duration: Duration) -> Result<Watch> {
    let mut watch = Watch { requests: Histogram::new(3)?, gone: None };
    let staying = STAYING.to_string();
    let mut next_count = Instant::now();
    for number in (0..STAYING).cycle() {
        let began = Instant::now();
        if began >= next_count {
            let all_gone = client.call(&["DBSIZE"])? == staying;
            next_count = began + COUNT_EVERY;
            if all_gone && watch.gone.is_none() {
                watch.gone = Some(moment.elapsed());
            }
        } else {
            client.call(&["GET", &key(number)])?;
        }
        if began < moment + duration {
            watch.requests.record(began.elapsed().as_nanos() as u64)?;
        } else if watch.gone.is_some() || began > moment + LIMIT {
            break;
        }
    }
    Ok(watch)
}

fn method(contest: &Contest) -> String {
    format!(
        "{expiring} keys are set with one and the same PXAT; {staying} others have no TTL. From {lead} ms before that \
         moment to {after} s after it a client asks for the others, one GET at a time, and sends DBSIZE every {count} \
         ms. All are gone when DBSIZE is {staying}; ° means that this had not happened after {limit} s. The longest \
         request is the shortest of {rounds} round(s), because the machine adds pauses of its own; all other figures \
         are medians.",
        expiring = grouped(EXPIRING),
        staying = grouped(STAYING),
        lead = LEAD.as_millis(),
        after = contest.effort.expiry_watch.as_secs(),
        count = COUNT_EVERY.as_millis(),
        limit = LIMIT.as_secs(),
        rounds = contest.effort.few_rounds(),
    )
}
