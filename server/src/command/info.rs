//! `INFO`: what a server says about itself, section by section.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::memory::{Figures, ratio};
use super::metadata::{Group, categories, flags};
use super::process::{self, ProcessorTime};
use super::{Args, Command, Locks, Table};
use crate::clients::ClientFlags;
use crate::config::Param;
use crate::durability::{Job, Kind};
use crate::engine::{Bar, Engine};
use crate::error::Error;
use crate::execute::Call;
use crate::limit::OWN_BYTES;
use crate::script::Figures as ScriptFigures;
use crate::text::human_size;

/// The Redis whose behaviour the server follows.
pub(crate) const REDIS_VERSION: &str = "7.2.4";

pub(super) const COMMANDS: &[&Command] = &[&INFO];

const INFO: Command = Command {
    name: "info",
    arity: -1,
    flags: flags("loading stale"),
    categories: categories("dangerous"),
    locks: Locks::All,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: Group::Server,
    usage: "[section [section ...]]",
    summary: "Tells the state and the statistics of the server.",
    run: info,
    ..Command::BASE
};

/// Sections that do not exist are passed over.
fn info(call: &mut Call<'_>) -> Result<(), Error> {
    let wanted = Wanted::parse(call.args);
    call.settle_statistics();
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| wanted.includes(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {}\r\n", section.title);
        (section.write)(&mut Lines(&mut text), call);
    }
    call.reply.verbatim(text.as_bytes());
    Ok(())
}

struct Section {
    title: &'static str,
    /// Whether it is shown where no section is asked for.
    is_usual: bool,
    write: fn(&mut Lines<'_>, &Call<'_>),
}

const SECTIONS: &[Section] = &[
    Section { title: "Server", is_usual: true, write: server },
    Section { title: "Clients", is_usual: true, write: clients },
    Section { title: "Memory", is_usual: true, write: memory },
    Section { title: "Persistence", is_usual: true, write: persistence },
    Section { title: "Stats", is_usual: true, write: stats },
    Section { title: "Replication", is_usual: true, write: replication },
    Section { title: "CPU", is_usual: true, write: cpu },
    Section { title: "Modules", is_usual: true, write: modules },
    Section { title: "Commandstats", is_usual: false, write: command_stats },
    Section { title: "Errorstats", is_usual: true, write: error_stats },
    Section { title: "Latencystats", is_usual: false, write: latency_stats },
    Section { title: "Cluster", is_usual: true, write: cluster },
    Section { title: "Keyspace", is_usual: true, write: keyspace },
];

/// Which sections a request asks for.
#[derive(Debug, Default)]
struct Wanted {
    everything: bool,
    usual: bool,
    named: Vec<Vec<u8>>,
}

impl Wanted {
    fn parse(args: Args<'_>) -> Self {
        let mut wanted = Wanted { usual: args.len() == 1, ..Wanted::default() };
        for word in args.from(1) {
            match word.to_ascii_lowercase() {
                word if word == b"all" || word == b"everything" => wanted.everything = true,
                word if word == b"default" => wanted.usual = true,
                word => wanted.named.push(word),
            }
        }
        wanted
    }

    fn includes(&self, section: &Section) -> bool {
        let mut names = self.named.iter();
        self.everything
            || (self.usual && section.is_usual)
            || names.any(|name| name.eq_ignore_ascii_case(section.title.as_bytes()))
    }
}

/// Writes the lines of a section.
struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    fn line(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    fn lines(&mut self, values: &[(&str, &dyn Display)]) {
        for (name, value) in values {
            self.line(name, value);
        }
    }

    /// What cannot happen on this server, in fields that some tools miss where they are not.
    fn zeros(&mut self, names: &[&str]) {
        for name in names {
            self.line(name, 0);
        }
    }

    /// A number of bytes, and once more for people.
    fn size(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.line(&format!("{name}_human"), human_size(bytes));
    }

    fn decimal(&mut self, name: &str, value: f64) {
        self.line(name, format_args!("{value:.2}"));
    }

    fn percentage(&mut self, name: &str, share: f64) {
        self.line(name, format_args!("{:.2}%", share * 100.0));
    }
}

