//! What real servers answer, row by row; the file and rewriting tests work in directories of their own.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;

fn set(config: &Config, pairs: &[(&str, &str)]) -> Result<(), String> {
    let bytes: Vec<(&[u8], &[u8])> =
        pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    config.set(&bytes, true).map_err(|error| error.to_string())
}

fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
    config.get(patterns.iter().map(|pattern| pattern.as_bytes()))
}

fn value(config: &Config, name: &str) -> String {
    config.value(name).expect("the test names a parameter")
}

/// What `CONFIG SET` says after its preamble, or nothing if it is content.
fn reason(config: &Config, name: &str, text: &str) -> Option<String> {
    let error = set(config, &[(name, text)]).err()?;
    let preamble = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - ");
    Some(error.strip_prefix(&preamble).unwrap_or_else(|| panic!("{error}")).to_owned())
}

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("redlet-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path.canonicalize().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_table_is_sound() {
    let mut names = std::collections::BTreeSet::new();
    for &param in Param::ALL {
        let row = param.row();
        for name in std::iter::once(row.name).chain(row.alias) {
            assert!(names.insert(name), "{name} is there twice");
            assert_eq!(name, name.to_ascii_lowercase());
            assert_eq!(Param::named(&name.to_ascii_uppercase()), Some(param));
        }
        assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.name);
        let printed = value::print(row.kind, &table_default(param));
        if let Support::Only { values, .. } = row.support {
            assert!(values.contains(&printed.as_str()), "{} refuses its default", row.name);
        }
        if !matches!(row.kind, Kind::Directory) {
            let again = value::parse(row, &[&printed], &table_default(param));
            assert_eq!(again, Ok(table_default(param)), "{}", row.name);
        }
    }
}

#[test]
fn a_server_s_values_are_small() {
    assert!(size_of::<Live>() < 2048, "{}", size_of::<Live>());
    let config = Config::new();
    assert!(config.live.texts.read().unwrap().is_empty());
}

#[test]
fn values_read_back_as_redis_prints_them() {
    let config = Config::new();
    let rows = [
        ("proto-max-bulk-len", "500mb", "524288000"),
        ("proto-max-bulk-len", "2m", "2000000"),
        ("proto-max-bulk-len", "1GB", "1073741824"),
        ("stream-node-max-bytes", "1K", "1000"),
        ("stream-node-max-bytes", "5b", "5"),
        ("stream-node-max-bytes", "", "0"),
        ("stream-node-max-bytes", "k", "0"),
        ("latency-tracking", "NO", "no"),
        ("maxmemory-policy", "AllKeys-LFU", "allkeys-lfu"),
        ("loglevel", "Warning", "warning"),
        ("hz", "0", "1"),
        ("hz", "501", "500"),
        ("slowlog-log-slower-than", "-1", "-1"),
        ("list-max-listpack-size", "-2147483648", "-2147483648"),
        ("shutdown-on-sigterm", "now nosave", "nosave now"),
        ("shutdown-on-sigterm", "default now", "now"),
        ("shutdown-on-sigterm", "default", "default"),
        ("latency-tracking-info-percentiles", "", ""),
        ("latency-tracking-info-percentiles", "50.0 99.990000 1e1", "50 99.99 10"),
        ("latency-tracking-info-percentiles", "99.123456789 0 100", "99.123457 0 100"),
        ("oom-score-adj-values", "0 -5 10", "0 -5 10"),
        (
            "client-output-buffer-limit",
            "Normal 1kb 1kb 1 replica 1mb 512kb 60",
            "normal 1024 1024 1 slave 1048576 524288 60 pubsub 33554432 8388608 60",
        ),
        (
            "client-output-buffer-limit",
            "pubsub 0 0 0",
            "normal 1024 1024 1 slave 1048576 524288 60 pubsub 0 0 0",
        ),
        ("requirepass", "a b", "a b"),
        ("maxmemory", "0gb", "0"),
        ("save", "", ""),
    ];
    for (name, given, printed) in rows {
        assert_eq!(reason(&config, name, given), None, "{name} {given}");
        assert_eq!(value(&config, name), printed, "{name} {given}");
    }
}

