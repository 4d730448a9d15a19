//! THE table of parameters: command line, redis.conf, `CONFIG GET`, `CONFIG SET`, `CONFIG REWRITE` and `--help` all
//! read it, and nothing else names a parameter's kind, default or limits.
//!
//! A row that says `only` refuses what redlet cannot do yet; the day it can, that word goes and nothing else changes.

use super::row::Change::{Never, NotYet, Protected};
use super::row::Group::{
    Absent, Clients, Durability, Keyspace, Memory, Network, Observation, Process, Security, Values,
};
use super::row::{
    INT, Kind, Row, UINT, choice, choices, flag, integer, memory, number, octal, text, words,
};

/// Declares the parameters: the enum that code indexes by, and the row of each.
macro_rules! parameters {
    ($($param:ident => $row:expr,)*) => {
        /// A parameter; its place in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Param { $($param,)* }

        impl Param {
            pub(crate) const ALL: &'static [Param] = &[$(Param::$param,)*];
        }

        pub(super) static TABLE: [Row; Param::ALL.len()] = [$($row,)*];
    };
}

impl Param {
    pub(crate) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The parameter of this name or alias, in any case.
    pub(crate) fn named(name: &str) -> Option<Param> {
        Param::ALL.iter().copied().find(|param| param.row().answers_to(name))
    }
}

const ACCESS: &[&str] = &["no", "yes", "local"];
const SHUTDOWN: &[&str] = &["default", "save", "nosave", "now", "force"];
const NO_FAMILY: &str = "redlet has no such values";
const NO_REPLICAS: &str = "redlet has no replicas and is none";
const FACILITIES: &[&str] =
    &["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"];
pub(super) const LOG_LEVELS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];
pub(super) const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];
const NO_EVICTION: i64 = POLICIES.len() as i64 - 1;

const NO_FREEING: &str = "redlet frees large values without holding up clients either way";
const NO_SYSLOG: &str = "it matters only with syslog-enabled yes";
const NO_DEFRAG: &str = "it matters only with activedefrag yes";
const NO_PINNING: &str = "redlet leaves the choice of processors to the system";
const NO_CRASH_LOG: &str = "redlet has no crash reports of its own";
const ALLOCATOR: &str = "redlet leaves this to its allocator and the system";
const EVERY_CONNECTION: &str = "redlet accepts every waiting connection at once";