fn server(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let now_us = engine.clock.now_us();
    let uptime_s = (now_us - engine.started_us) / 1_000_000;
    let hz = engine.config.number(Param::Hz);
    let config_file = engine.config.file().unwrap_or_default();
    let executable = std::env::current_exe().unwrap_or_default();
    lines.lines(&[
        ("redis_version", &REDIS_VERSION),
        ("server_name", &"redlet"),
        ("redlet_version", &env!("CARGO_PKG_VERSION")),
        ("redis_git_sha1", &"00000000"),
        ("redis_git_dirty", &0),
        ("redis_build_id", &concat!("redlet-", env!("CARGO_PKG_VERSION"))),
        ("redis_mode", &"standalone"),
        ("os", &process::system_name()),
        ("arch_bits", &usize::BITS),
        ("multiplexing_api", &"tokio"),
        ("process_id", &std::process::id()),
        ("process_supervised", &"no"),
        ("run_id", &engine.run_id),
        ("tcp_port", &engine.port.load(Ordering::Relaxed)),
        ("server_time_usec", &now_us),
        ("uptime_in_seconds", &uptime_s),
        ("uptime_in_days", &(uptime_s / (24 * 60 * 60))),
        ("hz", &hz),
        ("configured_hz", &hz),
        ("lru_clock", &lru_clock(now_us / 1000)),
        ("executable", &executable.display()),
        ("config_file", &config_file.display()),
        ("io_threads_active", &0),
    ]);
}

/// The clock that Redis notes uses with: seconds, in so many bits.
const fn lru_clock(now_ms: i64) -> i64 {
    const BITS: u32 = 24;
    (now_ms / 1000) & ((1 << BITS) - 1)
}

fn clients(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let all = engine.clients.all();
    let most = |figures: &mut dyn Iterator<Item = usize>| figures.max().unwrap_or(0);
    let unread = most(&mut all.iter().map(|client| client.seen.unread.load(Ordering::Relaxed)));
    let unsent = most(&mut all.iter().map(|client| client.seen.unsent.load(Ordering::Relaxed)));
    lines.line("connected_clients", all.len());
    lines.line("cluster_connections", 0);
    lines.line("maxclients", engine.config.number(Param::MaxClients));
    lines.line("client_recent_max_input_buffer", unread);
    lines.line("client_recent_max_output_buffer", unsent);
    let subscribed = all.iter().filter(|client| client.has(ClientFlags::PUBSUB)).count();
    let waiting = all.iter().filter(|client| client.has(ClientFlags::WAITING)).count();
    lines.line("blocked_clients", waiting);
    lines.line("tracking_clients", engine.tracking.totals().clients);
    lines.line("pubsub_clients", subscribed);
    let watching = all.iter().filter(|client| client.watched() > 0);
    lines.line("watching_clients", watching.count());
    lines.line("clients_in_timeout_table", engine.blocking.timed());
    lines.line("total_watched_keys", call.txn.watched_keys());
    lines.line("total_blocking_keys", engine.blocking.keys(|_| true));
    let minding = engine.blocking.keys(|ticket| ticket.awaited.minds_loss);
    lines.line("total_blocking_keys_on_nokey", minding);
}

/// What scripts and functions take.
fn scripts(lines: &mut Lines<'_>, figures: &ScriptFigures) {
    let read = |figure: &AtomicUsize| figure.load(Ordering::Relaxed) as u64;
    let (vm, library_vm) = (read(&figures.vm_bytes), read(&figures.library_vm_bytes));
    let (scripts, libraries) = (read(&figures.script_bytes), read(&figures.library_bytes));
    lines.line("used_memory_lua", vm);
    lines.line("used_memory_vm_eval", vm);
    lines.line("used_memory_lua_human", human_size(vm));
    lines.line("used_memory_scripts_eval", scripts);
    lines.line("number_of_cached_scripts", read(&figures.scripts));
    lines.line("number_of_functions", read(&figures.functions));
    lines.line("number_of_libraries", read(&figures.libraries));
    lines.line("used_memory_vm_functions", library_vm);
    lines.size("used_memory_vm_total", vm + library_vm);
    lines.line("used_memory_functions", libraries);
    lines.size("used_memory_scripts", scripts + libraries);
}