#[test]
fn mistakes_get_redis_s_reasons() {
    let config = Config::new();
    let integer = "argument couldn't be parsed into an integer";
    let bytes = "argument must be a memory value";
    let limits = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let rows = [
        ("timeout", "", integer),
        ("timeout", " 5", integer),
        ("timeout", "05", integer),
        ("timeout", "+5", integer),
        ("timeout", "-0", integer),
        ("timeout", "1e3", integer),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("slowlog-max-len", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        (
            "proto-max-bulk-len",
            "1kb",
            "argument must be between 1048576 and 9223372036854775807 inclusive",
        ),
        (
            "stream-node-max-bytes",
            "9223372036854775808",
            "argument must be between 0 and 9223372036854775807 inclusive",
        ),
        ("maxmemory", "1 kb", bytes),
        ("maxmemory", "1.5mb", bytes),
        ("maxmemory", "-1", bytes),
        ("maxmemory", "1tb", bytes),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "5.5%", "argument must be a memory or percent value"),
        ("appendonly", "true", "argument must be 'yes' or 'no'"),
        ("appendfsync", "x", "argument(s) must be one of the following: everysec, always, no"),
        (
            "loglevel",
            "notice extra",
            "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        (
            "shutdown-on-sigint",
            "",
            "argument(s) must be one of the following: default, save, nosave, now, force",
        ),
        (
            "shutdown-on-sigint",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        ("save", "900", "Invalid save parameters"),
        ("save", "0 1", "Invalid save parameters"),
        ("save", "900 1 ", "Invalid save parameters"),
        ("notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        (
            "client-output-buffer-limit",
            "normal 1 1",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "foo 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        ("client-output-buffer-limit", "normal -1 0 0", limits),
        ("client-output-buffer-limit", "normal 0 0 1x", limits),
        (
            "latency-tracking-info-percentiles",
            "abc",
            "Invalid latency-tracking-info-percentiles parameters",
        ),
        (
            "latency-tracking-info-percentiles",
            "101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        ("oom-score-adj-values", "0 1", "wrong number of arguments"),
        (
            "oom-score-adj-values",
            "2001 0 0",
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        ("daemonize", "no", "can't set immutable config"),
        ("dir", "/", "can't set protected config"),
    ];
    let before = get(&config, &["*"]);
    for (name, given, expected) in rows {
        assert_eq!(reason(&config, name, given).as_deref(), Some(expected), "{name} {given}");
    }
    assert_eq!(get(&config, &["*"]), before, "a refused value leaves no trace");
}

#[test]
fn event_classes_are_printed_in_redis_s_order() {
    let row = Param::NotifyKeyspaceEvents.row();
    for (given, printed) in [
        ("KEA", "AKE"),
        ("Ex", "xE"),
        ("Kg$lshzxet", "g$lshzxetK"),
        ("g$lshzxetd", "A"),
        ("KEn", "nKE"),
        ("AKEmn", "AKEm"),
        ("", ""),
    ] {
        let parsed = value::parse(row, &[given], &table_default(Param::NotifyKeyspaceEvents));
        assert_eq!(parsed.map(|value| value::print(row.kind, &value)).as_deref(), Ok(printed));
    }
}

#[test]
fn what_redlet_cannot_do_yet_is_refused_with_a_sentence() {
    let config = Config::new();
    assert_eq!(
        reason(&config, "tls-port", "6380").as_deref(),
        Some("tls-port 6380 is not supported yet: redlet speaks plain TCP only; use 'tls-port 0'")
    );
    assert_eq!(
        reason(&config, "port", "7000").as_deref(),
        Some("redlet reads port only when it starts; start it with --port 7000")
    );
    assert_eq!(reason(&config, "port", "0"), None, "the present value is no change");
    assert!(config.set_at_start("activedefrag", &["yes"]).is_err());
}

#[test]
fn set_changes_everything_or_nothing() {
    let config = Config::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    config.on_change(move |name| log.lock().unwrap().push(name.to_owned()));
    let error = set(&config, &[("hz", "20"), ("maxclients", "x"), ("timeout", "y")]).unwrap_err();
    assert!(error.contains("'maxclients'"), "{error}");
    assert_eq!(config.number(Param::Hz), 10);
    set(&config, &[("hz", "20"), ("timeout", "0")]).unwrap();
    assert_eq!(config.number(Param::Hz), 20);
    assert_eq!(*seen.lock().unwrap(), ["hz"], "only what changed is announced");
}

#[test]
fn the_first_name_that_may_not_be_set_is_reported() {
    let config = Config::new();
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'";
    for (pairs, expected) in [
        (vec![("nosuch", "1"), ("other", "2")], unknown),
        (vec![("hz", "x"), ("nosuch", "2"), ("daemonize", "yes")], unknown),
        (
            vec![("daemonize", "yes"), ("nosuch", "2")],
            "ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
        ),
        (
            vec![("timeout", "5"), ("TIMEOUT", "6")],
            "ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter",
        ),
    ] {
        assert_eq!(set(&config, &pairs).unwrap_err(), expected);
    }
    set(&config, &[("lua-time-limit", "5"), ("busy-reply-threshold", "6")]).unwrap();
    assert_eq!(value(&config, "lua-time-limit"), "6");
}

#[test]
fn texts_have_to_be_utf_8() {
    let config = Config::new();
    let error = config.set(&[(b"requirepass", b"\xff")], true).unwrap_err().to_string();
    assert!(error.ends_with("argument must be UTF-8 text"), "{error}");
    let error = config.set(&[(b"timeout", b"\xff")], true).unwrap_err().to_string();
    assert!(error.ends_with("argument couldn't be parsed into an integer"), "{error}");
}

#[test]
fn protected_parameters_open_with_their_gate() {
    let config = Config::new();
    assert!(!config.admits(Param::EnableProtectedConfigs, true));
    config.set_at_start("enable-protected-configs", &["local"]).unwrap();
    assert!(config.set(&[(b"dbfilename", b"a.rdb")], false).is_err());
    config.set(&[(b"dbfilename", b"a.rdb")], true).unwrap();
    assert_eq!(value(&config, "dbfilename"), "a.rdb");
    assert_eq!(reason(&config, "dir", "/no/such").as_deref(), Some("No such file or directory"));
    config.set_at_start("enable-debug-command", &["yes"]).unwrap();
    assert!(config.admits(Param::EnableDebugCommand, false));
}

#[test]
fn get_takes_several_patterns_in_any_case() {
    let config = Config::new();
    let names = |patterns: &[&str]| -> Vec<String> {
        get(&config, patterns).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&["timeout", "HZ", "h?", "nosuch"]), ["HZ", "timeout"]);
    assert_eq!(names(&["SLOWLOG*"]), ["slowlog-log-slower-than", "slowlog-max-len"]);
    assert_eq!(names(&["*cpulist"]).len(), 8, "aliases are listed");
    assert!(names(&["", "x"]).is_empty());
    assert_eq!(get(&config, &["bind"]), [("bind".into(), "127.0.0.1 -::1".into())]);
}

#[test]
fn clones_share_values_and_servers_do_not() {
    let (one, other) = (Config::new(), Config::new());
    set(&one.clone(), &[("timeout", "7"), ("requirepass", "secret")]).unwrap();
    assert_eq!((one.number(Param::Timeout), &*one.text(Param::RequirePass)), (7, "secret"));
    assert_eq!((other.number(Param::Timeout), &*other.text(Param::RequirePass)), (0, ""));
    assert!(!format!("{one:?}").contains("secret"));
}

#[test]
fn output_limits_are_read_by_class() {
    let config = Config::new();
    let unlimited = OutputLimit::default();
    assert_eq!(config.output_limit(ClientClass::Normal), unlimited);
    set(&config, &[("client-output-buffer-limit", "slave 1mb 2kb 3")]).unwrap();
    let replica = OutputLimit { hard: 1 << 20, soft: 2048, soft_seconds: 3 };
    assert_eq!(config.output_limit(ClientClass::Replica), replica);
    assert_eq!(config.output_limit(ClientClass::Pubsub).soft_seconds, 60);
    assert!(
        config
            .text(Param::ClientOutputBufferLimit)
            .starts_with("normal 0 0 0 slave 1048576 2048 3 ")
    );
    assert_eq!(&*config.text(Param::MaxMemoryPolicy), "noeviction");
}

#[test]
fn lines_are_split_as_redis_splits_them() {
    #[expect(clippy::type_complexity, reason = "a table, whose type says what its columns are")]
    let rows: [(&[u8], Option<&[&[u8]]>); 13] = [
        (b"a b", Some(&[b"a", b"b"])),
        (b"\x0ba \x0b\x0c b", Some(&[b"a", b"b"])),
        (b"  a\t b  \r", Some(&[b"a", b"b"])),
        (b"a \"b c\"", Some(&[b"a", b"b c"])),
        (b"a \"\"", Some(&[b"a", b""])),
        (br#"a "\x41\n\t\"z\q""#, Some(&[b"a", b"A\n\t\"zq"])),
        (br"a 'x \' \x41'", Some(&[b"a", br"x ' \x41"])),
        (br#"a b"c""#, Some(&[b"a", b"bc"])),
        (br#"a "\xff""#, Some(&[b"a", b"\xff"])),
        (br#"a "b"#, None),
        (br#"a "b"c"#, None),
        (br"a 'b", None),
        (b"", Some(&[])),
    ];
    for (line, words) in rows {
        let words = words.map(|words| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
        assert_eq!(quoting::split(line), words, "{}", String::from_utf8_lossy(line));
    }
    let odd = "q'\n\x01é\"\\z # ";
    assert_eq!(quoting::quote(odd), r#""q'\n\x01\xc3\xa9\"\\z # ""#);
    assert_eq!(quoting::split(quoting::quote(odd).as_bytes()), Some(vec![odd.into()]));
}

#[test]
fn a_file_is_read_with_comments_quotes_aliases_and_includes() {
    let scratch = Scratch::new("config-read");
    scratch.write("a.inc", "hz 20\n");
    scratch.write("b.inc", "timeout 9\n");
    let text = format!(
        "# comment\n\n  TIMEOUT   5  \r\nlua-time-limit 7\nrequirepass \"a \\x41\"\n\
         include {0}/*.inc\ninclude {0}/*.none\nbind \"::1 -127.0.0.1\"\nunixsocketperm 0700\nsave\ndir {0}",
        scratch.0.display()
    );
    let latin = [b"# caf\xe9\n", text.as_bytes()].concat();
    let path = scratch.write("redis.conf", latin);
    let config = Config::new();
    config.load(&path).unwrap();
    let pairs = [
        ("timeout", "9"),
        ("hz", "20"),
        ("busy-reply-threshold", "7"),
        ("requirepass", "a A"),
        ("bind", "::1 -127.0.0.1"),
        ("unixsocketperm", "700"),
        ("save", ""),
        ("dir", scratch.0.to_str().unwrap()),
    ];
    for (name, expected) in pairs {
        assert_eq!(value(&config, name), expected, "{name}");
    }
    assert_eq!(config.file(), Some(path));
}

#[test]
fn a_bad_line_is_reported_with_file_number_and_advice() {
    let scratch = Scratch::new("config-bad");
    for (line, advice) in [
        ("port 70000", "port takes a whole number from 0 to 65535"),
        ("port 1 2", "port takes a whole number from 0 to 65535"),
        ("hz 5 # fast", "hz takes a whole number from 0 to 2147483647"),
        ("unixsocketperm 999", "unixsocketperm takes an octal number from 0 to 777"),
        ("appendonly maybe", "appendonly takes yes or no"),
        ("dir /no/such", "dir takes a directory that exists"),
        ("timout 5", "there is no such parameter; did you mean 'timeout'?"),
        ("gibberish 5", "there is no such parameter; 'redlet --help' lists them all"),
        ("hz=5", "a parameter's value is an argument of its own; write 'hz 5'"),
        ("cluster-node-timeout 5", "redlet has no clusters, so leave this out"),
        ("loadmodule x", "redlet has no modules, so leave this out"),
        ("include", "include takes one path"),
        ("hz \"5", "a quote is not closed, or something other than a space follows it"),
        (
            "tls-port 6380",
            "tls-port 6380 is not supported yet: redlet speaks plain TCP only; use 'tls-port 0'",
        ),
    ] {
        let path = scratch.write("bad.conf", format!("# first\n{line}\n"));
        let error = Config::new().load(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{} line 2, '{line}': {advice}", path.display()));
    }
    let error = Config::new().load(&scratch.0.join("none.conf")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration file "), "{error}");
    let circle = scratch.0.join("circle.conf");
    fs::write(&circle, format!("include {}\n", circle.display())).unwrap();
    let error = Config::new().load(&circle).unwrap_err().to_string();
    assert!(error.ends_with("files include one another more than 16 deep"), "{error}");
}

#[test]
fn further_save_lines_add_up_until_an_empty_one() {
    let row = Param::Save.row();
    let none = table_default(Param::Save);
    let parse = |words: &[&str]| value::parse(row, words, &none).unwrap();
    let both = join(&parse(&["900", "1"]), parse(&["300 10"]));
    assert_eq!(both, Value::Text("900 1 300 10".into()));
    assert_eq!(join(&both, parse(&[""])), none);
}

#[test]
fn rewriting_keeps_what_it_does_not_change() {
    let scratch = Scratch::new("config-rewrite");
    let before = "# c1\nport 7000\n\nsave \"\"\nhz 5\n# c2\nhz 6\ntimeout 10\nslave-priority 5\n\
                  lua-time-limit 7\nclient-output-buffer-limit pubsub 1 1 1\nproto-max-bulk-len 2097152\n";
    let path = scratch.write("redis.conf", before.replace("slave-priority 5\n", ""));
    let config = Config::new();
    config.set_default("maxclients", &["10000"]).unwrap();
    config.load(&path).unwrap();
    set(
        &config,
        &[
            ("hz", "7"),
            ("timeout", "0"),
            ("requirepass", "a \"b\""),
            ("client-query-buffer-limit", "1536kb"),
            ("client-output-buffer-limit", "normal 1mb 1mb 5 pubsub 32mb 8mb 60"),
        ],
    )
    .unwrap();
    config.rewrite().unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(
        after,
        "# c1\nport 7000\n\nsave \"\"\nhz 7\n# c2\ntimeout 0\nbusy-reply-threshold 7\n\
         client-output-buffer-limit normal 1048576 1048576 5\nproto-max-bulk-len 2mb\n\n\
         # Generated by CONFIG REWRITE\nclient-query-buffer-limit 1536kb\nrequirepass \"a \\\"b\\\"\"\n"
    );
    let again = Config::new();
    again.load(&path).unwrap();
    assert_eq!((value(&again, "requirepass"), again.number(Param::Hz)), ("a \"b\"".into(), 7));
    again.rewrite().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), after, "a second time changes nothing");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn rewriting_needs_a_file() {
    let error = Config::new().rewrite().unwrap_err().to_string();
    assert_eq!(error, "ERR The server is running without a config file");
    let scratch = Scratch::new("config-gone");
    let path = scratch.write("redis.conf", "hz 5\n");
    let config = Config::new();
    config.load(&path).unwrap();
    fs::remove_file(&path).unwrap();
    config.rewrite().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "\n# Generated by CONFIG REWRITE\nhz 5\n");
}