parameters! {
    Port => integer("port", 0, 65535, 0).change(NotYet)
        .help(Network, "TCP port to serve on; 0 for no TCP"),
    Bind => words("bind", Kind::Addresses, "127.0.0.1 -::1").change(NotYet)
        .help(Network, "addresses to serve on; '*' and '::*' are all, '-' marks those that may be missing"),
    UnixSocket => text("unixsocket", "").change(Never)
        .help(Network, "path of a Unix socket to serve on as well"),
    UnixSocketPerm => octal("unixsocketperm", 0o777, 0).change(Never)
        .help(Network, "permissions of the Unix socket, in octal; 0 leaves them to the umask"),
    TcpBacklog => integer("tcp-backlog", 0, INT, 511).change(Never)
        .help(Network, "connections that may wait to be accepted"),
    TcpKeepalive => integer("tcp-keepalive", 0, INT, 300)
        .help(Network, "seconds of silence before the system asks whether a client is still there; 0 never asks"),
    TlsPort => integer("tls-port", 0, 65535, 0).only(&["0"], "redlet speaks plain TCP only")
        .help(Network, "port for TLS"),
    BindSourceAddr => text("bind-source-addr", "").only(&[""], "redlet opens no connections of its own")
        .help(Network, "address that outgoing connections leave from"),
    SocketMarkId => integer("socket-mark-id", 0, UINT, 0).change(Never).only(&["0"], "redlet does not mark its sockets")
        .help(Network, "mark for the system's packet filter"),
    MaxNewConnectionsPerCycle => integer("max-new-connections-per-cycle", 1, 1000, 10).no_difference(EVERY_CONNECTION)
        .help(Network, "connections to accept at once"),
    MaxNewTlsConnectionsPerCycle => integer("max-new-tls-connections-per-cycle", 1, 1000, 1)
        .no_difference(EVERY_CONNECTION)
        .help(Network, "TLS connections to accept at once"),
    ClusterEnabled => flag("cluster-enabled", false).change(Never).only(&["no"], "redlet serves a single node")
        .help(Network, "take part in a cluster"),

    MaxClients => integer("maxclients", 1, UINT, 1000)
        .help(Clients, "connections at the same time; more are turned away"),
    Timeout => integer("timeout", 0, INT, 0)
        .help(Clients, "seconds after which an idle client is disconnected; 0 for never"),
    ProtoMaxBulkLen => memory("proto-max-bulk-len", 1 << 20, 512 << 20)
        .help(Clients, "longest argument, and longest string value"),
    ClientQueryBufferLimit => memory("client-query-buffer-limit", 1 << 20, 1 << 30)
        .help(Clients, "longest request"),
    ClientOutputBufferLimit => words("client-output-buffer-limit", Kind::OutputLimits,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")
        .help(Clients, "per class of clients: bytes of unread replies that disconnect at once, bytes that do after a time, seconds"),
    MaxMemoryClients => number("maxmemory-clients", Kind::MemoryOrPercent, 0)
        .help(Clients, "memory for all clients together, in bytes or percent of maxmemory"),
    TrackingTableMaxKeys => integer("tracking-table-max-keys", 0, i64::MAX, 1_000_000)
        .help(Clients, "keys remembered for client-side caching"),

    RequirePass => text("requirepass", "")
        .help(Security, "password of the default user; empty for none"),
    ProtectedMode => flag("protected-mode", true)
        .help(Security, "without a password, serve this machine only"),
    EnableDebugCommand => choice("enable-debug-command", ACCESS, 0).change(Never)
        .help(Security, "who may use DEBUG: no, yes (everybody) or local (this machine)"),
    EnableProtectedConfigs => choice("enable-protected-configs", ACCESS, 0).change(Never)
        .help(Security, "who may CONFIG SET dir and dbfilename: no, yes (everybody) or local (this machine)"),
    EnableModuleCommand => choice("enable-module-command", ACCESS, 0).change(Never)
        .only(&["no"], "redlet has no modules")
        .help(Security, "who may use MODULE"),
    AclFile => text("aclfile", "").change(Never).only(&[""], "redlet has the default user only")
        .help(Security, "file of users"),
    AclLogMaxLen => integer("acllog-max-len", 0, i64::MAX, 128).no_difference("redlet has the default user only")
        .help(Security, "refusals that ACL LOG remembers"),
    AclPubsubDefault => choice("acl-pubsub-default", &["allchannels", "resetchannels"], 1)
        .no_difference("redlet has the default user only")
        .help(Security, "channels that a new user may use"),
    SanitizeDumpPayload => choice("sanitize-dump-payload", &["no", "yes", "clients"], 0)
        .no_difference("redlet checks every payload")
        .help(Security, "whether RESTORE checks what it is given"),
    HideUserData => flag("hide-user-data-from-log", false).no_difference("redlet logs no user data")
        .help(Security, "keep keys and values out of the log"),

    Databases => integer("databases", 1, INT, 16).change(Never)
        .help(Keyspace, "number of databases"),
    Shards => integer("shards", 0, 65536, 0).change(Never)
        .help(Keyspace, "parts of the keyspace that are locked on their own, a power of two; 0 follows the processors"),
    ActiveExpireEffort => integer("active-expire-effort", 1, 10, 1)
        .help(Keyspace, "how hard to look for expired keys"),
    Hz => integer("hz", 0, INT, 10).clamp(1, 500)
        .help(Keyspace, "rounds of background work in a second"),
    DynamicHz => flag("dynamic-hz", true).no_difference("redlet's background work does not grow with its clients")
        .help(Keyspace, "more background work for more clients"),
    ActiveRehashing => flag("activerehashing", true).no_difference("redlet's tables grow without a background task")
        .help(Keyspace, "grow tables in the background"),
    LazyEviction => flag("lazyfree-lazy-eviction", false).no_difference(NO_FREEING)
        .help(Keyspace, "free evicted values in the background"),
    LazyExpire => flag("lazyfree-lazy-expire", false).no_difference(NO_FREEING)
        .help(Keyspace, "free expired values in the background"),
    LazyServerDel => flag("lazyfree-lazy-server-del", false).no_difference(NO_FREEING)
        .help(Keyspace, "free overwritten values in the background"),
    LazyUserDel => flag("lazyfree-lazy-user-del", false).no_difference(NO_FREEING)
        .help(Keyspace, "make DEL act as UNLINK"),
    LazyUserFlush => flag("lazyfree-lazy-user-flush", false).no_difference(NO_FREEING)
        .help(Keyspace, "make FLUSHALL act as FLUSHALL ASYNC"),
    NotifyKeyspaceEvents => number("notify-keyspace-events", Kind::Events, 0)
        .help(Keyspace, "classes of events to publish"),
    LocaleCollate => text("locale-collate", "").only(&["", "C", "POSIX"], "redlet compares byte by byte")
        .help(Keyspace, "order of texts in SORT ALPHA"),
    BusyReplyThreshold => integer("busy-reply-threshold", 0, i64::MAX, 5000).alias("lua-time-limit")
        .help(Keyspace, "milliseconds after which a script counts as slow"),
    PropagationErrorBehavior => choice("propagation-error-behavior", &["ignore", "panic", "panic-on-replicas"], 0)
        .no_difference("redlet has no replicas")
        .help(Keyspace, "what to do when a replica refuses a write"),

    MaxMemory => number("maxmemory", Kind::WideMemory, 0)
        .help(Memory, "bytes that the data may take; 0 for no limit"),
    MaxMemoryPolicy => choice("maxmemory-policy", POLICIES, NO_EVICTION)
        .help(Memory, "which keys go first; the lfu ones make OBJECT FREQ count"),
    MaxMemorySamples => integer("maxmemory-samples", 1, 64, 5)
        .help(Memory, "keys to choose an evicted one from"),
    MaxMemoryEvictionTenacity => integer("maxmemory-eviction-tenacity", 0, 100, 10)
        .help(Memory, "how long a command may wait for eviction"),
    LfuLogFactor => integer("lfu-log-factor", 0, INT, 10)
        .help(Memory, "how slowly a key's frequency grows"),
    LfuDecayTime => integer("lfu-decay-time", 0, INT, 1)
        .help(Memory, "minutes after which a key's frequency falls"),
    ActiveDefrag => flag("activedefrag", false).only(&["no"], "redlet cannot move what its allocator has placed")
        .help(Memory, "defragment in the background"),
    ActiveDefragCycleMax => integer("active-defrag-cycle-max", 1, 99, 25).no_difference(NO_DEFRAG)
        .help(Memory, "most processor time for it, in percent"),
    ActiveDefragCycleMin => integer("active-defrag-cycle-min", 1, 99, 1).no_difference(NO_DEFRAG)
        .help(Memory, "least processor time for it, in percent"),
    ActiveDefragIgnoreBytes => memory("active-defrag-ignore-bytes", 1, 100 << 20).no_difference(NO_DEFRAG)
        .help(Memory, "waste that is not worth it"),
    ActiveDefragMaxScanFields => integer("active-defrag-max-scan-fields", 1, i64::MAX, 1000).no_difference(NO_DEFRAG)
        .help(Memory, "elements to look at in one go"),
    ActiveDefragThresholdLower => integer("active-defrag-threshold-lower", 0, 1000, 10).no_difference(NO_DEFRAG)
        .help(Memory, "waste to begin at, in percent"),
    ActiveDefragThresholdUpper => integer("active-defrag-threshold-upper", 0, 1000, 100).no_difference(NO_DEFRAG)
        .help(Memory, "waste to work hardest at, in percent"),
    JemallocBgThread => flag("jemalloc-bg-thread", true).no_difference(ALLOCATOR)
        .help(Memory, "let the allocator work in the background"),
    DisableThp => flag("disable-thp", true).change(Never).no_difference(ALLOCATOR)
        .help(Memory, "turn off huge pages"),

    LogLevel => choice("loglevel", LOG_LEVELS, 2)
        .help(Observation, "what to log: debug, verbose, notice, warning or nothing"),
    LogFile => text("logfile", "").change(Never)
        .help(Observation, "file to log to; empty for standard output"),
    SlowlogLogSlowerThan => integer("slowlog-log-slower-than", -1, i64::MAX, 10_000)
        .help(Observation, "microseconds after which a command counts as slow; -1 for never"),
    SlowlogMaxLen => integer("slowlog-max-len", 0, i64::MAX, 128)
        .help(Observation, "slow commands to remember"),
    LatencyMonitorThreshold => integer("latency-monitor-threshold", 0, i64::MAX, 0)
        .help(Observation, "milliseconds after which LATENCY remembers an event; 0 for never"),
    LatencyTracking => flag("latency-tracking", true)
        .help(Observation, "measure every command for INFO latencystats"),
    LatencyTrackingPercentiles => words("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9")
        .help(Observation, "percentiles that INFO latencystats shows"),
    SyslogEnabled => flag("syslog-enabled", false).change(Never).only(&["no"], "redlet logs to a file or to standard output")
        .help(Observation, "log to the system's log"),
    SyslogIdent => text("syslog-ident", "redis").change(Never).no_difference(NO_SYSLOG)
        .help(Observation, "name in the system's log"),
    SyslogFacility => choice("syslog-facility", FACILITIES, 1).change(Never).no_difference(NO_SYSLOG)
        .help(Observation, "facility of the system's log"),
    CrashLogEnabled => flag("crash-log-enabled", true).no_difference(NO_CRASH_LOG)
        .help(Observation, "log a report after a crash"),
    CrashMemcheckEnabled => flag("crash-memcheck-enabled", true).no_difference(NO_CRASH_LOG)
        .help(Observation, "test memory after a crash"),

    Dir => words("dir", Kind::Directory, "").change(Protected)
        .help(Durability, "directory that other paths start from"),
    Save => words("save", Kind::SavePoints, "")
        .help(Durability, "save a snapshot after so many seconds with so many changes"),
    DbFilename => text("dbfilename", "dump.rdb").change(Protected)
        .help(Durability, "name of the snapshot"),
    RdbCompression => flag("rdbcompression", true)
        .no_difference("redlet compresses strings wherever that makes a snapshot smaller")
        .help(Durability, "compress strings in snapshots"),
    RdbChecksum => flag("rdbchecksum", true).change(Never)
        .help(Durability, "put a checksum at a snapshot's end"),
    RdbDelSyncFiles => flag("rdb-del-sync-files", false).no_difference(NO_REPLICAS)
        .help(Durability, "delete snapshots made for replicas"),
    RdbSaveIncrementalFsync => flag("rdb-save-incremental-fsync", true)
        .help(Durability, "flush a snapshot while it is written"),
    StopWritesOnBgsaveError => flag("stop-writes-on-bgsave-error", true)
        .help(Durability, "refuse writes after a snapshot failed"),
    AppendOnly => flag("appendonly", false)
        .help(Durability, "write every change to a log"),
    AppendFsync => choice("appendfsync", &["everysec", "always", "no"], 0)
        .help(Durability, "when to flush that log to disk"),
    AppendFilename => text("appendfilename", "appendonly.aof").change(Never)
        .help(Durability, "name of the log"),
    AppendDirname => text("appenddirname", "appendonlydir").change(Never)
        .help(Durability, "directory of the log"),
    NoAppendFsyncOnRewrite => flag("no-appendfsync-on-rewrite", false)
        .no_difference("a rewrite does not hold up the log's way to the disk")
        .help(Durability, "do not flush the log while it is rewritten"),
    AutoAofRewritePercentage => integer("auto-aof-rewrite-percentage", 0, INT, 100)
        .help(Durability, "growth of the log that starts a rewrite, in percent"),
    AutoAofRewriteMinSize => memory("auto-aof-rewrite-min-size", 0, 64 << 20)
        .help(Durability, "size of the log below which it is not rewritten"),
    AofLoadTruncated => flag("aof-load-truncated", true)
        .help(Durability, "accept a log that ends in the middle of a command"),
    AofRewriteIncrementalFsync => flag("aof-rewrite-incremental-fsync", true)
        .help(Durability, "flush the log while it is rewritten"),
    AofTimestampEnabled => flag("aof-timestamp-enabled", false)
        .help(Durability, "put times into the log"),
    AofUseRdbPreamble => flag("aof-use-rdb-preamble", true)
        .help(Durability, "begin the log with a snapshot"),
    AofDisableAutoGc => flag("aof-disable-auto-gc", false)
        .help(Durability, "keep logs that are no longer needed"),
    RdbKeySaveDelay => integer("rdb-key-save-delay", -INT, INT, 0)
        .help(Durability, "for tests: microseconds that each key of a snapshot takes longer; negative, keys in a microsecond"),
    KeyLoadDelay => integer("key-load-delay", -INT, INT, 0)
        .help(Durability, "for tests: microseconds that each key takes longer to load"),
    ShutdownOnSigint => choices("shutdown-on-sigint", SHUTDOWN)
        .help(Durability, "how SIGINT ends the server"),
    ShutdownOnSigterm => choices("shutdown-on-sigterm", SHUTDOWN)
        .help(Durability, "how SIGTERM ends the server"),
    ShutdownTimeout => integer("shutdown-timeout", 0, INT, 10).no_difference("redlet has no replicas to wait for")
        .help(Durability, "seconds that a shutdown waits for replicas"),

    ListMaxListpackSize => integer("list-max-listpack-size", -INT - 1, INT, -2).alias("list-max-ziplist-size")
        .help(Values, "elements, or with -1 to -5 size, of a list's nodes"),
    ListCompressDepth => integer("list-compress-depth", 0, INT, 0).no_difference("lists are never compressed")
        .help(Values, "nodes at a list's ends that stay uncompressed; 0 compresses none"),
    SetMaxIntsetEntries => integer("set-max-intset-entries", 0, i64::MAX, 512)
        .help(Values, "longest set of integers that is stored packed"),
    SetMaxListpackEntries => integer("set-max-listpack-entries", 0, i64::MAX, 128)
        .help(Values, "longest set that is stored packed"),
    SetMaxListpackValue => integer("set-max-listpack-value", 0, i64::MAX, 64)
        .help(Values, "longest element in a packed set"),
    StreamNodeMaxBytes => memory("stream-node-max-bytes", 0, 4096)
        .help(Values, "size of a stream's nodes; 0 for any"),
    StreamNodeMaxEntries => integer("stream-node-max-entries", 0, i64::MAX, 100)
        .help(Values, "entries of a stream's nodes; 0 for any"),

    IoThreads => integer("io-threads", 1, 128, 1).change(Never)
        .help(Process, "threads that serve clients; the command starts with one per processor"),
    IoThreadsDoReads => flag("io-threads-do-reads", false).change(Never).no_difference("redlet's threads both read and write")
        .help(Process, "let those threads read as well"),
    Daemonize => flag("daemonize", false).change(Never)
        .only(&["no"], "redlet stays in the foreground, where a service manager or a shell can send it to the background")
        .help(Process, "go to the background"),
    Supervised => choice("supervised", &["upstart", "systemd", "auto", "no"], 3).change(Never)
        .only(&["no"], "redlet does not report to a service manager")
        .help(Process, "service manager to report to"),
    PidFile => text("pidfile", "").change(Never)
        .help(Process, "file that holds the process id while the server runs"),
    AlwaysShowLogo => flag("always-show-logo", false).change(Never).no_difference("redlet has no logo")
        .help(Process, "show a logo at start"),
    SetProcTitle => flag("set-proc-title", true).change(Never).no_difference("redlet leaves the title of its process alone")
        .help(Process, "show the address in the process's title"),
    ProcTitleTemplate => text("proc-title-template", "{title} {listen-addr} {server-mode}")
        .no_difference("redlet leaves the title of its process alone")
        .help(Process, "form of that title"),
    IgnoreWarnings => text("ignore-warnings", "").no_difference("redlet has no warning to silence")
        .help(Process, "warnings not to give at start"),
    OomScoreAdj => choice("oom-score-adj", &["no", "yes", "relative", "absolute"], 0)
        .only(&["no"], "redlet does not change its place in the system's order of processes to end")
        .help(Process, "tell the system which process to end when memory is short"),
    OomScoreAdjValues => words("oom-score-adj-values", Kind::OomScores, "0 200 800")
        .no_difference("it matters only with oom-score-adj")
        .help(Process, "what to tell it, for three kinds of processes"),
    ServerCpulist => text("server-cpulist", "").alias("server_cpulist").change(Never).only(&[""], NO_PINNING)
        .help(Process, "processors for the server"),
    BioCpulist => text("bio-cpulist", "").alias("bio_cpulist").change(Never).only(&[""], NO_PINNING)
        .help(Process, "processors for background threads"),
    AofRewriteCpulist => text("aof-rewrite-cpulist", "").alias("aof_rewrite_cpulist").change(Never).only(&[""], NO_PINNING)
        .help(Process, "processors for rewriting the log"),
    BgsaveCpulist => text("bgsave-cpulist", "").alias("bgsave_cpulist").change(Never).only(&[""], NO_PINNING)
        .help(Process, "processors for saving snapshots"),

    HashMaxEntries => integer("hash-max-listpack-entries", 0, i64::MAX, 512).alias("hash-max-ziplist-entries")
        .no_difference(NO_FAMILY)
        .help(Absent, "fields of a hash that is kept packed"),
    HashMaxValue => memory("hash-max-listpack-value", 0, 64).alias("hash-max-ziplist-value")
        .no_difference(NO_FAMILY)
        .help(Absent, "longest value of a hash that is kept packed"),
    ZsetMaxEntries => integer("zset-max-listpack-entries", 0, i64::MAX, 128).alias("zset-max-ziplist-entries")
        .no_difference(NO_FAMILY)
        .help(Absent, "members of a sorted set that is kept packed"),
    ZsetMaxValue => memory("zset-max-listpack-value", 0, 64).alias("zset-max-ziplist-value")
        .no_difference(NO_FAMILY)
        .help(Absent, "longest member of a sorted set that is kept packed"),
    HllSparseMaxBytes => memory("hll-sparse-max-bytes", 0, 3000)
        .no_difference(NO_FAMILY)
        .help(Absent, "size of a HyperLogLog that is kept sparse"),
    ReplicaOf => words("replicaof", Kind::Addresses, "").alias("slaveof").change(Never)
        .only(&[""], NO_REPLICAS)
        .help(Absent, "server to copy"),
    MasterUser => text("masteruser", "")
        .no_difference(NO_REPLICAS)
        .help(Absent, "user that a replica logs in as"),
    MasterAuth => text("masterauth", "")
        .no_difference(NO_REPLICAS)
        .help(Absent, "password that a replica logs in with"),
    ReplicaServeStaleData => flag("replica-serve-stale-data", true).alias("slave-serve-stale-data")
        .no_difference(NO_REPLICAS)
        .help(Absent, "let a replica answer while it is cut off"),
    ReplicaReadOnly => flag("replica-read-only", true).alias("slave-read-only")
        .no_difference(NO_REPLICAS)
        .help(Absent, "let a replica refuse writes"),
    ReplicaPriority => integer("replica-priority", 0, INT, 100).alias("slave-priority")
        .no_difference(NO_REPLICAS)
        .help(Absent, "which replica takes over first"),
    ReplicaLazyFlush => flag("replica-lazy-flush", false).alias("slave-lazy-flush")
        .no_difference(NO_REPLICAS)
        .help(Absent, "free a replica's old data in the background"),
    ReplicaIgnoreMaxMemory => flag("replica-ignore-maxmemory", true).alias("slave-ignore-maxmemory")
        .no_difference(NO_REPLICAS)
        .help(Absent, "let a replica leave eviction to its master"),
    ReplDisklessSync => flag("repl-diskless-sync", true)
        .no_difference(NO_REPLICAS)
        .help(Absent, "send a new replica its data without a file"),
    ReplDisklessSyncDelay => integer("repl-diskless-sync-delay", 0, INT, 5)
        .no_difference(NO_REPLICAS)
        .help(Absent, "seconds to wait for more replicas first"),
    ReplDisklessSyncMaxReplicas => integer("repl-diskless-sync-max-replicas", 0, INT, 0)
        .no_difference(NO_REPLICAS)
        .help(Absent, "replicas to wait for at most"),
    ReplDisklessLoad => choice("repl-diskless-load", &["disabled", "on-empty-db", "swapdb"], 0)
        .no_difference(NO_REPLICAS)
        .help(Absent, "how a replica loads what it is sent"),
    ReplDisableTcpNodelay => flag("repl-disable-tcp-nodelay", false)
        .no_difference(NO_REPLICAS)
        .help(Absent, "send to replicas in fewer packets"),
    ReplPingReplicaPeriod => integer("repl-ping-replica-period", 1, INT, 10).alias("repl-ping-slave-period")
        .no_difference(NO_REPLICAS)
        .help(Absent, "seconds between signs of life"),
    ReplTimeout => integer("repl-timeout", 1, INT, 60)
        .no_difference(NO_REPLICAS)
        .help(Absent, "seconds without a sign of life"),
    ReplBacklogSize => memory("repl-backlog-size", 1, 1_048_576)
        .no_difference(NO_REPLICAS)
        .help(Absent, "what a replica may have missed"),
    ReplBacklogTtl => integer("repl-backlog-ttl", 0, INT, 3600)
        .no_difference(NO_REPLICAS)
        .help(Absent, "seconds to keep that without a replica"),
    MinReplicasToWrite => integer("min-replicas-to-write", 0, INT, 0).alias("min-slaves-to-write")
        .only(&["0"], NO_REPLICAS)
        .help(Absent, "replicas without which writes are refused"),
    MinReplicasMaxLag => integer("min-replicas-max-lag", 0, INT, 10).alias("min-slaves-max-lag")
        .no_difference(NO_REPLICAS)
        .help(Absent, "how far behind such a replica may be"),
}