fn memory(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let figures = Figures::of(call);
    let Figures { used, peak, resident, clients, overhead, dataset, .. } = figures;
    lines.size("used_memory", used);
    lines.size("used_memory_rss", resident);
    lines.size("used_memory_peak", peak);
    lines.percentage("used_memory_peak_perc", ratio(used, peak));
    lines.line("used_memory_overhead", overhead);
    lines.line("used_memory_startup", OWN_BYTES);
    lines.line("used_memory_dataset", dataset);
    lines.percentage("used_memory_dataset_perc", ratio(dataset, used));
    lines.line("allocator_allocated", used);
    lines.line("allocator_active", used);
    lines.line("allocator_resident", resident);
    lines.size("total_system_memory", process::system_memory_bytes());
    scripts(lines, &engine.scripts.figures);
    lines.size("maxmemory", engine.config.most_memory());
    lines.line("maxmemory_policy", engine.config.value("maxmemory-policy").unwrap_or_default());
    lines.decimal("allocator_frag_ratio", 1.0);
    lines.line("allocator_frag_bytes", 0);
    lines.decimal("allocator_rss_ratio", figures.fragmentation());
    lines.line("allocator_rss_bytes", resident as i64 - used as i64);
    lines.decimal("rss_overhead_ratio", 1.0);
    lines.line("rss_overhead_bytes", 0);
    lines.decimal("mem_fragmentation_ratio", figures.fragmentation());
    lines.line("mem_fragmentation_bytes", resident as i64 - used as i64);
    lines.line("mem_not_counted_for_evict", 0);
    lines.zeros(&[
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_clients_slaves",
    ]);
    lines.line("mem_clients_normal", clients);
    lines.zeros(&["mem_cluster_links", "mem_aof_buffer"]);
    lines.line("mem_allocator", "libc");
    lines.zeros(&["active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"]);
}

fn persistence(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let durability = &engine.durability;
    let (state, progress) = (durability.state().clone(), &durability.progress);
    let (job, changes) = (state.job.as_ref(), call.txn.counters().changes);
    let [saving, rewriting] =
        [Kind::Save, Kind::Rewrite].map(|kind| job.filter(|job| job.kind == kind));
    let written = job.map_or(0, |_| durability.keys_written.load(Ordering::Relaxed));
    lines.lines(&[
        ("loading", &u8::from(engine.is_loading())),
        ("async_loading", &0),
        ("current_cow_peak", &0),
        ("current_cow_size", &0),
        ("current_cow_size_age", &0),
        ("current_fork_perc", &"0.00"),
        ("current_save_keys_processed", &written),
        ("current_save_keys_total", &job.map_or(0, |job| job.keys)),
        ("rdb_changes_since_last_save", &changes.wrapping_sub(state.saved_changes)),
        ("rdb_bgsave_in_progress", &u8::from(saving.is_some())),
        ("rdb_last_save_time", &durability.last_save_s.load(Ordering::Relaxed)),
        ("rdb_last_bgsave_status", &state.last_save.word()),
        ("rdb_last_bgsave_time_sec", &state.last_save.seconds),
        ("rdb_current_bgsave_time_sec", &saving.map_or(-1, Job::seconds)),
        ("rdb_saves", &state.saves),
        ("rdb_last_cow_size", &0),
        ("rdb_last_load_keys_expired", &progress.keys_expired.load(Ordering::Relaxed)),
        ("rdb_last_load_keys_loaded", &progress.keys_loaded.load(Ordering::Relaxed)),
        ("aof_enabled", &u8::from(engine.keyspace.log.is_on())),
        ("aof_rewrite_in_progress", &u8::from(rewriting.is_some())),
        ("aof_rewrite_scheduled", &u8::from(state.is_rewrite_scheduled)),
        ("aof_last_rewrite_time_sec", &state.last_rewrite.seconds),
        ("aof_current_rewrite_time_sec", &rewriting.map_or(-1, Job::seconds)),
        ("aof_last_bgrewrite_status", &state.last_rewrite.word()),
        ("aof_rewrites", &state.rewrites),
        ("aof_rewrites_consecutive_failures", &state.failed_rewrites),
        ("aof_last_write_status", &(if engine.bars.has(Bar::Unlogged) { "err" } else { "ok" })),
        ("aof_last_cow_size", &0),
        ("module_fork_in_progress", &0),
        ("module_fork_last_cow_size", &0),
    ]);
    if engine.keyspace.log.is_on() {
        log_files(lines, engine);
    }
    if engine.is_loading() {
        loading(lines, engine);
    }
}

/// How far loading has come, and when it will be done if it goes on as so far.
fn loading(lines: &mut Lines<'_>, engine: &Engine) {
    let progress = &engine.durability.progress;
    let started_s = progress.started_s.load(Ordering::Relaxed);
    let total = progress.total_bytes.load(Ordering::Relaxed);
    let loaded = progress.loaded_bytes.load(Ordering::Relaxed).min(total);
    let passed_s = engine.clock.now_ms() / 1000 - started_s;
    let left = (total - loaded) as i64;
    let eta_s = (passed_s * left).checked_div(loaded as i64).unwrap_or(1);
    lines.line("loading_start_time", started_s);
    lines.line("loading_total_bytes", total);
    lines.line("loading_rdb_used_mem", 0);
    lines.line("loading_loaded_bytes", loaded);
    lines.decimal("loading_loaded_perc", loaded as f64 * 100.0 / total.max(1) as f64);
    lines.line("loading_eta_seconds", eta_s);
}

