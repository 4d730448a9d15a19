//! What the kernel knows of a process: the CPU time it took, and the memory it holds, with the children that it has
//! work for it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::Result;

/// The kernel shows times in this unit to programs, whatever its own clock's rate.
const TICK: Duration = Duration::from_millis(10);

/// User and system time are rounded down to ticks each, at both ends of a span.
const ROUNDING: Duration = TICK.saturating_mul(4);

/// The CPU time that a process has taken so far.
pub(crate) struct CpuTime {
    /// What the scheduler counts for each thread that is there. It is exact.
    by_thread: BTreeMap<u32, Duration>,
    /// What the kernel counts for the whole process, with threads that have ended.
    ticks: Duration,
    /// The same for children that have ended.
    children: Duration,
}

impl CpuTime {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let (own, children) = ticks(&stat).ok_or("/proc/PID/stat is not understood")?;
        let by_thread = by_thread(process);
        Ok(CpuTime { by_thread, ticks: TICK * own, children: TICK * children })
    }

    /// The time taken since `earlier`, with that of children that have ended meanwhile. The exact count is taken unless
    /// it is not there, or the ticks show that a thread has ended with a part of it.
    pub(crate) fn since(&self, earlier: &CpuTime) -> Duration {
        let exact: Duration = self
            .by_thread
            .iter()
            .map(|(id, time)| {
                time.saturating_sub(earlier.by_thread.get(id).copied().unwrap_or_default())
            })
            .sum();
        let ticks = self.ticks.saturating_sub(earlier.ticks);
        let own = if exact.abs_diff(ticks) <= ROUNDING { exact } else { ticks };
        own + self.children.saturating_sub(earlier.children)
    }
}

/// Empty where the kernel keeps no statistics of its scheduler.
fn by_thread(process: u32) -> BTreeMap<u32, Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let schedule = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let id = thread.file_name().to_str()?.parse().ok()?;
            Some((id, run_time(&schedule)?))
        })
        .collect()
}

/// The first of `schedstat`'s fields: nanoseconds on a processor.
fn run_time(schedule: &str) -> Option<Duration> {
    schedule.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// User and system time of the process, the 14th and 15th fields of `stat`, and of its children, the two after them. The
/// second field is a name in parentheses, in which anything can stand.
fn ticks(stat: &str) -> Option<(u32, u32)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times: Vec<u32> =
        fields.split_whitespace().skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| (times[0] + times[1], times[2] + times[3]))
}

/// How often the threads of a process have gone to sleep to wait for something, those that have ended left out.
pub(crate) fn sleeps(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    threads.filter_map(|thread| voluntary_switches(&status(thread)?)).sum()
}

fn voluntary_switches(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// The memory of a process that is resident. The kernel's summary of all mappings is exact; its running count is not,
/// and serves where there is no summary.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let summary = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    if let Some(bytes) = field_bytes(&summary, "Rss:") {
        return Ok(bytes);
    }
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    field_bytes(&status, "VmRSS:").ok_or_else(|| "/proc/PID/status is not understood".into())
}

/// The memory of a process and its children. What several of them share counts once.
pub(crate) fn family_bytes(process: u32) -> Result<u64> {
    let own = proportional_bytes(process).ok_or("/proc/PID/smaps_rollup is not understood")?;
    // A child may have ended since it was listed.
    Ok(own + children(process).into_iter().filter_map(proportional_bytes).sum::<u64>())
}

/// The resident memory of a process, of which it has only its part where others have it too.
fn proportional_bytes(process: u32) -> Option<u64> {
    field_bytes(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?, "Pss:")
}

fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// A field whose value is in kilobytes.
fn field_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu_time(threads: &[(u32, u64)], ticks: u32) -> CpuTime {
        let by_thread = threads.iter().map(|&(id, ms)| (id, Duration::from_millis(ms))).collect();
        CpuTime { by_thread, ticks: TICK * ticks, children: Duration::ZERO }
    }

    #[test]
    fn times_stand_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 3432 0 12 0 18 14 5 2 20 0 7 0 88303 919";
        assert_eq!(ticks(stat), Some((32, 7)));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn threads_are_added_up_exactly() {
        let before = cpu_time(&[(7, 100)], 10);
        let after = cpu_time(&[(7, 351), (8, 4)], 35);
        assert_eq!(after.since(&before), Duration::from_millis(255));
    }

    #[test]
    fn the_time_of_a_thread_that_has_ended_is_not_lost() {
        let before = cpu_time(&[(7, 100), (8, 0)], 10);
        let after = cpu_time(&[(7, 200)], 70);
        assert_eq!(after.since(&before), Duration::from_millis(600));
    }

    #[test]
    fn the_time_of_a_child_that_has_ended_counts() {
        let before = cpu_time(&[(7, 100)], 10);
        let after = CpuTime { children: TICK * 30, ..cpu_time(&[(7, 200)], 20) };
        assert_eq!(after.since(&before), Duration::from_millis(400));
    }

    #[test]
    fn without_the_schedulers_statistics_ticks_count() {
        assert_eq!(cpu_time(&[], 70).since(&cpu_time(&[], 10)), Duration::from_millis(600));
        assert_eq!(run_time("328723461 149973753 3454\n"), Some(Duration::from_nanos(328_723_461)));
    }

    #[test]
    fn memory_is_told_in_kilobytes() {
        let status = "Name:\tredlet\nVmRSS:\t   20480 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(field_bytes(status, "VmRSS:"), Some(20_480 * 1024));
        assert_eq!(field_bytes(status, "Rss:"), None);
    }

    #[test]
    fn only_switches_that_a_thread_asked_for_are_sleeps() {
        let status = "Threads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(voluntary_switches(status), Some(150));
        assert_eq!(voluntary_switches("Threads:\t1\n"), None);
    }

    #[test]
    fn this_process_has_taken_time_and_memory() {
        let own = std::process::id();
        assert!(resident_bytes(own).unwrap() > 100_000);
        assert!(CpuTime::of(own).is_ok());
        assert!(family_bytes(own).unwrap() > 100_000);
    }

    #[test]
    fn children_are_listed_by_their_numbers() {
        assert_eq!(numbers("12 345 \n"), [12, 345]);
        assert!(numbers("").is_empty());
    }
}