fn log_files(lines: &mut Lines<'_>, engine: &Engine) {
    let (log, appending) = (&engine.keyspace.log, &engine.durability.appending);
    let is_scheduled = engine.durability.state().is_rewrite_scheduled;
    lines.lines(&[
        ("aof_current_size", &appending.current_bytes.load(Ordering::Relaxed)),
        ("aof_base_size", &appending.base_bytes.load(Ordering::Relaxed)),
        ("aof_pending_rewrite", &u8::from(is_scheduled)),
        ("aof_buffer_length", &log.pending()),
        ("aof_pending_bio_fsync", &0),
        ("aof_delayed_fsync", &0),
    ]);
}

fn stats(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let stats = &engine.stats;
    let counters = call.txn.counters();
    let [requests, received, sent] = stats.rates();
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    lines.lines(&[
        ("total_connections_received", &read(&stats.connections)),
        ("total_commands_processed", &stats.calls()),
        ("instantaneous_ops_per_sec", &requests),
        ("total_net_input_bytes", &read(&stats.received_bytes)),
        ("total_net_output_bytes", &read(&stats.sent_bytes)),
        ("total_net_repl_input_bytes", &0),
        ("total_net_repl_output_bytes", &0),
        ("instantaneous_input_kbps", &kilobytes(received)),
        ("instantaneous_output_kbps", &kilobytes(sent)),
        ("instantaneous_input_repl_kbps", &"0.00"),
        ("instantaneous_output_repl_kbps", &"0.00"),
        ("rejected_connections", &read(&stats.rejected_connections)),
        ("sync_full", &0),
        ("sync_partial_ok", &0),
        ("sync_partial_err", &0),
        ("expired_keys", &counters.expired),
        ("expired_stale_perc", &"0.00"),
    ]);
    lines.zeros(&["expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds"]);
    lines.line("evicted_keys", read(&engine.limit.evicted_keys));
    lines.line("evicted_clients", read(&engine.limit.evicted_clients));
    lines.line("evicted_scripts", read(&engine.scripts.figures.evicted));
    let exceeded = engine.limit.exceeded();
    lines.line("total_eviction_exceeded_time", exceeded.total.as_millis());
    lines.line("current_eviction_exceeded_time", exceeded.current.as_millis());
    lines.line("keyspace_hits", counters.hits);
    lines.line("keyspace_misses", counters.misses);
    let subscribed = engine.pubsub.totals();
    lines.line("pubsub_channels", subscribed.channels);
    lines.line("pubsub_patterns", subscribed.patterns);
    lines.line("pubsubshard_channels", subscribed.shard);
    lines.zeros(UNUSED_STATS);
    let tracked = engine.tracking.totals();
    lines.lines(&[
        ("tracking_total_keys", &tracked.keys),
        ("tracking_total_items", &tracked.items),
        ("tracking_total_prefixes", &tracked.prefixes),
        ("unexpected_error_replies", &0),
        ("total_error_replies", &stats.errors().values().sum::<u64>()),
        ("dump_payload_sanitizations", &0),
        ("total_reads_processed", &read(&stats.reads)),
        ("total_writes_processed", &read(&stats.writes)),
        ("io_threaded_reads_processed", &0),
        ("io_threaded_writes_processed", &0),
        ("client_query_buffer_limit_disconnections", &read(&stats.dropped_for_query_buffer)),
        ("client_output_buffer_limit_disconnections", &read(&stats.dropped_for_output_buffer)),
    ]);
    lines.zeros(&[
        "reply_buffer_shrinks",
        "reply_buffer_expands",
        "acl_access_denied_auth",
        "acl_access_denied_cmd",
        "acl_access_denied_key",
        "acl_access_denied_channel",
    ]);
}

const UNUSED_STATS: &[&str] = &[
    "latest_fork_usec",
    "total_forks",
    "migrate_cached_sockets",
    "slave_expires_tracked_keys",
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
];

fn replication(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    lines.lines(&[
        ("role", &"master"),
        ("connected_slaves", &0),
        ("master_failover_state", &"no-failover"),
        ("master_replid", &engine.run_id),
        ("master_replid2", &"0000000000000000000000000000000000000000"),
        ("master_repl_offset", &0),
        ("second_repl_offset", &-1),
        ("repl_backlog_active", &0),
        ("repl_backlog_size", &0),
        ("repl_backlog_first_byte_offset", &0),
        ("repl_backlog_histlen", &0),
    ]);
}

fn cpu(lines: &mut Lines<'_>, _: &Call<'_>) {
    let time = ProcessorTime::so_far();
    for (name, seconds) in [
        ("used_cpu_sys", time.system),
        ("used_cpu_user", time.user),
        ("used_cpu_sys_children", time.children_system),
        ("used_cpu_user_children", time.children_user),
    ] {
        lines.line(name, format_args!("{seconds:.6}"));
    }
}

fn modules(_: &mut Lines<'_>, _: &Call<'_>) {}

fn command_stats(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    for row in Table::get().rows() {
        let stats = engine.stats.command(row);
        let (calls, spent_us) = (stats.calls, stats.spent_ns / 1000);
        let (rejected, failed) = (engine.stats.rejected(row), engine.stats.failed(row));
        let (rejected, failed) = (read(rejected), read(failed));
        if calls + rejected + failed > 0 {
            let each_us = ratio(spent_us, calls);
            lines.line(
                &format!("cmdstat_{}", row.name),
                format_args!(
                    "calls={calls},usec={spent_us},usec_per_call={each_us:.2},\
                     rejected_calls={rejected},failed_calls={failed}"
                ),
            );
        }
    }
}

fn error_stats(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    for (code, count) in engine.stats.errors() {
        lines.line(&format!("errorstat_{}", safe(&code)), format_args!("count={count}"));
    }
}

/// An error code without what Redis does not show in the names of `INFO`.
fn safe(code: &str) -> String {
    code.replace(['#', ':', '\r', '\n'], "_")
}

fn latency_stats(lines: &mut Lines<'_>, call: &Call<'_>) {
    let engine = call.engine;
    let percentiles = engine.config.text(Param::LatencyTrackingPercentiles);
    for row in Table::get().rows() {
        let Some(histogram) = engine.stats.command(row).histogram else {
            continue;
        };
        let shown = percentiles.split_whitespace().filter_map(|percentile| {
            let spent_us = histogram.percentile_us(percentile.parse().ok()?);
            Some(format!("p{percentile}={spent_us:.3}"))
        });
        let shown = shown.collect::<Vec<_>>().join(",");
        lines.line(&format!("latency_percentiles_usec_{}", row.name), shown);
    }
}

fn cluster(lines: &mut Lines<'_>, _: &Call<'_>) {
    lines.line("cluster_enabled", 0);
}

fn keyspace(lines: &mut Lines<'_>, call: &Call<'_>) {
    for (number, database) in call.txn.all_figures().iter().enumerate() {
        if database.keys > 0 {
            let (keys, volatile) = (database.keys, database.volatile);
            let value = format_args!("keys={keys},expires={volatile},avg_ttl=0");
            lines.line(&format!("db{number}"), value);
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::args::Span;

    fn titles(words: &[&str]) -> Vec<&'static str> {
        let (mut buffer, mut spans) = (Vec::new(), Vec::new());
        for word in words {
            spans.push(Span::inside(buffer.len(), word.len()));
            buffer.extend_from_slice(word.as_bytes());
        }
        let wanted = Wanted::parse(Args::new(&buffer, &spans, &[]));
        let sections = SECTIONS.iter().filter(|section| wanted.includes(section));
        sections.map(|section| section.title).collect()
    }

    #[test]
    fn sections_come_in_their_own_order_whatever_is_asked_first() {
        assert_eq!(titles(&["info", "KEYSPACE", "server", "nosuch"]), ["Server", "Keyspace"]);
        assert_eq!(titles(&["info", "nosuch"]), [""; 0]);
        assert_eq!(titles(&["info"]), titles(&["info", "Default"]));
        assert_eq!(titles(&["info"]).len(), SECTIONS.len() - 2);
        assert_eq!(titles(&["info", "default", "commandstats"]).len(), SECTIONS.len() - 1);
        assert_eq!(titles(&["info", "ALL"]).len(), SECTIONS.len());
        assert_eq!(titles(&["info", "server", "everything"]).len(), SECTIONS.len());
    }

    #[test]
    fn codes_of_errors_cannot_forge_lines() {
        assert_eq!(safe("A:b=1\r\nC#"), "A_b=1__C_");
    }

    #[test]
    fn sizes_are_shown_twice() {
        let mut text = String::new();
        Lines(&mut text).size("used_memory", 1536);
        assert_eq!(text, "used_memory:1536\r\nused_memory_human:1.50K\r\n");
    }
}
